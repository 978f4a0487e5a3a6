// The NBD disk on real servers: nbdkit and its filters, qemu-nbd, nbd-server.
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { BlockBackend } from "../../host/backends/types.ts";
import { BackendError } from "../../protocol/mod.ts";
import { freePort, NbdProcess } from "../support/nbd_process.ts";
import { missing } from "../support/needs.ts";

const noNbdkit = await missing({ program: "nbdkit" });
const noQemu = await missing({ program: "qemu-nbd" }) || await missing({ program: "qemu-img" });
const noNbdServer = await missing({ program: "nbd-server" });

const signal = new AbortController().signal;
const SECTORS = 2048;
/** What one operation of the model may touch: requests of one batch do not overlap. */
const SLOT = 64;

type Start = (folder: string) => NbdProcess | Promise<NbdProcess>;

const SERVERS: readonly (readonly [string, boolean, Start])[] = [
  ["nbdkit memory", noNbdkit, (folder) => NbdProcess.nbdkit(folder, "memory", "1M")],
  [
    "nbdkit memory without structured replies",
    noNbdkit,
    (folder) => NbdProcess.nbdkit(folder, "--no-sr", "memory", "1M"),
  ],
  ["nbdkit file", noNbdkit, async (folder) => NbdProcess.nbdkit(folder, "file", await raw(folder))],
  [
    "nbdkit with requests of 4 KiB at most",
    noNbdkit,
    (folder) =>
      NbdProcess.nbdkit(
        folder,
        ...["--filter=blocksize-policy", "memory", "1M"],
        ...["blocksize-minimum=512", "blocksize-preferred=4096", "blocksize-maximum=4096"],
        "blocksize-error-policy=error",
      ),
  ],
  ["qemu-nbd on qcow2", noQemu, async (folder) => {
    const image = `${folder}/disk.qcow2`;
    await run("qemu-img", "create", "-q", "-f", "qcow2", image, "1M");
    const socket = `${folder}/qemu.sock`;
    return NbdProcess.start(
      `nbd+unix:///a%2Fdisk?socket=${socket}`,
      ...["qemu-nbd", "-t", "-k", socket, "-x", "a/disk", "-f", "qcow2", "--discard=unmap", image],
    );
  }],
  ["nbd-server", noNbdServer, async (folder) => {
    const port = freePort();
    await Deno.writeTextFile(
      `${folder}/nbd.conf`,
      `[generic]\nlistenaddr = 127.0.0.1\nport = ${port}\n` +
        `[disk]\nexportname = ${await raw(folder)}\nflush = true\ntrim = true\n`,
    );
    const words = ["nbd-server", "-d", "-C", `${folder}/nbd.conf`, "-p", `${folder}/pid`];
    return NbdProcess.start(`nbd://127.0.0.1:${port}/disk`, ...words);
  }],
];

for (const [name, ignore, start] of SERVERS) {
  Deno.test({ name: `NbdBackend on ${name} is the disk of the model`, ignore }, async () => {
    await using folder = await temporaryFolder();
    await using server = await start(folder.path);
    await using disk = await server.open();
    assertEquals([disk.sectors, disk.readOnly], [SECTORS, false]);
    const model = new Uint8Array(SECTORS * 512);
    await fc.assert(fc.asyncProperty(batches, (batches) => check(disk, model, batches)), {
      numRuns: 20,
    });
  });
}

interface Operation {
  readonly kind: "read" | "write" | "writeZeroes" | "unmap" | "discard" | "flush";
  readonly slot: number;
  readonly start: number;
  readonly count: number;
  readonly fill: number;
}

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom("read", "write", "write", "writeZeroes", "unmap", "discard", "flush"),
  slot: fc.nat(SECTORS / SLOT - 1),
  start: fc.nat(SLOT - 1),
  count: fc.integer({ min: 1, max: SLOT }),
  fill: fc.integer({ min: 1, max: 255 }),
});
const batches = fc.array(
  fc.uniqueArray(operation, { selector: ({ slot }) => slot, minLength: 1, maxLength: 16 }),
  { minLength: 1, maxLength: 6 },
);

/** The disk keeps what earlier runs wrote, and so does the model. */
async function check(
  disk: BlockBackend,
  model: Uint8Array,
  batches: readonly (readonly Operation[])[],
): Promise<void> {
  for (const batch of batches) {
    await Promise.all(batch.map((operation) => perform(disk, model, operation)));
  }
  const whole = new Uint8Array(model.length);
  await disk.read(0, whole, signal);
  assertEquals(Buffer.compare(whole, model), 0);
}

