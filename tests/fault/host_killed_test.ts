// A host process that is killed and started again: the card's OS sees nothing but a pause.
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  digest,
  emptyDisk,
  isState,
  randomBytes,
  rootDisk,
  temporaryFolder,
} from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";

const MIB = 1024 * 1024;

/** A card process, and one host process after the other on the same port. */
class Restarts implements AsyncDisposable {
  host!: LabProcess;
  card!: LabProcess;
  readonly #os: string;
  readonly #devices: readonly string[];
  #port = 0;

  private constructor(os: "linux" | "diag", devices: readonly string[]) {
    this.#os = os;
    this.#devices = devices;
  }

  /** Resolves when the card process runs, and its OS is about to boot. */
  static async start(
    os: "linux" | "diag",
    devices: readonly string[],
    first: readonly string[],
  ): Promise<Restarts> {
    const restarts = new Restarts(os, devices);
    await restarts.#startHost(first);
    const connect = ["--connect", `127.0.0.1:${restarts.#port}`, "--json"];
    const machine = ["--machine", os === "linux" ? "v86" : "diag"];
    restarts.card = await LabProcess.start("card", [...connect, ...machine]);
    return restarts;
  }

  /** SIGKILL, and the next host process at once; resolves when the card OS is online with it. */
  async killHost(next: readonly string[] = []): Promise<void> {
    this.host.kill("SIGKILL");
    assertEquals(await this.host.ended, "SIGKILL");
    await this.host[Symbol.asyncDispose]();
    await this.#startHost(next);
    await this.host.event(isState("online"));
  }

  /** Boots of the card OS. */
  get boots(): number {
    return this.card.events.filter(({ type }) => type === "machine_started").length;
  }

  /** What the last host's command printed. */
  async result(): Promise<string> {
    const ended = await this.host.ended;
    if (ended !== 0) console.error(this.host.transcript(), this.card.transcript());
    assertEquals(ended, 0);
    return this.host.stdout;
  }

  async #startHost(args: readonly string[]): Promise<void> {
    const listen = ["--listen", `127.0.0.1:${this.#port}`, "--os", this.#os, "--json"];
    this.host = await LabProcess.start("host", [...listen, ...this.#devices, ...args]);
    const { port } = await this.host.event(({ type }) => type === "listening");
    this.#port = port as number;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    await this.card[Symbol.asyncDispose]();
  }
}

/** Resolves after `ms`: a kill falls wherever the work is by then. */
const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

Deno.test("diag's disk loses and changes nothing while its host is killed and started again", async () => {
  await using folder = await temporaryFolder();
  const disk = await emptyDisk(folder.path, 32);
  const content = randomBytes(8 * MIB);
  await Deno.writeFile(disk, content);
  await Deno.truncate(disk, 32 * MIB);
  // One sector at a time: it takes a while.
  const command = [
    "sha256 vda length=64k",
    "dd if=vda of=vda bs=512 count=16384 seek=16384 conv=fsync",
    "dd if=vda of=vda bs=512 count=16384 skip=16384 seek=32768 conv=fsync",
  ].join(" && ");
  await using run = await Restarts.start("diag", ["--disk", disk], ["--exec", command]);
  await run.host.output(/ {2}vda\n/);
  for (const ms of [20, 300, 0, 1000, 100]) {
    await later(ms);
    await run.killHost();
  }
  // The command of the first host comes to its end, unheard: the next one waits for it.
  await run.killHost(["--exec", "sha256 vda offset=16M length=8M"]);
  const wanted = digest("sha256", content);
  assertEquals(await run.result(), `${wanted}  vda\n`);
  const written = await Deno.readFile(disk);
  assertEquals(digest("sha256", written.subarray(8 * MIB, 16 * MIB)), wanted);
  assertEquals(digest("sha256", written.subarray(16 * MIB, 24 * MIB)), wanted);
  assertEquals(run.boots, 1);
  assertEquals(run.card.events.filter(({ type }) => type === "adopted").length, 6);
});

Deno.test("Linux works on while its host is killed and started again", async () => {
  await using folder = await temporaryFolder();
  const { path } = await rootDisk(folder.path);
  const content = randomBytes(4 * MIB);
  const random = `${folder.path}/random.img`;
  await Deno.writeFile(random, content);
  // Reads, writes and syncs, over and over, and says so when a copy is not what it was.
  const work = [
    "echo begun; for i in 1 2 3; do",
    "dd if=/dev/vdb of=/root/copy$i bs=64k iflag=direct conv=fsync 2>>/root/errors;",
    "echo 3 >/proc/sys/vm/drop_caches; sha256sum </root/copy$i >>/root/sums; sync; done",
  ].join(" ");
  const disks = ["--disk", path, "--disk", random];
  await using run = await Restarts.start("linux", disks, ["--exec", work]);
  await run.host.output(/begun/);
  for (const ms of [2500, 500, 1500]) {
    await later(ms);
    await run.killHost();
  }
  const command = [
    "sort /root/sums | uniq -c",
    "grep -v records /root/errors | grep -v copied",
    "dmesg | grep -i -e 'i/o error' -e 'hung' -e 'needs.reset' -e 'ext4-fs error'",
    "true",
  ].join("; ");
  await run.killHost(["--exec", command]);
  assertMatch(await run.result(), new RegExp(`^ *3 ${digest("sha256", content)}  -\n$`));
  assertEquals(run.boots, 1);
  assert(run.card.events.filter(({ type }) => type === "adopted").length === 4);
});
