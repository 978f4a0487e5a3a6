// A disk image on a store that keeps the whole host process: file I/O is synchronous.
import { assert, assertEquals } from "@std/assert";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { noneConsole } from "../../host/backends/none_console.ts";
import { ExecChannel } from "../../host/control/exec.ts";
import { diagImages } from "../../host/control/images.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { ConsoleDevice } from "../../host/devices/console.ts";
import { Host } from "../../host/host.ts";
import { listenTcp } from "../../protocol/mod.ts";
import { digest, randomBytes } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";

const MIB = 1024 * 1024;
/** As a second stands here for the ten of a real link, so do milliseconds for the time that a store takes. */
const LIMITS = { heartbeat: 200, silence: 1_000 };
const IMAGES = diagImages({ cmdline: undefined, name: "mic0", address: undefined });

/** Stops this process as a system call does that does not return. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** A disk in memory that calls `before` at each read. */
class BlockingDisk extends MemoryBackend {
  before: () => void = () => {};
  override read(sector: number, into: Uint8Array, signal: AbortSignal): void {
    this.before();
    super.read(sector, into, signal);
  }
}

/** Output of `command` in a card that is a process of its own, and what its host heard of the link meanwhile. */
async function run(
  disk: BlockingDisk,
  command: string,
): Promise<{ readonly output: string; readonly link: readonly string[] }> {
  const link: string[] = [];
  const exec = new ExecChannel();
  await using blockDevice = new BlockDevice({ backend: disk });
  await using consoleDevice = new ConsoleDevice([{ backend: noneConsole() }, ...exec.ports]);
  await using host = new Host({
    listener: listenTcp("127.0.0.1", 0),
    cards: [{
      name: "mic0",
      devices: [blockDevice, consoleDevice],
      images: IMAGES,
    }],
    limits: LIMITS,
    onEvent: (event) => event.type === "link" && link.push(event.status.type),
  });
  const connect = ["--connect", `127.0.0.1:${host.address.port}`, "--machine", "diag", "--json"];
  await using card = await LabProcess.start("card", connect);
  let output = "";
  const take = (bytes: Uint8Array) => {
    output += new TextDecoder().decode(bytes);
  };
  assertEquals(await exec.run(command, { stdout: take, stderr: take }), 0);
  const pauses = card.events.map(({ status }) => (status as { type?: string })?.type)
    .filter((type) => type === "lost" || type === "up");
  console.log(`  card: ${pauses}; host: ${link}`);
  return { output, link: [...link] };
}

Deno.test("a disk that keeps its host for a while with each request does not starve the heartbeat", async () => {
  const disk = new BlockingDisk(new Uint8Array(MIB));
  disk.before = () => block(25);
  // 64 of them in one turn would be more than the second.
  const { output, link } = await run(disk, "bench vda depth=64 count=128 --json");
  assertEquals(JSON.parse(output).errors, 0);
  assertEquals(link, ["up"]);
});

Deno.test("a disk that keeps its host for longer than the link waits is a pause for the card", async () => {
  const bytes = randomBytes(8 * MIB);
  const disk = new BlockingDisk(bytes.slice());
  let reads = 0;
  disk.before = () => {
    if (++reads === 5) block(2_000);
  };
  const { output, link } = await run(disk, "sha256 vda");
  assertEquals(output, `${digest("sha256", bytes)}  vda\n`);
  assert(link.length > 1 && link.at(-1) === "up", `${link}`);
});
