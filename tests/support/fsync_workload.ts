/**
 * Work on a file system that knows at each moment what must survive a power cut: steps of `dd`, `mv`, `rm`, `mkdir` and
 * `truncate`, each ended by fsync of the files and folders that it changed (POSIX: a name is safe when its folder is), and
 * then by a mark on the disk beyond the file system, written directly.
 *
 * Between steps, files that are never synced keep the disk's write cache full of what may be lost.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Random } from "./random.ts";

/** Paths of regular files, and what is in them; a folder has `undefined`. */
export type Tree = ReadonlyMap<string, Uint8Array | undefined>;

interface Step {
  /** Shell words; they fail if anything does. */
  readonly command: string;
  /** What is on stable storage from its mark on, until the next step begins. */
  readonly after: Tree;
  /** Paths that the step changes. */
  readonly busy: readonly string[];
  /** What of `busy` may be found while it runs; returns what is wrong with it. */
  readonly during: (found: Tree, before: Tree) => string | undefined;
}

/** Bytes of a mark, and of the place behind the file system where it goes. */
export const MARK_BYTES = 4096;
/** In the root of the file system; never written. */
const SOURCE = "source";
/** In it is what nobody syncs. */
export const NOISE = "noise";
const MAX_FILES = 24;
const MAX_FILE_BYTES = 128 * 1024;

export class FsyncWorkload {
  readonly steps: readonly Step[];
  readonly #initial: Tree;

