// What a block device refuses, and that it changes nothing by it (virtio 1.3 §5.2.6).
import { assertEquals, assertInstanceOf } from "@std/assert";
import type { BlockBackend } from "../../host/backends/types.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { DriverError } from "../../protocol/errors.ts";
import { FEATURE, REQUEST_TYPE, STATUS } from "../../protocol/virtio/block.ts";
import { BlockDriver, header, ranges } from "../support/block_driver.ts";
import { FakeSession } from "../support/fake_queue.ts";
import { disk, pattern } from "../support/block_disk.ts";

const BAD: readonly {
  readonly what: string;
  readonly status: number;
  readonly type: number;
  readonly sector?: number;
  readonly data?: Uint8Array;
  readonly writable?: number;
}[] = [
  { what: "an unknown type", status: STATUS.UNSUPP, type: 99 },
  { what: "GET_LIFETIME", status: STATUS.UNSUPP, type: 10, writable: 24 },
  { what: "SECURE_ERASE", status: STATUS.UNSUPP, type: 14, data: new Uint8Array(16) },
  { what: "a read past the end", status: STATUS.IOERR, type: 0, sector: 63, writable: 1024 },
  { what: "a read from the end", status: STATUS.IOERR, type: 0, sector: 64, writable: 512 },
  { what: "a read far away", status: STATUS.IOERR, type: 0, sector: 2 ** 51, writable: 512 },
  { what: "a read of half a sector", status: STATUS.IOERR, type: 0, writable: 256 },
  { what: "a write past the end", status: STATUS.IOERR, type: 1, sector: 64, data: pattern(512) },
  { what: "a write of 511 bytes", status: STATUS.IOERR, type: 1, data: pattern(511) },
  { what: "a discard without ranges", status: STATUS.IOERR, type: 11 },
  {
    what: "a discard of 17 bytes of ranges",
    status: STATUS.IOERR,
    type: 11,
    data: new Uint8Array(17),
  },
  {
    what: "a discard past the end",
    status: STATUS.IOERR,
    type: 11,
    data: ranges([{ sector: 0, num_sectors: 1 }, { sector: 63, num_sectors: 2 }]),
  },
  {
    what: "a discard with the unmap flag",
    status: STATUS.UNSUPP,
    type: 11,
    data: ranges([{ sector: 0, num_sectors: 1, flags: 1 }]),
  },
  {
    what: "zeroes with an unknown flag",
    status: STATUS.UNSUPP,
    type: 13,
    data: ranges([{ sector: 0, num_sectors: 1 }, { sector: 0, num_sectors: 1, flags: 3 }]),
  },
  {
    what: "a discard that is wrong in every way, an unknown flag last",
    status: STATUS.UNSUPP,
    type: 11,
    data: ranges(
      Array.from({ length: 20 }, (_, i) => ({
        sector: 99,
        num_sectors: 0xffff_ffff,
        flags: i === 19 ? 2 : 0,
      })),
    ),
  },
  { what: "ZONE_OPEN", status: STATUS.UNSUPP, type: 18 },
  { what: "ZONE_CLOSE", status: STATUS.UNSUPP, type: 20 },
  { what: "ZONE_FINISH", status: STATUS.UNSUPP, type: 22 },
  { what: "ZONE_RESET", status: STATUS.UNSUPP, type: 24 },
  { what: "ZONE_RESET_ALL", status: STATUS.UNSUPP, type: 26 },
  { what: "ZONE_APPEND", status: STATUS.UNSUPP, type: 15, data: pattern(512), writable: 8 },
  { what: "ZONE_REPORT", status: STATUS.UNSUPP, type: 16, writable: 512 },
  {
    what: "zeroes of too many sectors",
    status: STATUS.IOERR,
    type: 13,
    data: ranges([{ sector: 0, num_sectors: 0xffff_ffff }]),
  },
  {
    what: "a discard of too many ranges",
    status: STATUS.IOERR,
    type: 11,
    data: ranges(Array.from({ length: 17 }, () => ({ sector: 0, num_sectors: 1 }))),
  },
  {
    what: "a read longer than the limits allow",
    status: STATUS.IOERR,
    type: 0,
    writable: 126 * 128 * 1024 + 512,
  },
];

for (const { what, status, type, sector = 0, data, writable } of BAD) {
  Deno.test(`BlockDevice refuses ${what} and changes nothing`, async () => {
    const backend = disk();
    await using driver = new BlockDriver({ backend });
    const chain = driver.request(type, sector, data, writable);
    await chain.used;
    assertEquals(chain.status, status);
    assertEquals(backend.bytes, disk().bytes);
    assertEquals([driver.session.failure, driver.errors.length], [undefined, 0]);
    // Data that was not written is not counted.
    assertEquals(chain.written, writable === undefined ? 1 : 0);
  });
}

Deno.test("BlockDevice refuses a sector number of 64 bits", async () => {
  await using driver = new BlockDriver({ backend: disk() });
  const readable = header(REQUEST_TYPE.IN, 0).fill(0xff, 8);
  const chain = driver.queue.add({ readable, writable: 513 });
  driver.device.notified(0);
  await chain.used;
  assertEquals(chain.status, STATUS.IOERR);
});

Deno.test("BlockDevice refuses changes of a read-only disk with IOERR", async () => {
  const backend = disk({ readOnly: true });
  await using driver = new BlockDriver({ backend });
  const write = driver.write(0, pattern(512));
  const flush = driver.flush();
  await Promise.all([write.used, flush.used]);
  assertEquals([write.status, flush.status], [STATUS.IOERR, STATUS.OK]);
  assertEquals(backend.bytes, disk().bytes);
});

Deno.test("BlockDevice does not know discards that were not negotiated", async () => {
  await using driver = new BlockDriver({ backend: disk() }, FEATURE.DISCARD);
  const chain = driver.discard({ sector: 0, num_sectors: 1 });
  await chain.used;
  assertEquals(chain.status, STATUS.UNSUPP);
});

Deno.test("BlockDevice refuses what is not whole blocks of a disk with 4 KiB blocks", async () => {
  const inner = disk();
  const backend: BlockBackend = Object.assign(Object.create(inner), { blockSize: 4096 });
  await using driver = new BlockDriver({ backend });
  assertEquals([...driver.device.config().subarray(20, 28)], [0, 16, 0, 0, 0, 0, 1, 0]);
  const chains = [driver.read(0, 512), driver.read(1, 4096), driver.read(8, 4096)];
  await Promise.all(chains.map(({ used }) => used));
  assertEquals(chains.map(({ status }) => status), [STATUS.IOERR, STATUS.IOERR, STATUS.OK]);
});

for (
  const { readable, writable } of [{ readable: 15, writable: 1 }, { readable: 16, writable: 0 }]
) {
  Deno.test(`BlockDevice fails on a chain of ${readable} readable and ${writable} writable bytes`, async () => {
    await using driver = new BlockDriver({ backend: disk() });
    driver.queue.add({ readable: new Uint8Array(readable), writable });
    driver.device.notified(0);
    assertInstanceOf(driver.session.failure, DriverError);
    assertEquals(driver.session.failure.fault, "request");
    await driver.restart();
    const chain = driver.read(0, 512);
    await chain.used;
    assertEquals(chain.status, STATUS.OK);
  });
}

Deno.test("BlockDevice fails without its queue", async () => {
  await using device = new BlockDevice({ backend: disk() });
  const session = new FakeSession([], device.features);
  device.start(session);
  assertInstanceOf(session.failure, DriverError);
  device.notified(0);
});
