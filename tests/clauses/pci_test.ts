/** The functions of a whole card, as a driver of virtio 1.3 §4.1 finds them. */
import { assert, assertEquals } from "@std/assert";
import { barMap, virtioPciConfig } from "../../card/driver/virtio_pci_config.ts";
import { GuestBench } from "../support/guest_bench.ts";
import { REG } from "../support/guest_device.ts";

/** A vendor-specific capability, its fields where §4.1.4 has them. */
interface Capability {
  readonly type: number;
  readonly length: number;
  readonly bar: number;
  readonly at: number;
  readonly size: number;
  /** Behind the 16 bytes that all have. */
  readonly tail: readonly number[];
}

/** As a driver walks the list: from 0x34, each `next`. */
function capabilitiesOf(config: Uint8Array): Capability[] {
  const view = new DataView(config.buffer, config.byteOffset, config.length);
  const found: Capability[] = [];
  for (let at = config[0x34]!; at !== 0; at = config[at + 1]!) {
    assertEquals([config[at], at % 4], [9, 0]);
    const length = config[at + 2]!;
    found.push({
      type: config[at + 3]!,
      length,
      bar: config[at + 4]!,
      at: view.getUint32(at + 8, true),
      size: view.getUint32(at + 12, true),
      tail: Array.from(
        { length: (length - 16) / 4 },
        (_, i) => view.getUint32(at + 16 + 4 * i, true),
      ),
    });
    assert(at + length <= 256);
  }
  return found;
}

/** What a device must show: one of each kind, aligned, inside its BAR. */
function checkCapabilities(config: Uint8Array, queues: number, size: number, barSize: number) {
  const found = capabilitiesOf(config);
  assertEquals(found.map(({ type }) => type), size === 0 ? [1, 2, 3, 5] : [1, 2, 3, 4, 5]);
  assertEquals(
    found.map(({ length }) => length),
    size === 0 ? [16, 20, 16, 20] : [
      16,
      20,
      16,
      16,
      20,
    ],
  );
  const [common, notify, isr] = found;
  assertEquals([common!.at % 4, common!.size >= 0x38], [0, true]);
  const [multiplier] = notify!.tail;
  assert([2, 4].includes(multiplier!), "an even power of two");
  assertEquals(notify!.at % 2, 0);
  assert(notify!.size >= 2 && notify!.size >= (queues - 1) * multiplier! + 2);
  assert(isr!.size >= 1);
  if (size > 0) assertEquals([found[3]!.at % 4, found[3]!.size], [0, size]);
  const spans = found.slice(0, -1).map(({ bar, at, size }) => {
    assertEquals(bar, 0);
    assert(at + size <= barSize);
    return [at, at + size] as const;
  }).sort(([a], [b]) => a - b);
  spans.slice(1).forEach(([start], i) => assert(start >= spans[i]![1], "none lies over another"));
}

Deno.test("the capabilities of a function are whole, aligned and apart, for any number of queues", () => {
  for (let queues = 1; queues <= 64; queues++) {
    for (const length of [0, 1, 12, 60, 128, 256]) {
      const map = barMap(queues, length);
      checkCapabilities(virtioPciConfig(2, map), queues, length, map.size);
    }
  }
});

Deno.test("every function of a card has virtio's IDs, its capabilities, and queues of a power of two", async () => {
  await using bench = await GuestBench.boot();
  const guests = [bench.block, bench.network, bench.console, bench.bystander];
  const ids = guests.map(({ fn: { pciConfig } }) => [...pciConfig.subarray(0, 4)]);
  assertEquals(ids, [0x42, 0x41, 0x43, 0x42].map((id) => [0xf4, 0x1a, id, 0x10]));
  for (const guest of guests) {
    const { pciConfig, barSize } = guest.fn;
    assert(pciConfig[8]! >= 1, "revision of a function that is not transitional");
    const queues = guest.read(REG.num_queues, 2);
    const size = capabilitiesOf(pciConfig).find(({ type }) => type === 4)!.size;
    checkCapabilities(pciConfig, queues, size, barSize);
    for (const queue of Array.from({ length: queues + 3 }, (_, i) => i)) {
      guest.write(REG.queue_select, 2, queue);
      const entries = guest.read(REG.queue_size, 2);
      assertEquals(entries & (entries - 1), 0);
      assertEquals(entries > 0, queue < queues);
      assertEquals([REG.config_msix_vector, REG.queue_msix_vector].map((at) => guest.read(at, 2)), [
        0xffff,
        0xffff,
      ]);
    }
  }
});
