/**
 * A Linux card that does an {@linkcode FsyncWorkload} on a disk whose server logs everything; only for tests.
 *
 * @module
 */
import { DiskHistory } from "./disk_history.ts";
import { FsyncWorkload, MARK_BYTES, NOISE } from "./fsync_workload.ts";
import { Lab, onHost, rootDisk, sbin } from "./lab.ts";
import { parseNbdLog } from "./nbd_log.ts";
import { NbdLogServer } from "./nbd_log_server.ts";
import { Proxy } from "./proxy.ts";
import { Random } from "./random.ts";

const KIB = 1024;
const FS_BYTES = 16 * 1024 * KIB;
const SOURCE_BYTES = 256 * KIB;

export interface CrashRunOptions {
  /** Everything that is made goes there. */
  readonly folder: string;
  readonly seed: number;
  readonly steps: number;
  /** Bytes from one cut of the link to the next, each way in turn: at most so many. Never cut without. */
  readonly cutWithin?: number;
}

/** What is left of a run. */
export interface CrashRun {
  readonly workload: FsyncWorkload;
  readonly history: DiskHistory;
  /** The disk before the run, and the log of it, as files. */
  readonly base: string;
  readonly log: string;
  readonly cuts: number;
}

/** Where marks go, in bytes. */
export const MARK_AT = FS_BYTES;

export async function crashRun(options: CrashRunOptions): Promise<CrashRun> {
  const { folder, seed, steps } = options;
  const random = new Random(seed);
  const source = random.bytes(SOURCE_BYTES);
  const workload = new FsyncWorkload(steps, source, random);
  const base = `${folder}/base.img`;
  await makeFileSystem(base, folder, source);
  const image = `${folder}/disk.img`;
  await Deno.copyFile(base, image);
  await using server = await NbdLogServer.start(folder, image);
  const { path: root } = await rootDisk(folder);
  const script = workload.script("/dev/vdb", FS_BYTES);
  const cuts = await run(["--disk", root, "--disk", server.uri, "--exec", script], options, random);
  const bytes = await server.log();
  const log = `${folder}/log`;
  await Deno.writeFile(log, bytes);
  const history = new DiskHistory(await Deno.readFile(base), parseNbdLog(bytes));
  return { workload, history, base, log, cuts };
}

/** An ext4 with a journal so small that it starts over again and again, and a place for marks behind it. */
async function makeFileSystem(path: string, folder: string, source: Uint8Array): Promise<void> {
  const contents = `${folder}/contents`;
  await Deno.mkdir(`${contents}/${NOISE}`, { recursive: true });
  await Deno.writeFile(`${contents}/source`, source);
  const now = ["-E", "lazy_itable_init=0,lazy_journal_init=0"];
  const size = `${FS_BYTES / KIB}k`;
  const options = ["-q", "-t", "ext4", "-b", "4096", "-J", "size=4", ...now, "-d", contents];
  await sbin("mke2fs", ...options, path, size);
  await onHost("truncate", "-s", `+${MARK_BYTES}`, path);
}

/** Resolves to the number of cuts, when the card has done it all. */
async function run(
  host: readonly string[],
  { cutWithin }: CrashRunOptions,
  random: Random,
): Promise<number> {
  await using stack = new AsyncDisposableStack();
  let proxy: Proxy | undefined;
  const via = async (port: number): Promise<number> => {
    if (cutWithin === undefined) return port;
    const made = proxy = stack.use(await Proxy.start(port));
    return made.port;
  };
  const lab = stack.use(await Lab.start({ os: "linux", host, via }));
  await lab.online();
  let cuts = 0;
  const ended = lab.host.ended.then(() => false);
  while (proxy !== undefined) {
    const direction = random.pick(["cardToHost", "hostToCard"] as const);
    const cut = proxy.cutAfter(direction, 1 + random.below(cutWithin!)).then(() => true);
    if (!await Promise.race([cut, ended])) break;
    cuts++;
  }
  await lab.result();
  return cuts;
}