async function perform(disk: BlockBackend, model: Uint8Array, operation: Operation): Promise<void> {
  const { kind, slot, start, fill } = operation;
  const count = Math.min(operation.count, SLOT - start);
  const sector = slot * SLOT + start;
  const part = model.subarray(sector * 512, (sector + count) * 512);
  switch (kind) {
    case "read": {
      const into = new Uint8Array(part.length);
      await disk.read(sector, into, signal);
      return assertEquals(Buffer.compare(into, part), 0);
    }
    case "write":
      part.fill(fill);
      return await disk.write(sector, part.slice(), signal);
    case "flush":
      return await disk.flush(signal);
    case "discard":
      // Its contents are anything then.
      await disk.discard?.(sector, count, signal);
      part.fill(fill);
      return await disk.write(sector, part.slice(), signal);
    default:
      if (disk.writeZeroes === undefined) return;
      part.fill(0);
      return await disk.writeZeroes(sector, count, kind === "unmap", signal);
  }
}

Deno.test({
  name: "NbdBackend fails a read that nbdkit's error filter breaks, and nothing else",
  ignore: noNbdkit,
}, async () => {
  await using folder = await temporaryFolder();
  const trigger = `${folder.path}/trigger`;
  await using server = NbdProcess.nbdkit(
    folder.path,
    ...["--filter=error", "memory", "1M"],
    ...["error-pread=ENOSPC", "error-pread-rate=100%", `error-pread-file=${trigger}`],
  );
  const reports: BackendError[] = [];
  await using disk = await server.open({ report: (error) => reports.push(error) });
  const into = new Uint8Array(512);
  await Deno.writeTextFile(trigger, "");
  const [write, read, flush] = await Promise.allSettled([
    disk.write(8, new Uint8Array(512).fill(7), signal),
    disk.read(0, into, signal),
    disk.flush(signal),
  ]);
  assertEquals([write.status, flush.status], ["fulfilled", "fulfilled"]);
  assert(read.status === "rejected");
  assertInstanceOf(read.reason, BackendError);
  assertEquals(
    read.reason.message,
    `Cannot read 1 sectors at 0 of ${server.uri}: the server says ENOSPC`,
  );
  await Deno.remove(trigger);
  await disk.read(8, into, signal);
  assertEquals(into.toHex(), "07".repeat(512));
  assertEquals(reports, []);
});

for (const how of ["SIGKILL", "SIGTERM"] as const) {
  Deno.test({
    name:
      `NbdBackend finishes everything, and right, though its server ends by ${how} and restarts`,
    ignore: noNbdkit,
  }, async () => {
    await using folder = await temporaryFolder();
    const image = await raw(folder.path);
    // The delay makes sure that there is something in flight.
    const words = ["--filter=delay", "file", image, "wdelay=10ms", "rdelay=10ms"];
    await using server = NbdProcess.nbdkit(folder.path, ...words);
    const reports: BackendError[] = [];
    await using disk = await server.open({ report: (error) => reports.push(error) });
    for (let round = 1; round <= 3; round++) {
      const first = Promise.withResolvers<void>();
      const writes = Array.from({ length: 64 }, async (_, slot) => {
        await disk.write(slot * 32, new Uint8Array(16_384).fill(slot + round), signal);
        first.resolve();
      });
      await first.promise;
      const flush = disk.flush(signal);
      const into = new Uint8Array(512);
      const read = disk.read(SECTORS - 1, into, signal);
      await server.restart(how);
      await Promise.all([...writes, flush, read]);
      assertEquals(reports.length, round);
      const stored = await Deno.readFile(image);
      for (let slot = 0; slot < 64; slot++) {
        const part = stored.subarray(slot * 16_384, (slot + 1) * 16_384);
        assert(part.every((byte) => byte === slot + round), `slot ${slot} of round ${round}`);
      }
    }
  });
}

Deno.test({
  name: "NbdBackend says that an export came back smaller",
  ignore: noNbdkit,
}, async () => {
  await using folder = await temporaryFolder();
  const image = await raw(folder.path);
  await using server = NbdProcess.nbdkit(folder.path, "file", image);
  await using disk = await server.open();
  await Deno.truncate(image, 512 * 1024);
  await server.restart("SIGKILL");
  await assertRejects(
    () => disk.flush(signal),
    BackendError,
    "came back as another disk: it has 524288 bytes, had 1048576",
  );
});

/** A raw image of 1 MiB of zeros. */
async function raw(folder: string): Promise<string> {
  const path = `${folder}/disk.img`;
  await Deno.writeFile(path, new Uint8Array(SECTORS * 512));
  return path;
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success } = await new Deno.Command(program, { args, stdout: "null" }).output();
  assert(success, program);
}
