/**
 * A Linux card that does an {@linkcode FsyncWorkload} on a disk whose server logs everything; only for tests.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { DiskHistory, UNIT } from "./disk_history.ts";
import { FsyncWorkload, MARK_BYTES, NOISE } from "./fsync_workload.ts";
import { HostRestarts } from "./host_restarts.ts";
import { isState, onHost, rootDisk, sbin } from "./lab.ts";
import { parseNbdLog } from "./nbd_log.ts";
import { NbdLogServer } from "./nbd_log_server.ts";
import { Proxy } from "./proxy.ts";
import { Random } from "./random.ts";

const KIB = 1024;
const FS_BYTES = 16 * 1024 * KIB;
const SOURCE_BYTES = 256 * KIB;
/** No card works so long, on any machine; ms. */
const LIMIT = 600_000;

export interface CrashRunOptions {
  /** Everything that is made goes there. */
  readonly folder: string;
  readonly seed: number;
  readonly steps: number;
  /** The link is cut so often while the card works. */
  readonly cuts?: number;
  /** Bytes of link from one cut to the next, at most. */
  readonly cutWithin?: number;
  /** At every so many cuts the host is killed, too, and started again. */
  readonly killEvery?: number;
}

/** What is left of a run. */
export interface CrashRun {
  readonly workload: FsyncWorkload;
  readonly history: DiskHistory;
  /** The disk before the run, and the log of it, as files. */
  readonly base: string;
  readonly log: string;
  readonly cuts: number;
  readonly kills: number;
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
  const kills = await run(["--disk", root, "--disk", server.uri], script, server, options, random);
  const bytes = await server.log();
  const log = `${folder}/log`;
  await Deno.writeFile(log, bytes);
  const history = new DiskHistory(await Deno.readFile(base), parseNbdLog(bytes));
  return { workload, history, base, log, cuts: options.cuts ?? 0, kills };
}

/**
 * An ext4 with a journal so small that it starts over again and again, and a place for marks behind it.
 *
 * Its blocks are as long as what the medium keeps whole: e2fsck takes a commit block of which a part is old for a damaged
 * journal, and gives up, where a drive that tears such a block would be to blame.
 */
async function makeFileSystem(path: string, folder: string, source: Uint8Array): Promise<void> {
  const contents = `${folder}/contents`;
  await Deno.mkdir(`${contents}/${NOISE}`, { recursive: true });
  await Deno.writeFile(`${contents}/source`, source);
  const now = ["-E", "lazy_itable_init=0,lazy_journal_init=0"];
  const size = `${FS_BYTES / KIB}k`;
  const options = ["-q", "-t", "ext4", "-b", `${UNIT}`, "-J", "size=4", ...now, "-d", contents];
  await sbin("mke2fs", ...options, path, size);
  await onHost("truncate", "-s", `+${MARK_BYTES}`, path);
}

/** Resolves to the number of kills, when the card has done it all. */
async function run(
  disks: readonly string[],
  script: string,
  server: NbdLogServer,
  { cuts = 0, cutWithin = 10_000, killEvery = Infinity }: CrashRunOptions,
  random: Random,
): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const made = Promise.withResolvers<Proxy>();
  const via = async (port: number): Promise<number> => {
    const proxy = stack.use(await Proxy.start(port));
    made.resolve(proxy);
    return proxy.port;
  };
  const first = ["--exec", `echo begun\n${script}`];
  const lab = stack.use(
    await HostRestarts.start({ os: "linux", host: disks, first, via, limit: LIMIT }),
  );
  // A host that is killed before the card has taken the command takes it along.
  await lab.host.output(/begun/);
  const proxy = await made.promise;
  let kills = 0;
  for (let cut = 1; cut <= cuts; cut++) {
    const direction = random.pick(["cardToHost", "hostToCard"] as const);
    const done = proxy.cutAfter(direction, 1 + random.below(cutWithin)).then(() => true);
    if (!await Promise.race([done, lab.host.ended.then(() => false)])) {
      throw new Error(`the work was over at cut ${cut} of ${cuts}\n${lab.host.transcript()}`);
    }
    if (cut % killEvery !== 0) continue;
    await lab.kill();
    await server.again();
    // Its command has its turn when the work is done.
    await lab.startHost(["--exec", "true"]);
    await lab.host.event(isState("online"));
    kills++;
  }
  await lab.result();
  assertEquals([lab.boots, lab.adoptions], [1, kills]);
  return kills;
}
