import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FileBackend } from "../../host/backends/file.ts";
import { MemoryBackend } from "../../host/backends/memory.ts";
import type { BlockBackend } from "../../host/backends/types.ts";
import { FEATURE, STATUS } from "../../protocol/virtio/block.ts";
import { BlockDriver } from "../support/block_driver.ts";
import { delay } from "../support/block_filters.ts";

// A disk is an array of bytes. Any sequence of requests, in any cut of the outgoing batch, must leave the same array.
const SECTORS = 40;

const KINDS = ["read", "write", "zero", "unmap", "discard", "flush", "reset"] as const;

interface Step {
  readonly do: (typeof KINDS)[number];
  readonly at: number;
  readonly n: number;
  readonly byte: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom(...KINDS),
  at: fc.nat(SECTORS + 2),
  n: fc.nat(12),
  byte: fc.integer({ min: 1, max: 255 }),
});

async function check(backend: BlockBackend, steps: readonly Step[], piece: number): Promise<void> {
  const model = new Uint8Array(SECTORS * 512);
  await using driver = new BlockDriver({ backend });
  for (const step of steps) {
    driver.queue.piece = piece;
    if (step.do === "reset") {
      await driver.restart();
      continue;
    }
    if (step.do === "flush") {
      const chain = driver.flush();
      await chain.used;
      assertEquals(chain.status, STATUS.OK);
      continue;
    }
    const { at, n } = step;
    const range = { sector: at, num_sectors: n };
    const chain = step.do === "read"
      ? driver.read(at, n * 512)
      : step.do === "write"
      ? driver.write(at, new Uint8Array(n * 512).fill(step.byte))
      : step.do === "discard"
      ? driver.discard(range)
      : driver.writeZeroes({ ...range, flags: step.do === "unmap" ? 1 : 0 });
    await chain.used;
    const fits = at + n <= SECTORS;
    assertEquals(chain.status, fits ? STATUS.OK : STATUS.IOERR, JSON.stringify(step));
    if (!fits) continue;
    const span = model.subarray(at * 512, (at + n) * 512);
    if (step.do === "read") assertEquals(chain.memory.subarray(0, n * 512), span);
    else if (step.do === "write") span.fill(step.byte);
    else if (step.do !== "discard") span.fill(0);
    else {
      // Contents are undefined after a discard: make them known again.
      span.fill(9);
      await driver.write(at, span.slice()).used;
    }
  }
  const all = driver.read(0, SECTORS * 512);
  await all.used;
  assertEquals(all.memory.subarray(0, SECTORS * 512), model);
  assertEquals(driver.session.failure, undefined);
}

const steps = fc.array(step, { maxLength: 40 });
const piece = fc.constantFrom(1, 300, 512, 4096, 1024 * 1024);

for (
  const [name, make] of [
    ["in memory", () => new MemoryBackend(new Uint8Array(SECTORS * 512))],
    [
      "that answers later",
      () => delay(new MemoryBackend(new Uint8Array(SECTORS * 512)), () => Promise.resolve()),
    ],
  ] as const
) {
  Deno.test(`BlockDevice on a disk ${name} is an array of bytes, whatever is asked`, async () => {
    await fc.assert(fc.asyncProperty(steps, piece, (steps, piece) => check(make(), steps, piece)));
  });
}

Deno.test("BlockDevice on a file is an array of bytes, whatever is asked", async () => {
  const path = await Deno.makeTempFile();
  try {
    await fc.assert(
      fc.asyncProperty(steps, piece, async (steps, piece) => {
        await Deno.truncate(path, 0);
        await Deno.truncate(path, SECTORS * 512);
        await check(FileBackend.open(path), steps, piece);
      }),
      { numRuns: 30 },
    );
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("BlockDevice leaves no write of a deep queue out of a flush", async () => {
  const inner = new MemoryBackend(new Uint8Array(SECTORS * 512));
  const stable = new Uint8Array(SECTORS * 512);
  const backend = delay(inner, ({ operation }) => {
    if (operation === "flush") stable.set(inner.bytes);
    return Promise.resolve();
  });
  await using driver = new BlockDriver({ backend }, FEATURE.DISCARD);
  for (let round = 1; round < 20; round++) {
    const data = new Uint8Array(512).fill(round);
    const writes = Array.from({ length: SECTORS }, (_, sector) => driver.write(sector, data));
    await Promise.all(writes.map(({ used }) => used));
    const flush = driver.flush();
    await flush.used;
    assert(stable.every((byte) => byte === round));
  }
});
