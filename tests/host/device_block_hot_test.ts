// A disk that grows, or is swapped for another one, under a driver that runs.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MemoryBackend } from "../../host/backends/memory.ts";
import type { BlockBackend } from "../../host/backends/types.ts";
import { BackendError } from "../../protocol/errors.ts";
import { STATUS } from "../../protocol/virtio/block.ts";
import { disk, pattern, SECTORS } from "../support/block_disk.ts";
import { BlockDriver } from "../support/block_driver.ts";
import { delay, fault } from "../support/block_filters.ts";

const SIGNAL = new AbortController().signal;

/** Requests to `inner` wait until `open` resolves; knows whether it was closed. */
function gated(inner: MemoryBackend) {
  const open = Promise.withResolvers<void>();
  const calls: string[] = [];
  const slow = delay(inner, async ({ operation }) => {
    calls.push(operation);
    if (operation !== "flush") await open.promise;
  });
  const backend: BlockBackend = {
    ...slow,
    [Symbol.asyncDispose]: () => {
      calls.push("closed");
      return Promise.resolve();
    },
  };
  return { backend, open, calls };
}

function sized(sectors: number, options: { name?: string; readOnly?: boolean } = {}) {
  return new MemoryBackend(new Uint8Array(sectors * 512), options);
}

/** Reads one sector to its end. */
async function readStatus(driver: BlockDriver, sector: number): Promise<number> {
  const chain = driver.read(sector, 512);
  await chain.used;
  return chain.status;
}

Deno.test("BlockDevice.resize() tells the driver, and serves what is new", async () => {
  const backend = disk();
  await using driver = new BlockDriver({ backend });
  assertEquals(await readStatus(driver, SECTORS), STATUS.IOERR);
  driver.device.resize(2 * SECTORS * 512);
  assertEquals([driver.slot.changes, driver.device.config()[0]], [1, 2 * SECTORS]);
  const write = driver.write(2 * SECTORS - 1, pattern(512));
  await write.used;
  assertEquals([write.status, backend.bytes.at(-1)], [STATUS.OK, 0xa5]);
  // What was there is still there.
  const read = driver.read(3, 512);
  await read.used;
  assertEquals(read.memory.subarray(0, 512), disk().bytes.subarray(3 * 512, 4 * 512));
  driver.device.resize(2 * SECTORS * 512);
  assertEquals(driver.slot.changes, 1);
});

Deno.test("BlockDevice.resize() refuses less, parts of a block, and what its backend cannot", async () => {
  await using driver = new BlockDriver({ backend: disk({ name: "disk" }) });
  const { device } = driver;
  assertThrows(() => device.resize((SECTORS - 1) * 512), BackendError, "32256 would be fewer");
  assertThrows(() => device.resize(SECTORS * 512 + 1), RangeError, "whole blocks of 512");
  for (const size of [0, -512, NaN, Infinity]) assertThrows(() => device.resize(size), RangeError);
  const { resize: _, ...fixed } = gated(disk({ name: "fixed" })).backend;
  await using other = new BlockDriver({ backend: fixed });
  assertThrows(() => other.device.resize(1 << 20), BackendError, "Cannot resize fixed: it has");
  assertEquals([driver.slot.changes, other.slot.changes], [0, 0]);
});

Deno.test("BlockDevice.swap() lets the old backend finish, flushes it, and holds what comes meanwhile", async () => {
  const old = gated(disk());
  await using driver = new BlockDriver({ backend: old.backend });
  const before = driver.write(1, pattern(512));
  const fresh = sized(2 * SECTORS, { name: "fresh" });
  const swapped = driver.device.swap(fresh, SIGNAL);
  const during = [driver.write(2, pattern(512)), driver.read(2, 512)];
  assertEquals(old.calls, ["write"]);
  old.open.resolve();
  await swapped;
  await Promise.all([before.used, ...during.map(({ used }) => used)]);
  assertEquals(old.calls, ["write", "flush", "closed"]);
  assertEquals([before, ...during].map(({ status }) => status), [STATUS.OK, STATUS.OK, STATUS.OK]);
  assertEquals([fresh.bytes[512], fresh.bytes[2 * 512]], [0, 0xa5]);
  assertEquals(during[1]!.memory.subarray(0, 512), pattern(512));
  // It is larger: the driver is told.
  assertEquals([driver.slot.changes, driver.device.config()[0]], [1, 2 * SECTORS]);
  assertEquals(driver.device.name, "block fresh");
});

