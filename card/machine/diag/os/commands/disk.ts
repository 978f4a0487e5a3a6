/**
 * Commands on disks. All I/O is direct: there is no cache in this system.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { virtioBlock } from "../../../../../protocol/mod.ts";
import type { Disk } from "../disk.ts";
import type { DiagOs } from "../os.ts";
import { type Command, formatSize, parsePairs, parseSize, UsageError } from "./types.ts";

const { SECTOR_SIZE } = virtioBlock;
/** Bytes that sha256 reads at once. */
const HASH_STEP = 1 << 20;

/** A size of whole sectors. */
function sectorsOf(text: string): number {
  const bytes = parseSize(text);
  if (bytes % SECTOR_SIZE !== 0) {
    throw new UsageError(`Cannot use '${text}': wanted a multiple of ${SECTOR_SIZE} bytes`);
  }
  return bytes / SECTOR_SIZE;
}

export function findDisk(os: DiagOs, name: string): Disk {
  const disk = os.disks.find((disk) => disk.name === name.replace(/^\/dev\//, ""));
  if (disk) return disk;
  const names = os.disks.map(({ name }) => name).join(", ") || "none";
  throw new UsageError(`Cannot find disk '${name}': there are ${names}`);
}

export const lsblk: Command = {
  usage: "",
  summary: "list disks",
  async run(_args, io, os) {
    await io.out("NAME SIZE RO SECTORS BLOCK FLUSH DISCARD ID\n");
    for (const disk of os.disks) {
      const { driver } = disk;
      const yes = (value: boolean) => value ? "yes" : "no";
      const row = [
        disk.name,
        formatSize(disk.sectors * SECTOR_SIZE),
        driver.readOnly ? 1 : 0,
        disk.sectors,
        driver.blockSize,
        yes(driver.canFlush),
        yes(driver.canDiscard),
        await disk.id().catch(() => "-") || "-",
      ];
      await io.out(row.join(" ") + "\n");
    }
    return 0;
  },
};

export const dd: Command = {
  usage: "if=DISK|zero|null of=DISK|null [bs=4k] [count=N] [skip=N] [seek=N] [conv=fsync]",
  summary: "copy blocks, one at a time; skip, seek and count are in blocks of bs",
  async run(args, io, os) {
    // iflag and oflag are what Linux's dd needs to be told; here direct is all there is.
    const pairs = parsePairs(args, [
      "if",
      "of",
      "bs",
      "count",
      "skip",
      "seek",
      "conv",
      "iflag",
      "oflag",
    ]);
    const from = pairs.if ?? "null";
    const to = pairs.of ?? "null";
    const bs = parseSize(pairs.bs ?? "4k");
    const sectors = sectorsOf(String(bs));
    if (sectors === 0) throw new UsageError("Cannot copy blocks of 0 bytes");
    const skip = parseSize(pairs.skip ?? "0") * sectors;
    const seek = parseSize(pairs.seek ?? "0") * sectors;
    const plain = (name: string) => /^(\/dev\/)?(zero|null)$/.test(name);
    const source = plain(from) ? undefined : findDisk(os, from);
    const target = plain(to) ? undefined : findDisk(os, to);
    const endless = /zero$/.test(from) && target === undefined;
    const room = Math.min(
      source ? source.sectors - skip : from.endsWith("zero") ? Infinity : 0,
      target ? target.sectors - seek : Infinity,
    );
    const wanted = pairs.count === undefined ? Infinity : parseSize(pairs.count) * sectors;
    if (endless && wanted === Infinity) throw new UsageError("Cannot copy zero to null: no count=");
    const total = Math.max(0, Math.min(room, wanted));
    const zeros = new Uint8Array(source ? 0 : bs);
    const start = performance.now();
    let done = 0;
    while (done < total) {
      io.signal.throwIfAborted();
      const count = Math.min(sectors, total - done);
      const data = source
        ? await source.read(skip + done, count)
        : zeros.subarray(0, count * SECTOR_SIZE);
      if (target) await target.write(seek + done, data);
      done += count;
    }
    if (pairs.conv?.split(",").includes("fsync")) await target?.flush();
    const seconds = (performance.now() - start) / 1000;
    const records = `${Math.floor(done / sectors)}+${done % sectors === 0 ? 0 : 1}`;
    const bytes = done * SECTOR_SIZE;
    await io.err(
      `${records} records in\n${records} records out\n${bytes} bytes copied, ` +
        `${seconds.toFixed(6)} s, ${(bytes / 1e6 / seconds || 0).toFixed(1)} MB/s\n`,
    );
    if (wanted !== Infinity && done < wanted && (source || target)) {
      await io.err("dd: end of disk\n");
      return 1;
    }
    return 0;
  },
};

export const sync: Command = {
  usage: "",
  summary: "flush all disks",
  async run(_args, _io, os) {
    for (const disk of os.disks) await disk.flush();
    return 0;
  },
};

export const sha256: Command = {
  usage: "DISK [offset=BYTES] [length=BYTES]",
  summary: "digest of a range of a disk",
  async run([name = "", ...rest], io, os) {
    const disk = findDisk(os, name);
    const pairs = parsePairs(rest, ["offset", "length"]);
    const first = sectorsOf(pairs.offset ?? "0");
    const end = pairs.length === undefined ? disk.sectors : first + sectorsOf(pairs.length);
    if (end > disk.sectors) throw new UsageError(`Cannot read ${name} past its end`);
    const hash = createHash("sha256");
    const step = HASH_STEP / SECTOR_SIZE;
    for (let at = first; at < end; at += step) {
      io.signal.throwIfAborted();
      hash.update(await disk.read(at, Math.min(step, end - at)));
    }
    await io.out(`${hash.digest("hex")}  ${disk.name}\n`);
    return 0;
  },
};

export const discard: Command = {
  usage: "DISK offset=BYTES length=BYTES",
  summary: "give a range of a disk back to its store",
  async run([name = "", ...rest], _io, os) {
    const disk = findDisk(os, name);
    const { offset, length } = parsePairs(rest, ["offset", "length"]);
    if (offset === undefined || length === undefined) {
      throw new UsageError("Cannot discard: wanted offset= and length=");
    }
    await disk.discard(sectorsOf(offset), sectorsOf(length));
    return 0;
  },
};
