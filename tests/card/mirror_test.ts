/** The card end of the virtqueue mirror: what it posts, and what it makes of a hostile driver and host. */
import { assertEquals, assertThrows } from "@std/assert";
import { QueueMirror } from "../../card/driver/mirror.ts";
import { DESC_F, DriverError, viewOf, VIRTQ_DESC } from "../../protocol/mod.ts";
import {
  APERTURE,
  BUFFERS,
  MEMORY_SIZE,
  MIRROR,
  MirrorRig,
  ringOf,
  STAGING,
} from "../support/mirror_rig.ts";
import { RingDriver } from "../support/ring_driver.ts";

const USED = ringOf(8).usedRing;
const PIECE = [{ address: BUFFERS, length: 4 }];

/** Another mirror of the rig's queue, as for the next driver. */
function mirrorOf(rig: MirrorRig, eventIndex: boolean): QueueMirror {
  return new QueueMirror({
    requester: rig.toHost,
    memory: {
      size: MEMORY_SIZE,
      bytes: () => rig.bytes,
      view: () => viewOf(rig.bytes),
      written() {},
    },
    ring: ringOf(8),
    indirect: false,
    eventIndex,
    row: rig.row(),
    sendMsi() {},
    failed() {},
  });
}

Deno.test("a mirror begins by posting its index, over what an earlier driver left", () => {
  const rig = new MirrorRig();
  viewOf(rig.mirror).setUint16(2, 77, true);
  mirrorOf(rig, false);
  rig.settle();
  assertEquals(rig.mirror.subarray(2, 4), new Uint8Array(2));
});

Deno.test("kick() posts record, ring entry and index in one write, byte for byte", () => {
  const rig = new MirrorRig();
  rig.bytes.set([0xde, 0xad, 0xbe, 0xef], BUFFERS);
  rig.driver.add(PIECE, [{ address: 0x1_2340, length: 0x200 }]);
  rig.notify();
  const { spans, bytes } = rig.toHost.frames[0]!;
  assertEquals(spans, [
    { address: STAGING, length: 48 },
    { address: MIRROR + 4, length: 4 },
    { address: MIRROR + 2, length: 2 },
  ]);
  assertEquals(
    bytes,
    // deno-fmt-ignore
    new Uint8Array([
      0, 0,  0, 0,  1, 0,  0, 0,  4, 0, 0, 0,  4, 0, 0, 0,
      0x40, 0x23, 0x01, 0, 0, 0, 0, 0,  0x00, 0x02, 0, 0,  0, 0, 0, 0,
      0xde, 0xad, 0xbe, 0xef,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0,
      1, 0,
    ]),
  );
});

Deno.test("kick() asks for the next notification, and says which bytes it wrote", () => {
  const rig = new MirrorRig({ eventIndex: true });
  rig.driver.add(PIECE, []);
  rig.driver.add(PIECE, []);
  rig.notify();
  const at = USED + 4 + 8 * 8;
  assertEquals(viewOf(rig.bytes).getUint16(at, true), 2);
  assertEquals(rig.written, [[at, at + 2]]);
  rig.card.kick();
  assertEquals(rig.written.length, 1, "nothing new, nothing written");
});

for (const eventIndex of [true, false]) {
  Deno.test(`a mirror clears the used ring's flags that a driver left set, EVENT_IDX ${eventIndex}`, () => {
    const rig = new MirrorRig({ eventIndex });
    viewOf(rig.bytes).setUint16(USED, 0xbeef, true);
    mirrorOf(rig, eventIndex);
    assertEquals(viewOf(rig.bytes).getUint16(USED, true), 0);
  });
}

Deno.test("kick() hands the batch over at once for a queue that was idle, and lets a busy one gather", () => {
  const rig = new MirrorRig({ eventIndex: false });
  rig.card.kick();
  assertEquals(rig.toHost.flushes, 0, "nothing to send");
  rig.driver.add(PIECE, []);
  rig.notify();
  assertEquals(rig.toHost.flushes, 1);
  rig.driver.add(PIECE, []);
  rig.notify();
  assertEquals(rig.toHost.flushes, 1, "one is in flight");
});

Deno.test("the first 256 KiB of a large record leave while the rest of it is copied", () => {
  const KIB = 1024;
  const rig = new MirrorRig({ pushLimit: 512 * KIB, stagingLength: 4096 * KIB });
  const add = (length: number) => rig.driver.add([{ address: BUFFERS, length }], []);
  add(256 * KIB);
  rig.notify();
  assertEquals(rig.toHost.flushes, 1, "for an idle queue");
  add(256 * KIB + 1);
  rig.notify();
  assertEquals(rig.toHost.flushes, 2);
  add(512 * KIB);
  rig.notify();
  assertEquals(rig.toHost.flushes, 3);
});