Deno.test("BlockDevice.swap() keeps the old backend if it cannot be flushed, or the wait is given up", async () => {
  const backend = fault(
    disk(),
    ({ operation }) => operation === "flush" ? new BackendError("no sync") : undefined,
  );
  await using driver = new BlockDriver({ backend });
  await assertRejects(() => driver.device.swap(sized(SECTORS), SIGNAL), BackendError, "no sync");
  assertEquals(await readStatus(driver, 0), STATUS.OK);

  const old = gated(disk());
  await using slow = new BlockDriver({ backend: old.backend });
  const chain = slow.read(0, 512);
  const patience = new AbortController();
  const swapped = slow.device.swap(sized(SECTORS), patience.signal);
  const later = slow.read(1, 512);
  patience.abort(new BackendError("too long"));
  await assertRejects(() => swapped, BackendError, "too long");
  old.open.resolve();
  await Promise.all([chain.used, later.used]);
  assertEquals([chain.status, later.status, old.calls], [STATUS.OK, STATUS.OK, ["read", "read"]]);
});

Deno.test("BlockDevice.swap() refuses what its driver could not go on with, and a second swap", async () => {
  const old = gated(disk({ name: "old" }));
  await using driver = new BlockDriver({ backend: old.backend });
  const refused = async (backend: BlockBackend, why: string) => {
    const swap = () => driver.device.swap(backend, SIGNAL);
    await assertRejects(swap, BackendError, `Cannot swap old for new: ${why}`);
  };
  await refused(sized(SECTORS - 1, { name: "new" }), "that has 63 sectors, wanted 64 or more");
  await refused(sized(SECTORS, { name: "new", readOnly: true }), "that is read-only");
  await refused({ ...sized(SECTORS), name: "new", blockSize: 4096, sectors: 64 } as never, "that");
  const chain = driver.read(0, 512);
  const swapped = driver.device.swap(sized(SECTORS), SIGNAL);
  await refused(sized(SECTORS, { name: "new" }), "it is being swapped");
  assertThrows(() => driver.device.resize(1 << 20), BackendError, "it is being swapped");
  old.open.resolve();
  await swapped;
  await chain.used;
});

Deno.test("BlockDevice.swap() goes on over a reset: the next driver's requests wait, too", async () => {
  const old = gated(disk());
  await using driver = new BlockDriver({ backend: old.backend });
  driver.read(0, 512);
  const swapped = driver.device.swap(sized(SECTORS), SIGNAL);
  driver.session.abort();
  const stopped = driver.device.stop();
  old.open.resolve();
  await Promise.all([stopped, swapped]);
  await driver.restart();
  const read = driver.read(1, 512);
  await read.used;
  assertEquals([read.status, read.memory[0]], [STATUS.OK, 0]);
});

Deno.test("BlockDevice that is closed gives a swap up", async () => {
  const old = gated(disk());
  const driver = new BlockDriver({ backend: old.backend });
  driver.read(0, 512);
  const swapped = driver.device.swap(sized(SECTORS), SIGNAL);
  const closed = driver.device[Symbol.asyncDispose]();
  await assertRejects(() => swapped, BackendError, "it was closed");
  old.open.resolve();
  await closed;
  assert(old.calls.includes("closed"));
  await driver[Symbol.asyncDispose]();
});

Deno.test("BlockDevice answers UNSUPP to what it offered and its new backend lacks", async () => {
  await using driver = new BlockDriver({ backend: disk() });
  const { discard: _, writeZeroes: __, ...bare } = delay(disk(), () => Promise.resolve());
  await driver.device.swap(bare, SIGNAL);
  for (const chain of [driver.discard, driver.writeZeroes]) {
    const request = chain.call(driver, { sector: 0, num_sectors: 8 });
    await request.used;
    assertEquals(request.status, STATUS.UNSUPP);
  }
});
