/** What each device offers, bit by bit, and that no feature comes without those that it needs (virtio 1.3 §2.2.2, §6.2). */
import { assertEquals } from "@std/assert";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { ConsoleDevice } from "../../host/devices/console.ts";
import { NetDevice } from "../../host/devices/net.ts";
import { AttachedDevice } from "../../host/driver/attached_device.ts";
import type { VirtioDevice } from "../../host/driver/virtio_device.ts";
import { GuestBench } from "../support/guest_bench.ts";
import { REG } from "../support/guest_device.ts";
import { MemoryNet } from "../support/memory_net.ts";
import {
  BLOCK,
  BLOCK_READ_ONLY,
  BLOCK_WRITABLE,
  CONSOLE,
  NET,
  NET_CHECKSUM,
  NET_SEGMENTATION,
  OFFERED,
  TRANSPORT,
} from "./offered.ts";

const bitsOf = (set: bigint): number[] =>
  Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => (set >> BigInt(bit) & 1n) === 1n);

class Net extends MemoryNet {
  override readonly offloads: { checksum: boolean; segmentation: boolean };
  constructor(checksum: boolean, segmentation: boolean) {
    super();
    this.offloads = { checksum, segmentation };
  }
}
class ReadOnly extends MemoryBackend {
  override readonly readOnly = true;
}

const terminal = () => ({
  name: "terminal",
  size: undefined,
  write() {},
  open() {},
  resume() {},
  [Symbol.asyncDispose]: () => Promise.resolve(),
});
const disk = () => new MemoryBackend(new Uint8Array(4096));

const DEVICES: readonly {
  readonly what: string;
  readonly make: () => VirtioDevice;
  readonly bits: readonly number[];
}[] = [
  {
    what: "a disk",
    make: () => new BlockDevice({ backend: disk() }),
    bits: [...BLOCK, ...BLOCK_WRITABLE],
  },
  {
    what: "a read-only disk",
    make: () => new BlockDevice({ backend: new ReadOnly(new Uint8Array(4096)) }),
    bits: [...BLOCK, ...BLOCK_READ_ONLY],
  },
  { what: "a network", make: () => new NetDevice(new Net(false, false)), bits: NET },
  {
    what: "a network with segmentation and no checksums",
    make: () => new NetDevice(new Net(false, true)),
    bits: NET,
  },
  {
    what: "a network with checksums",
    make: () => new NetDevice(new Net(true, false)),
    bits: [...NET, ...NET_CHECKSUM],
  },
  {
    what: "a network with segmentation",
    make: () => new NetDevice(new Net(true, true)),
    bits: [...NET, ...NET_CHECKSUM, ...NET_SEGMENTATION],
  },
  {
    what: "a console",
    make: () => new ConsoleDevice([{ backend: terminal() }]),
    bits: CONSOLE,
  },
];

/** What a feature needs, by type: any one of each list (§5.1.3.1, §5.2.5.2). */
const NEEDS: Readonly<Record<number, readonly [number, readonly (readonly number[])[]][]>> = {
  1: [
    [7, [[1]]],
    [8, [[1]]],
    [9, [[7, 8]]],
    [10, [[1]]],
    [54, [[1]]],
    [55, [[1]]],
    [11, [[0]]],
    [12, [[0]]],
    [13, [[11, 12]]],
    [14, [[0]]],
    [56, [[0]]],
    ...[18, 19, 21, 22, 23, 53, 60].map((bit): [number, number[][]] => [bit, [[17]]]),
    [51, [[17], [57]]],
    [52, [[17]]],
    [61, [[7, 8]]],
  ],
  2: [[11, [[9]]]],
  3: [],
};

for (const { what, make, bits } of DEVICES) {
  Deno.test(`${what} offers these features, and none without those that it needs`, async () => {
    await using device = make();
    const offered = bitsOf(new AttachedDevice(device).features);
    assertEquals(offered, [...bits, ...TRANSPORT].sort((a, b) => a - b));
    for (const [bit, needed] of NEEDS[device.type]!) {
      if (!offered.includes(bit)) continue;
      const met = needed.every((some) => some.some((other) => offered.includes(other)));
      assertEquals(met, true, `feature ${bit}`);
    }
  });
}

Deno.test("a driver reads what the host's device offers in words 0 and 1 of device_feature, and 0 in all others", async () => {
  await using bench = await GuestBench.boot();
  const seen = [bench.block, bench.network, bench.console].map(({ offered }) => bitsOf(offered));
  assertEquals(
    seen,
    [[...BLOCK, ...BLOCK_WRITABLE], OFFERED[1]!, CONSOLE].map((bits) =>
      [...bits, ...TRANSPORT].sort((a, b) => a - b)
    ),
  );
  for (const select of [2, 3, 31, 0x7fff_ffff, 0xffff_ffff]) {
    bench.block.write(REG.device_feature_select, 4, select);
    assertEquals(bench.block.read(REG.device_feature, 4), 0);
  }
});

Deno.test("a driver may take any set of the features offered that is whole in itself", async () => {
  await using bench = await GuestBench.boot();
  for (const guest of [bench.block, bench.network, bench.console]) {
    const own = bitsOf(guest.offered).filter((bit) => bit !== 32);
    for (const left of [own, ...own.map((bit) => own.filter((other) => other !== bit)), []]) {
      await guest.reset();
      guest.negotiate({
        features: [32, ...left].reduce((set, bit) => set | 1n << BigInt(bit), 0n),
      });
      assertEquals(guest.status, 11, `${guest.fn.name}: ${left}`);
    }
  }
});