Deno.test("used() says whether the driver wants an interrupt: flags without EVENT_IDX", () => {
  const rig = new MirrorRig({ eventIndex: false });
  const round = () => {
    rig.driver.add(PIECE, []);
    rig.notify();
    rig.settle();
    rig.host.push(rig.host.pop()!, 0);
    rig.host.publish();
    rig.settle();
    return rig.interrupts;
  };
  assertEquals(round(), 1);
  rig.driver.wantInterrupt(false);
  assertEquals(round(), 1);
  rig.driver.wantInterrupt(true);
  assertEquals(round(), 2);
  assertEquals(rig.card.used(), false, "nothing was used since");
});

Deno.test("used() says whether the driver wants an interrupt: used_event with EVENT_IDX", () => {
  const rig = new MirrorRig({ eventIndex: true });
  rig.driver.wantInterrupt(true, 2);
  const seen: number[] = [];
  for (let i = 0; i < 4; i++) {
    rig.driver.add(PIECE, []);
    rig.notify();
    rig.settle();
    rig.host.push(rig.host.pop()!, 0);
    rig.host.publish();
    rig.settle();
    seen.push(rig.interrupts);
  }
  assertEquals(seen, [0, 0, 1, 1]);
});

for (const eventIndex of [true, false]) {
  Deno.test(`used() looks at ${eventIndex ? "used_event" : "the flags"} alone, EVENT_IDX ${eventIndex}`, () => {
    const rig = new MirrorRig({ eventIndex });
    const view = viewOf(rig.bytes);
    const { availableRing } = ringOf(8);
    const round = (flags: number, usedEvent: number): boolean => {
      const before = rig.interrupts;
      rig.driver.add(PIECE, []);
      view.setUint16(availableRing, flags, true);
      view.setUint16(availableRing + 4 + 2 * 8, usedEvent, true);
      rig.card.kick();
      rig.settle();
      rig.host.push(rig.host.pop()!, 0);
      rig.host.publish();
      rig.settle();
      return rig.interrupts > before;
    };
    // Used indices 0 to 3; both have something to say each time.
    const seen = [round(0, 100), round(1, 1), round(0, 2), round(1, 0)];
    assertEquals(seen, eventIndex ? [false, true, true, false] : [true, false, true, false]);
  });
}

Deno.test("a queue without EVENT_IDX that stalls says 1 in its flags, and 0 when it goes on", () => {
  const rig = new MirrorRig({ eventIndex: false });
  const flags = () => viewOf(rig.bytes).getUint16(USED, true);
  rig.driver.add(PIECE, []);
  rig.notify();
  const seen = [flags()];
  rig.toHost.writable = false;
  rig.driver.add(PIECE, []);
  rig.notify();
  seen.push(flags());
  rig.toHost.writable = true;
  seen.push(flags());
  assertEquals(seen, [0, 1, 0]);
});

Deno.test("used() still wants the interrupt for what kick() took before it", () => {
  const rig = new MirrorRig({ eventIndex: true });
  rig.driver.add(PIECE, []);
  rig.notify();
  rig.settle();
  // The used index lies in card memory, and the driver sees it before the doorbell.
  const view = viewOf(rig.bytes);
  view.setUint16(USED + 2, 1, true);
  rig.card.kick();
  assertEquals(rig.card.inFlight, 0);
  assertEquals(rig.card.used(), true);
});

Deno.test("used ids that are not in flight are counted and ignored", () => {
  const rig = new MirrorRig({ size: 8 });
  rig.driver.add(PIECE, []);
  rig.notify();
  rig.settle();
  const view = viewOf(rig.bytes);
  [5, 8, 0xffff_ffff, 0, 0].forEach((id, i) => view.setUint32(USED + 4 + 8 * i, id, true));
  view.setUint16(USED + 2, 5, true);
  rig.card.used();
  assertEquals([rig.card.strayUsed, rig.card.inFlight], [4, 0]);
});

Deno.test("a used index far ahead costs one round of the ring", () => {
  const rig = new MirrorRig({ size: 8 });
  viewOf(rig.bytes).setUint16(USED + 2, 0x9000, true);
  rig.card.used();
  assertEquals(rig.card.strayUsed, 0x9000);
});

