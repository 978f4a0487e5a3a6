import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertStringIncludes,
} from "@std/assert";
import { MemoryBackend } from "../../host/backends/memory.ts";
import type { BlockBackend } from "../../host/backends/types.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { FEATURE, REQUEST_TYPE, STATUS } from "../../protocol/virtio/block.ts";
import { BlockDriver, CACHELESS, header } from "../support/block_driver.ts";
import { disk, pattern, SECTORS } from "../support/block_disk.ts";
import { delay, fault } from "../support/block_filters.ts";

/** Counts syncs; each ends when the test says so. */
function withSyncs(inner: BlockBackend) {
  const syncs: PromiseWithResolvers<void>[] = [];
  const backend = delay(inner, ({ operation }) => {
    if (operation !== "flush") return Promise.resolve();
    const sync = Promise.withResolvers<void>();
    syncs.push(sync);
    return sync.promise;
  });
  return { syncs, backend };
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

Deno.test("BlockDevice.config() is the configuration space of a 64-sector disk, byte by byte", () => {
  const device = new BlockDevice({ backend: disk() });
  // deno-fmt-ignore
  assertEquals(device.config(), Uint8Array.of(
    0x40, 0, 0, 0, 0, 0, 0, 0, // capacity
    0, 0, 2, 0,                // size_max 128 KiB
    126, 0, 0, 0,              // seg_max
    0, 0, 0, 0,                // geometry
    0, 2, 0, 0,                // blk_size 512
    3, 0, 8, 0, 0, 0, 0, 0,    // 8 logical blocks a physical one, aligned, min_io_size 8, opt_io_size none
    1, 0,                      // writeback
    0, 0,                      // num_queues
    0, 0, 0x20, 0, 16, 0, 0, 0, 8, 0, 0, 0, // discard: 1 GiB, 16 ranges, 4 KiB
    0, 0, 0x20, 0, 16, 0, 0, 0, 1, 0, 0, 0, // write zeroes: 1 GiB, 16 ranges, may unmap
  ));
});

Deno.test("BlockDevice offers what its backend can", () => {
  const base = FEATURE.SIZE_MAX | FEATURE.SEG_MAX | FEATURE.BLK_SIZE | FEATURE.TOPOLOGY |
    FEATURE.FLUSH | FEATURE.CONFIG_WCE;
  const bare: BlockBackend = {
    name: "bare",
    sectors: 1,
    readOnly: false,
    blockSize: 512,
    read: () => {},
    write: () => {},
    flush: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  assertEquals(new BlockDevice({ backend: bare }).features, base);
  assertEquals(
    new BlockDevice({ backend: disk() }).features,
    base | FEATURE.DISCARD | FEATURE.WRITE_ZEROES,
  );
  const readOnly = new BlockDevice({ backend: disk({ readOnly: true }) });
  assertEquals(readOnly.features, base | FEATURE.RO);
});

Deno.test("BlockDevice reads data and status, and says how many bytes it wrote", async () => {
  const backend = disk();
  await using driver = new BlockDriver({ backend });
  const chain = driver.read(3, 1024);
  await chain.used;
  assertEquals(chain.memory.subarray(0, 1024), backend.bytes.subarray(3 * 512, 5 * 512));
  assertEquals([chain.status, chain.written], [STATUS.OK, 1025]);
  assertEquals(driver.queue.publishes, 1);
});

Deno.test("BlockDevice reads and writes no bytes at the end of the disk", async () => {
  await using driver = new BlockDriver({ backend: disk() });
  const read = driver.read(SECTORS, 0);
  const write = driver.write(SECTORS, new Uint8Array(0));
  await write.used;
  assertEquals([read.status, write.status], [STATUS.OK, STATUS.OK]);
});

Deno.test("BlockDevice reads right, and whole sectors, when the outgoing batch is cut inside them", async () => {
  const whole = disk();
  const backend = fault(whole, ({ sector, count }) => {
    return Number.isInteger(sector) && Number.isInteger(count) ? undefined : new Error("cut");
  });
  await using driver = new BlockDriver({ backend });
  for (const piece of [1, 100, 511, 512, 513, 1023, 1024]) {
    driver.queue.piece = piece;
    const chain = driver.read(1, 1024);
    await chain.used;
    assertEquals(chain.memory.subarray(0, 1024), whole.bytes.subarray(512, 1536));
    assertEquals([chain.status, chain.written], [STATUS.OK, 1025]);
  }
});

Deno.test("BlockDevice writes what was pushed", async () => {
  const backend = disk();
  await using driver = new BlockDriver({ backend });
  const data = new Uint8Array(512).fill(7);
  const chain = driver.write(2, data);
  await chain.used;
  assertEquals(backend.bytes.subarray(1024, 1536), data);
  assertEquals([chain.status, chain.written], [STATUS.OK, 1]);
});

for (const pushed of [0, 8, 16, 100, 527]) {
  Deno.test(`BlockDevice fetches a write of which ${pushed} bytes were pushed`, async () => {
    const backend = disk();
    await using driver = new BlockDriver({ backend });
    const data = new Uint8Array(512).fill(7);
    const readable = header(REQUEST_TYPE.OUT, 2, data);
    const chain = driver.queue.add({ readable, pushed, writable: 1 });
    driver.device.notified(0);
    await chain.used;
    assertEquals(backend.bytes.subarray(1024, 1536), data);
    assertEquals([chain.status, driver.queue.fetches], [STATUS.OK, 1]);
  });
}

Deno.test("BlockDevice answers GET_ID with 20 bytes: the image's name, padded or cut", async () => {
  const text = (memory: Uint8Array) => new TextDecoder().decode(memory.subarray(0, 20));
  await using short = new BlockDriver({ backend: disk({ name: "/images/root disk.img" }) });
  const padded = short.request(REQUEST_TYPE.GET_ID, 0, undefined, 20);
  await padded.used;
  assertEquals(text(padded.memory), "root_disk.img\0\0\0\0\0\0\0");
  assertEquals([padded.status, padded.written], [STATUS.OK, 21]);

  await using long = new BlockDriver({ backend: disk(), id: "0123456789abcdefghijklmn" });
  const cut = long.request(REQUEST_TYPE.GET_ID, 0, undefined, 20);
  await cut.used;
  assertEquals(text(cut.memory), "0123456789abcdefghij");
});

Deno.test("BlockDevice answers GET_ID into a shorter and into a longer buffer", async () => {
  await using driver = new BlockDriver({ backend: disk({ name: "abc" }) });
  const short = driver.request(REQUEST_TYPE.GET_ID, 0, undefined, 2);
  const long = driver.request(REQUEST_TYPE.GET_ID, 0, undefined, 30);
  await long.used;
  assertEquals(short.memory, Uint8Array.of(0x61, 0x62, STATUS.OK));
  assertEquals([long.memory[20], long.status, long.written], [0xee, STATUS.OK, 20]);
});

Deno.test("BlockDevice discards and zeroes every range of a request", async () => {
  const backend = disk();
  const before = backend.bytes.slice();
  await using driver = new BlockDriver({ backend });
  const zeroed = driver.writeZeroes(
    { sector: 0, num_sectors: 1, flags: 1 },
    { sector: 10, num_sectors: 2 },
  );
  const discarded = driver.discard({ sector: 60, num_sectors: 4 });
  await Promise.all([zeroed.used, discarded.used]);
  before.fill(0, 0, 512).fill(0, 10 * 512, 12 * 512).fill(0, 60 * 512);
  assertEquals(backend.bytes, before);
  assertEquals([zeroed.status, discarded.status], [STATUS.OK, STATUS.OK]);
});

Deno.test("BlockDevice passes on for each range whether it may be deallocated", async () => {
  const unmaps: boolean[] = [];
  const backend: BlockBackend = Object.assign(Object.create(disk()), {
    writeZeroes: (_sector: number, _count: number, unmap: boolean) => void unmaps.push(unmap),
  });
  await using driver = new BlockDriver({ backend });
  const ranges = [1, 0, 1].map((flags) => ({ sector: 0, num_sectors: 1, flags }));
  await driver.writeZeroes(...ranges).used;
  assertEquals(unmaps, [true, false, true]);
});

Deno.test("BlockDevice completes requests of a slow disk in the order in which they end", async () => {
  const ends: (() => void)[] = [];
  const inner = disk();
  const backend = delay(inner, () => new Promise((resolve) => ends.push(resolve)));
  await using driver = new BlockDriver({ backend });
  const chains = [driver.read(0, 512), driver.write(1, pattern(512)), driver.read(2, 512)];
  assertEquals(driver.queue.used, []);
  ends[2]!();
  await chains[2]!.used;
  ends[0]!();
  ends[1]!();
  await Promise.all(chains.map(({ used }) => used));
  assertEquals(driver.queue.used[0], chains[2]);
  assertEquals(driver.queue.publishes, 2);
  assertEquals(chains.map(({ written }) => written), [513, 1, 513]);
  assertEquals(chains[2]!.memory.subarray(0, 512), inner.bytes.subarray(1024, 1536));
});

Deno.test("BlockDevice turns a backend's error into IOERR, and says so once with sector and cause", async () => {
  const broken = new Error("bad block");
  for (const synchronous of [true, false]) {
    const inner = fault(disk(), ({ sector }) => sector === 5 ? broken : undefined);
    const backend = synchronous ? inner : delay(inner, () => Promise.resolve());
    await using driver = new BlockDriver({ backend });
    const bad = driver.read(5, 512);
    const worse = driver.write(5, pattern(512));
    const good = driver.read(6, 512);
    await Promise.all([bad.used, worse.used, good.used]);
    assertEquals([bad.status, worse.status, good.status], [STATUS.IOERR, STATUS.IOERR, STATUS.OK]);
    assertEquals([bad.written, worse.written, good.written], [0, 1, 513]);
    assertEquals(driver.errors.map(({ message }) => message), [
      "IN request at sector 5 failed: bad block",
      "OUT request at sector 5 failed: bad block",
    ]);
    assertEquals(driver.errors[0]!.cause, broken);
    // What the backend left behind is not shown to the driver as data.
    assert(bad.memory.subarray(0, 512).every((byte) => byte === 0 || byte === 0xee));
  }
});

Deno.test("BlockDevice answers a flush when the data is on stable storage, one sync for all that came together", async () => {
  const { syncs, backend } = withSyncs(disk());
  await using driver = new BlockDriver({ backend });
  const flushes = [driver.flush(), driver.flush()];
  await turn();
  assertEquals([syncs.length, driver.queue.used.length], [1, 0]);
  syncs[0]!.resolve();
  await Promise.all(flushes.map(({ used }) => used));
  assertEquals(flushes.map(({ status }) => status), [STATUS.OK, STATUS.OK]);
});

Deno.test("BlockDevice does not let a flush share a sync that began before the write it must cover", async () => {
  const { syncs, backend } = withSyncs(disk());
  await using driver = new BlockDriver({ backend });
  const early = driver.flush();
  await turn();
  const write = driver.write(0, pattern(512));
  await write.used;
  const late = driver.flush();
  await turn();
  syncs[0]!.resolve();
  await early.used;
  await turn();
  assertEquals([syncs.length, late.written], [2, undefined]);
  syncs[1]!.resolve();
  await late.used;
});

Deno.test("BlockDevice fails a flush whose sync failed", async () => {
  const backend = fault(disk(), ({ operation }) => {
    return operation === "flush" ? new Error("no power") : undefined;
  });
  await using driver = new BlockDriver({ backend });
  const chain = driver.flush();
  await chain.used;
  assertEquals(chain.status, STATUS.IOERR);
  assertStringIncludes(driver.errors[0]!.message, "FLUSH request failed: no power");
});

Deno.test("BlockDevice says at which sector a discard or zeroing failed: its header has none", async () => {
  const backend = fault(disk(), ({ operation }) => {
    return operation === "discard" || operation === "writeZeroes" ? new Error("no") : undefined;
  });
  await using driver = new BlockDriver({ backend });
  const range = { sector: 5, num_sectors: 1 };
  const chains = [driver.discard(range), driver.writeZeroes(range)];
  await Promise.all(chains.map(({ used }) => used));
  assertEquals(chains.map(({ status }) => status), [STATUS.IOERR, STATUS.IOERR]);
  assertEquals(driver.errors.map(({ message }) => message), [
    "DISCARD request at sector 5 failed: no",
    "WRITE_ZEROES request at sector 5 failed: no",
  ]);
});

Deno.test("BlockDevice acknowledges a write at once in writeback, and after a sync in writethrough", async () => {
  const { syncs, backend } = withSyncs(disk());
  await using driver = new BlockDriver({ backend });
  await driver.write(0, pattern(512)).used;
  assertEquals(syncs.length, 0);

  driver.device.configWritten(32, 1, 0);
  assertEquals([driver.device.config()[32], driver.slot.changes], [0, 1]);
  const writes = [driver.write(1, pattern(512)), driver.write(2, pattern(512))];
  await turn();
  assertEquals([syncs.length, driver.queue.used.length], [1, 1]);
  syncs[0]!.resolve();
  await Promise.all(writes.map(({ used }) => used));

  driver.device.configWritten(32, 1, 1);
  await driver.write(0, pattern(512)).used;
  assertEquals(syncs.length, 1);
});

Deno.test("BlockDevice is writethrough for a driver without FLUSH, and zeroes count as writes", async () => {
  const { syncs, backend } = withSyncs(disk());
  await using driver = new BlockDriver({ backend }, CACHELESS);
  const chain = driver.writeZeroes({ sector: 0, num_sectors: 1 });
  await turn();
  assertEquals([syncs.length, chain.written], [1, undefined]);
  syncs[0]!.resolve();
  await chain.used;
});

Deno.test("BlockDevice forgets the cache mode at reset, and ignores other writes to its configuration", async () => {
  await using driver = new BlockDriver({ backend: disk() });
  driver.device.configWritten(0, 1, 0);
  driver.device.configWritten(32, 4, 0);
  assertEquals([driver.device.config()[32], driver.slot.changes], [1, 0]);
  driver.device.configWritten(32, 1, 0);
  await driver.restart();
  assertEquals([driver.device.config()[32], driver.slot.changes], [1, 2]);
  await driver.restart(driver.device.features & ~FEATURE.CONFIG_WCE);
  driver.device.configWritten(32, 1, 0);
  assertEquals(driver.device.config()[32], 1);
});

Deno.test("BlockDevice knows the cache mode of a driver that chose it right behind DRIVER_OK", async () => {
  const { syncs, backend } = withSyncs(disk());
  await using driver = new BlockDriver({ backend });
  const choose = () => driver.device.configWritten(32, 1, 0);
  await driver.restart(driver.session.features, choose);
  const { used } = driver.write(0, pattern(512));
  await turn();
  assertEquals(syncs.length, 1);
  syncs[0]!.resolve();
  await used;
  // One that has not negotiated it does not choose.
  await driver.restart(driver.device.features & ~FEATURE.CONFIG_WCE, choose);
  assertEquals(driver.device.config()[32], 1);
});

Deno.test("BlockDevice begins in writethrough, and says so, for a driver that can choose and cannot flush", async () => {
  const { syncs, backend } = withSyncs(disk());
  await using driver = new BlockDriver({ backend }, FEATURE.FLUSH);
  assertEquals([driver.device.config()[32], driver.slot.changes], [0, 1]);
  const { used } = driver.write(0, pattern(512));
  await turn();
  assertEquals(syncs.length, 1);
  syncs[0]!.resolve();
  await used;
  // What the driver says counts, and ends with it.
  driver.device.configWritten(32, 1, 1);
  assertEquals([driver.device.config()[32], driver.slot.changes], [1, 2]);
  await driver.write(0, pattern(512)).used;
  assertEquals(syncs.length, 1);
  await driver.restart(driver.session.features, () => {
    assertEquals([driver.device.config()[32], driver.slot.changes], [1, 2]);
  });
  assertEquals([driver.device.config()[32], driver.slot.changes], [0, 3]);
});

Deno.test("BlockDevice pauses while the link is full, and goes on", async () => {
  await using driver = new BlockDriver({ backend: disk() });
  driver.session.writable = false;
  const chain = driver.read(0, 512);
  assertEquals(driver.queue.available, 1);
  driver.session.writable = true;
  await chain.used;
});

Deno.test("BlockDevice bounds the bytes that wait for a slow disk", async () => {
  const gate = Promise.withResolvers<void>();
  const inner = new MemoryBackend(new Uint8Array(8 * 1024 * 1024));
  await using driver = new BlockDriver({ backend: delay(inner, () => gate.promise) });
  const chains = Array.from({ length: 8 }, () => driver.read(0, 8 * 1024 * 1024));
  // Such a request is a turn of its own.
  for (let turns = 0; turns < 8; turns++) await turn();
  const left = driver.queue.available;
  gate.resolve();
  // Four are 32 MiB; the pump holds the fifth.
  assertEquals(left, 3);
  await Promise.all(chains.map(({ used }) => used));
  assert(chains.every(({ status }) => status === STATUS.OK));
});

Deno.test("BlockDevice.stop() waits for the backend and touches nothing afterwards", async () => {
  const ends: (() => void)[] = [];
  const backend = delay(disk(), () => new Promise((resolve) => ends.push(resolve)));
  await using driver = new BlockDriver({ backend });
  const chains = [driver.read(0, 512), driver.write(0, pattern(512)), driver.flush()];
  await turn();
  assertEquals(ends.length, 3);
  driver.session.abort();
  let stopped = false;
  const stop = driver.device.stop().then(() => stopped = true);
  const closed = driver.session;
  ends[0]!();
  ends[1]!();
  await turn();
  assertEquals(stopped, false);
  ends[2]!();
  await stop;
  closed.close();
  await turn();
  assertEquals([closed.failure, driver.errors.length], [undefined, 0]);
  assertEquals(chains.map(({ status }) => status), [0xee, 0xee, 0xee]);
});

Deno.test("BlockDevice does not report what a backend gave up because of the reset", async () => {
  const backend = delay(
    disk(),
    (_call, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  );
  await using driver = new BlockDriver({ backend });
  driver.read(0, 512);
  driver.flush();
  await turn();
  await driver.reset();
  assertEquals(driver.errors, []);
});

Deno.test("BlockDevice.stop() lets a write that was fetched too late alone", async () => {
  const backend = disk();
  await using driver = new BlockDriver({ backend });
  driver.queue.add({
    readable: header(REQUEST_TYPE.OUT, 0, pattern(512)),
    pushed: 16,
    writable: 1,
  });
  driver.device.notified(0);
  await driver.device.stop();
  assertEquals(backend.bytes, disk().bytes);
});

Deno.test("BlockDevice.stop() waits for a fetch, and writes nothing of it", async () => {
  const backend = disk();
  await using driver = new BlockDriver({ backend });
  const gate = Promise.withResolvers<void>();
  driver.queue.fetchGate = gate.promise;
  driver.queue.add({
    readable: header(REQUEST_TYPE.OUT, 0, pattern(512)),
    pushed: 16,
    writable: 1,
  });
  driver.device.notified(0);
  const reset = driver.reset();
  gate.resolve();
  await reset;
  assertEquals(backend.bytes, disk().bytes);
  assertEquals(driver.session.failure, undefined);
});

Deno.test("BlockDevice fails when a fetch fails for another reason than a reset", async () => {
  await using driver = new BlockDriver({ backend: disk() });
  const gate = Promise.withResolvers<void>();
  driver.queue.fetchGate = gate.promise;
  driver.queue.add({
    readable: header(REQUEST_TYPE.OUT, 0, pattern(512)),
    pushed: 16,
    writable: 1,
  });
  driver.device.notified(0);
  gate.reject(new Error("unsupported request"));
  await turn();
  assertInstanceOf(driver.session.failure, Error);
});

Deno.test("BlockDevice serves a deep queue in turns of 64, and lets every sixteen answers leave", async () => {
  await using driver = new BlockDriver({ backend: disk() });
  const add = () => driver.queue.add({ readable: header(REQUEST_TYPE.IN, 0), writable: 513 });
  const chains = Array.from({ length: 100 }, add);
  driver.device.notified(0);
  await Promise.all(chains.map(({ used }) => used));
  // 4 × 16, and 16, 16 and 4 of the second turn.
  assertEquals([driver.queue.publishes, driver.session.flushes], [7, 6]);
  assertGreater(driver.queue.used.length, 99);
});

Deno.test("BlockDevice counts requests, the bytes of those that went well, and how many failed, over resets too", async () => {
  let broken = false;
  const backend = fault(disk(), () => broken ? new Error("no") : undefined);
  await using driver = new BlockDriver({ backend });
  await driver.read(0, 1024).used;
  await driver.write(2, pattern(512)).used;
  await driver.flush().used;
  await driver.discard({ sector: 0, num_sectors: 8 }).used;
  await driver.request(99, 0).used;
  await driver.restart();
  // Behind the end, and of a store that fails.
  await driver.read(SECTORS, 512).used;
  broken = true;
  await driver.read(0, 512).used;
  await driver.write(0, pattern(512)).used;
  assertEquals(driver.device.counters, {
    reads: 3,
    readBytes: 1024,
    writes: 2,
    writtenBytes: 512,
    flushes: 1,
    ranges: 1,
    errors: 3,
    unsupported: 1,
  });
});
