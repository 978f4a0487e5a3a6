/**
 * Is a disk after a power cut what it must be? The next boot's recovery finds nothing wrong, e2fsck finds nothing at all,
 * and all that was synced is there.
 *
 * `e2fsck -n` looks at a file system without its journal, which is not what anybody mounts. So the journal comes first,
 * and the list of inodes that were being unlinked or truncated, as a boot does both: `e2fsck -p` on a file system marked
 * clean, as a journalled one always is, does this and looks no further.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type CrashRun, MARK_AT } from "./crash_run.ts";
import { COMMAND } from "../../host/backends/nbd/protocol.ts";
import { UNIT } from "./disk_history.ts";
import { MARK_BYTES } from "./fsync_workload.ts";
import { onHost, sbin } from "./lab.ts";
import type { LogEntry } from "./nbd_log.ts";
import type { Random } from "./random.ts";

type Request = Extract<LogEntry, { kind: "request" }>;

/** What recovery may say. */
const RECOVERY = [
  /: recovering journal$/,
  /^Clearing orphaned inode \d+ /,
  /^Truncating orphaned inode \d+ /,
  /: clean, \d+\/\d+ files, \d+\/\d+ blocks$/,
];

/**
 * Replays `count` moments with nbd-trplay and looks at each of them.
 *
 * @throws {Error} with what is wrong, and where
 */
export async function checkReplays(
  run: CrashRun,
  folder: string,
  count: number,
  random: Random,
): Promise<void> {
  const { base, log, history } = run;
  const image = `${folder}/replayed.img`;
  for (let point = 0; point < count; point++) {
    // The end is one of them.
    const units = point === 0 ? history.units : 1 + random.below(history.units);
    await Deno.copyFile(base, image);
    await onHost("nbd-trplay", "-i", image, "-l", log, "-b", `${UNIT}`, "-m", `${units}`);
    const disk = await Deno.readFile(image);
    const where = `after ${units} of ${history.units} units`;
    if (Buffer.compare(disk, history.replayed(units)) !== 0) {
      throw new Error(`${where} nbd-trplay and the log's reader do not agree`);
    }
    await check(run, image, marksOn(disk), where);
  }
}

/**
 * Cuts the power of a disk with a volatile write cache at `count` moments and looks at what is left.
 *
 * @returns units that were in danger, in all
 * @throws {Error} with what is wrong, and where
 */
export async function checkTorn(
  run: CrashRun,
  folder: string,
  count: number,
  random: Random,
): Promise<number> {
  const { history: { entries }, history } = run;
  const image = `${folder}/torn.img`;
  const requests = (match: (request: Request) => boolean) =>
    entries.flatMap((entry, index) => entry.kind === "request" && match(entry) ? [index] : []);
  const marks = requests(({ offset, command }) => offset === MARK_AT && command === COMMAND.WRITE);
  const flushes = requests(({ command }) => command === COMMAND.FLUSH);
  const moments = [
    // Directly behind a mark, where the most must be there and the least may help.
    () => random.pick(marks) + 1,
    // As a flush is asked for: the most is in danger.
    () => random.pick(flushes) + 1,
    () => 1 + random.below(entries.length),
  ];
  if (marks.length !== run.workload.steps.length) {
    throw new Error(`the log has ${marks.length} marks, wanted ${run.workload.steps.length}`);
  }
  let unstable = 0;
  for (let point = 0; point < count; point++) {
    const end = moments[point % moments.length]!();
    const kept = random.pick([0, 0.25, 0.5, 0.75]);
    await Deno.writeFile(image, history.torn(end, kept, random));
    const marked = marks.filter((at) => at < end).length;
    unstable += history.unstable(end);
    await check(run, image, marked, `after ${end} of ${entries.length} entries, ${kept} kept`);
  }
  return unstable;
}

/** Marks that had been written, by the disk itself. */
function marksOn(disk: Uint8Array): number {
  const text = new TextDecoder().decode(disk.subarray(MARK_AT, MARK_AT + MARK_BYTES));
  return Number(text.replaceAll("\0", "").trim());
}

/** Recovers the file system in `image` and looks at all of it. */
async function check(
  { workload }: CrashRun,
  image: string,
  marks: number,
  where: string,
): Promise<void> {
  const failed = (what: string) => new Error(`${where}, ${marks} marks: ${what}`);
  const recovered = await sbin("sh", "-c", 'e2fsck -p "$0" || [ $? = 1 ]', image);
  for (const line of recovered.trim().split("\n")) {
    if (!RECOVERY.some((known) => known.test(line))) throw failed(recovered);
  }
  await sbin("e2fsck", "-fn", image).catch(({ message }) => {
    throw failed(message);
  });
  const folder = `${image}.tree`;
  await Deno.mkdir(folder);
  try {
    await sbin("debugfs", "-R", `rdump / ${folder}`, image);
    const found = new Map<string, Uint8Array | undefined>();
    await readTree(folder, "", found);
    if (!found.delete("lost+found")) throw failed("nothing can be read");
    const complaint = workload.complaint(found, marks);
    if (complaint !== undefined) throw failed(complaint);
  } finally {
    await onHost("rm", "-rf", folder);
  }
}

async function readTree(
  root: string,
  within: string,
  into: Map<string, Uint8Array | undefined>,
): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${within}`)) {
    const path = `${within}${within && "/"}${name}`;
    into.set(path, isDirectory ? undefined : await Deno.readFile(`${root}/${path}`));
    if (isDirectory) await readTree(root, path, into);
  }
}