const FAULTS = [
  {
    what: "a head made available twice",
    fault: "head-in-flight",
    offend: (rig: MirrorRig) => rig.driver.offer(0),
  },
  {
    what: "an available index further than the queue size ahead of the used one",
    fault: "available-index",
    offend: (rig: MirrorRig) => {
      for (let i = 0; i < 8; i++) rig.driver.offer(i);
    },
  },
  {
    what: "a chain that loops",
    fault: "chain-loop",
    offend: (rig: MirrorRig) => {
      rig.driver.describe(0x1000, 5, { addr: 0, len: 1, flags: DESC_F.NEXT, next: 5 });
      rig.driver.offer(5);
    },
  },
  {
    what: "a head outside the table",
    fault: "chain-index",
    offend: (rig: MirrorRig) => rig.driver.offer(8),
  },
] as const;
for (const { what, fault, offend } of FAULTS) {
  Deno.test(`kick() fails the queue once, for ${what}`, () => {
    const rig = new MirrorRig({ size: 8 });
    rig.driver.add(PIECE, []);
    rig.notify();
    offend(rig);
    rig.card.kick();
    rig.card.kick();
    assertEquals(rig.card.used(), false);
    assertEquals(rig.faults.map((f) => f.fault), [fault]);
  });
}

Deno.test("kick() offers the good chains before a bad one", () => {
  const rig = new MirrorRig({ size: 8 });
  rig.driver.add(PIECE, []);
  rig.driver.offer(99);
  rig.card.kick();
  rig.settle();
  assertEquals(rig.faults.map((f) => f.fault), ["chain-index"]);
  assertEquals(rig.host.pop()?.head, 0);
});

Deno.test("a chain whose table is changed in flight is judged again when it is offered again", () => {
  const rig = new MirrorRig({ size: 8 });
  rig.driver.add(PIECE, []);
  rig.notify();
  VIRTQ_DESC.write(viewOf(rig.bytes), { addr: APERTURE, len: 1, flags: 0, next: 0 }, 0x1000);
  rig.card.reoffer(rig.row());
  assertEquals(rig.faults.map((f) => f.fault), ["chain-address"]);
});

Deno.test("a chain that is owed and not offered again yet cannot be used", () => {
  const rig = new MirrorRig({ size: 8 });
  rig.driver.add(PIECE, []);
  rig.notify();
  rig.toHost.writable = false;
  rig.card.reoffer(rig.row());
  viewOf(rig.bytes).setUint16(USED + 2, 1, true);
  rig.card.used();
  assertEquals([rig.card.strayUsed, rig.card.inFlight], [1, 1]);
});

for (const eventIndex of [true, false]) {
  Deno.test(`kick() holds no view of a memory that moves as it is told of a write, EVENT_IDX ${eventIndex}`, () => {
    const rig = new MirrorRig({ eventIndex });
    let buffer = rig.bytes.buffer.transfer();
    const memory = {
      size: MEMORY_SIZE,
      bytes: () => new Uint8Array(buffer),
      view: () => new DataView(buffer),
      written: () => void (buffer = buffer.transfer()),
    };
    const { toHost } = rig;
    toHost.frames.length = 0;
    const mirror = new QueueMirror({
      requester: toHost,
      memory,
      ring: ringOf(8),
      indirect: false,
      eventIndex,
      row: rig.row(),
      sendMsi() {},
      failed: (error) => {
        throw error;
      },
    });
    for (const head of [0, 1]) {
      // The flags of the used ring, or its avail_event, have to change.
      memory.view().setUint16(USED, 1 - head, true);
      const ring = new RingDriver(memory.bytes(), ringOf(8), { index: head });
      ring.describe(ringOf(8).descriptorTable, head, { addr: BUFFERS, len: 4, flags: 0, next: 0 });
      ring.offer(head);
      memory.bytes()[BUFFERS] = 0x5a;
      if (head === 1) toHost.writable = false;
      mirror.kick();
      toHost.writable = true;
    }
    const pushed = toHost.frames.filter(({ bytes }) => bytes.length > 2);
    assertEquals(pushed.map(({ bytes }) => bytes[16]), [0x5a, 0x5a]);
  });
}

Deno.test("stop() ends everything, a call that the link still owes too", () => {
  const rig = new MirrorRig();
  rig.toHost.writable = false;
  rig.driver.add(PIECE, []);
  rig.notify();
  rig.card.stop();
  rig.toHost.writable = true;
  rig.card.kick();
  rig.card.reoffer(rig.row());
  rig.card.msiEventChanged();
  assertEquals(rig.card.used(), false);
  assertEquals(rig.toHost.frames, []);
});

Deno.test("a mirror refuses staging that cannot hold one chain, and rings outside memory", () => {
  const rig = new MirrorRig({ size: 8 });
  const make = (stagingLength: number, size: number) => () =>
    new QueueMirror({
      requester: rig.toHost,
      memory: { size, bytes: () => rig.bytes, view: () => viewOf(rig.bytes), written() {} },
      ring: ringOf(8),
      indirect: false,
      eventIndex: false,
      row: { ...rig.row(), stagingLength },
      sendMsi() {},
      failed() {},
    });
  make(16 + 8 * 16, MEMORY_SIZE)();
  assertThrows(make(16 + 8 * 16 - 1, MEMORY_SIZE), RangeError, "at least 144");
  assertThrows(make(4096, 0x9000), DriverError, "used ring");
});