  /** `source` is what the files are made of; the file system is to have it as `source`, and a folder `noise`. */
  constructor(steps: number, source: Uint8Array, random: Random) {
    this.#initial = new Map([[SOURCE, source], [NOISE, undefined]]);
    this.steps = makeSteps(steps, source, this.#initial, random);
  }

  /** For the card: mounts `device`, whose file system has `bytes` bytes, and does all steps. Fails if anything does. */
  script(device: string, bytes: number): string {
    const mark = `printf '%${MARK_BYTES}s' "$1" | dd of=${device} bs=${MARK_BYTES} count=1 ` +
      `seek=${bytes / MARK_BYTES} oflag=direct conv=notrunc iflag=fullblock status=none`;
    return [
      "set -e",
      // FILE, offset in the source, length, more words for dd
      "w() { f=$1 o=$2 l=$3; shift 3; dd if=source of=$f bs=64k iflag=skip_bytes,count_bytes skip=$o count=$l status=none $*; }",
      `m() { ${mark}; }`,
      "mkdir -p /mnt",
      `mount -t ext4 -o noatime,discard ${device} /mnt`,
      "cd /mnt",
      ...this.steps.map(({ command }, index) => `${command}\nm ${index + 1}`),
      "",
    ].join("\n");
  }

  /** What is wrong with `found` when `marks` marks had been written; undefined if nothing. */
  complaint(found: Tree, marks: number): string | undefined {
    const must = marks === 0 ? this.#initial : this.steps[marks - 1]!.after;
    const next = this.steps[marks];
    const quiet = (path: string) =>
      next?.busy.includes(path) !== true && !path.startsWith(`${NOISE}/`);
    for (const path of new Set([...must.keys(), ...found.keys()])) {
      if (!quiet(path)) continue;
      if (!found.has(path)) return `${path} is missing`;
      if (!must.has(path)) return `${path} is there`;
      if (!same(found.get(path), must.get(path))) return `${path} has other contents`;
    }
    return next?.during(found, must);
  }
}

function makeSteps(count: number, source: Uint8Array, initial: Tree, random: Random): Step[] {
  const steps: Step[] = [];
  const tree = new Map(initial);
  const folders = [""];
  let names = 0;
  const files = () => [...tree.keys()].filter((path) => tree.get(path) && path !== SOURCE);
  const newPath = () => {
    const folder = random.pick(folders);
    return `${folder}${folder && "/"}f${++names}`;
  };
  /** Offset in the source, and length. */
  const piece = () => {
    const length = 1 + random.below(random.pick([200, 5_000, 20_000]));
    const offset = random.below(source.length - length);
    return { offset, length, bytes: source.subarray(offset, offset + length) };
  };
  const makers = {
    create() {
      const path = newPath();
      const { offset, length, bytes } = piece();
      tree.set(path, bytes);
      const command = `w ${path} ${offset} ${length} conv=fsync; sync ${folderOf(path)}`;
      return { command, busy: [path], during: () => undefined };
    },
    append() {
      const path = random.pick(files());
      const { offset, length, bytes } = piece();
      const before = tree.get(path)!;
      tree.set(path, concat(before, bytes));
      const command = `w ${path} ${offset} ${length} oflag=append conv=notrunc,fsync`;
      return { command, busy: [path], during: keeps(path, before.length, before.length) };
    },
    overwrite() {
      const path = random.pick(files());
      const before = tree.get(path)!;
      const seek = random.below(before.length);
      const { offset, length, bytes } = piece();
      const after = new Uint8Array(Math.max(before.length, seek + length));
      after.set(before);
      after.set(bytes, seek);
      tree.set(path, after);
      const command =
        `w ${path} ${offset} ${length} oflag=seek_bytes seek=${seek} conv=notrunc,fsync`;
      return { command, busy: [path], during: keeps(path, seek, seek + length) };
    },
    /** As editors save: the old file or the new one, whole. */
    replace() {
      const path = random.pick(files());
      const part = newPath();
      const before = tree.get(path)!;
      const { offset, length, bytes } = piece();
      tree.set(path, bytes);
      const command = `w ${part} ${offset} ${length} conv=fsync; mv ${part} ${path}; ` +
        `sync ${folderOf(part)} ${folderOf(path)}`;
      const during = (found: Tree) =>
        same(found.get(path), before) || same(found.get(path), bytes)
          ? undefined
          : `${path} is neither the old file nor the new one`;
      return { command, busy: [path, part], during };
    },
    rename() {
      const from = random.pick(files());
      const to = newPath();
      const contents = tree.get(from)!;
      tree.delete(from);
      tree.set(to, contents);
      const command = `mv ${from} ${to}; sync ${folderOf(from)} ${folderOf(to)}`;
      const during = (found: Tree) => {
        const at = [from, to].filter((path) => same(found.get(path), contents));
        const wrong = at.length !== 1 || found.has(from) === found.has(to);
        return wrong ? `${from}, being renamed to ${to}, is not whole at one of them` : undefined;
      };
      return { command, busy: [from, to], during };
    },
    unlink() {
      const path = random.pick(files());
      const contents = tree.get(path)!;
      tree.delete(path);
      const command = `rm ${path}; sync ${folderOf(path)}`;
      const during = (found: Tree) =>
        !found.has(path) || same(found.get(path), contents)
          ? undefined
          : `${path}, being unlinked, is there and not whole`;
      return { command, busy: [path], during };
    },
    truncate() {
      const path = random.pick(files());
      const before = tree.get(path)!;
      const length = 1 + random.below(before.length);
      tree.set(path, before.subarray(0, length));
      const command = `truncate -s ${length} ${path}; sync ${path}`;
      return { command, busy: [path], during: keeps(path, length, before.length) };
    },
    mkdir() {
      const path = `d${folders.length}`;
      folders.push(path);
      tree.set(path, undefined);
      return { command: `mkdir ${path}; sync .`, busy: [path], during: () => undefined };
    },
  };
  const mix = [
    ...["append", "overwrite", "overwrite", "replace", "replace", "rename", "truncate"],
    ...["create", "create", "create", "unlink"],
  ] as readonly (keyof typeof makers)[];
  for (let number = 0; number < count; number++) {
    const many = files().length;
    const large = files().reduce((sum, path) => sum + tree.get(path)!.length, 0);
    const kind = many >= MAX_FILES || large > MAX_FILES * MAX_FILE_BYTES / 8
      ? "unlink"
      : many < 3
      ? "create"
      : folders.length < 5 && random.oneIn(6)
      ? "mkdir"
      : random.pick(mix);
    const { command, ...step }: Omit<Step, "after"> = makers[kind]();
    steps.push({ ...step, command: noise(random, piece()) + command, after: new Map(tree) });
  }
  return steps;
}

/** Nothing, or a file that is written or unlinked and not synced. */
function noise(
  random: Random,
  { offset, length }: { readonly offset: number; readonly length: number },
): string {
  const path = `${NOISE}/n${random.below(4)}`;
  switch (random.below(4)) {
    case 0:
      return `w ${path} ${offset} ${length}\n`;
    case 1:
      return `rm -f ${path}\n`;
    default:
      return "";
  }
}

/** All of `path` but bytes `from` to `to` is as before; what is behind `to` was not there before, or is. */
function keeps(path: string, from: number, to: number) {
  return (found: Tree, before: Tree): string | undefined => {
    const now = found.get(path);
    const then = before.get(path)!;
    if (now === undefined) return `${path} is missing while it is changed`;
    const intact = same(now.subarray(0, from), then.subarray(0, from)) &&
      (to >= then.length || same(now.subarray(to), then.subarray(to)));
    return intact ? undefined : `${path} has other contents than those being changed`;
  };
}

const folderOf = (path: string) => path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".";

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return Buffer.compare(a, b) === 0;
}
