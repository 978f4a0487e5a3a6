// The hub: whom it gives a frame, what it refuses, and that nobody waits for another.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { addressAt, AddressTable } from "../../host/backends/hub/address_table.ts";
import { Hub, type HubPort } from "../../host/backends/hub/hub.ts";
import { MemoryNet } from "../support/memory_net.ts";

const BROADCAST = 0xff;

/** An Ethernet frame from station `from` to station `to` behind a virtio-net header; `mark` is its payload. */
function frame(to: number, from: number, mark: number, length = 64): Uint8Array {
  const bytes = new Uint8Array(12 + length).fill(mark);
  bytes.fill(0, 0, 12);
  bytes.set(to === BROADCAST ? [255, 255, 255, 255, 255, 255] : mac(to), 12);
  bytes.set(mac(from), 18);
  bytes.set([0x08, 0x00], 24);
  return bytes;
}

function mac(station: number): Uint8Array {
  return Uint8Array.of(2, 0, 0, 0, 0, station);
}

/** A port with a card behind it that takes `room` frames. */
class Station {
  readonly port: HubPort;
  readonly marks: number[] = [];
  readonly headers: Uint8Array[] = [];
  room = Infinity;
  batches = 0;

  readonly number: number;

  constructor(hub: Hub, number: number) {
    this.number = number;
    this.port = hub.attach(mac(number), `mic${number}`);
    this.port.open({
      receive: (bytes) => {
        if (this.room === 0) return false;
        this.room--;
        this.marks.push(bytes.at(-1)!);
        this.headers.push(bytes.slice(0, 12));
        return true;
      },
      received: () => void this.batches++,
      writable() {},
      link() {},
    });
  }

  send(to: number, mark: number, from = this.number): void {
    assertEquals(this.port.send(frame(to, from, mark)), true);
  }
}

/** Until what was sent has come. */
const turn = () => Promise.resolve();

Deno.test("Hub gives a frame to whom it is for, a broadcast to all others, each in order and in one batch", async () => {
  await using hub = new Hub("lab");
  const [a, b, c] = [1, 2, 3].map((number) => new Station(hub, number)) as [
    Station,
    Station,
    Station,
  ];
  a.send(2, 10);
  a.send(2, 11);
  a.send(BROADCAST, 12);
  c.send(1, 13);
  await turn();
  assertEquals([a.marks, b.marks, c.marks], [[13], [10, 11, 12], [12]]);
  assertEquals(b.batches, 1);
  assertEquals(b.port.counters, { received: 0, sent: 3, dropped: 0, foreign: 0, malformed: 0 });
});

Deno.test("Hub floods frames for an address that it does not know, until it has heard from it", async () => {
  await using hub = new Hub("lab");
  const [a, b, c] = [1, 2, 3].map((number) => new Station(hub, number)) as [
    Station,
    Station,
    Station,
  ];
  a.send(9, 10);
  await turn();
  assertEquals([b.marks, c.marks], [[10], [10]]);
  b.send(1, 11, 9);
  a.send(9, 12);
  await turn();
  assertEquals([b.marks, c.marks], [[10, 12], [10]]);
  // It moved, and said so.
  c.send(1, 13, 9);
  a.send(9, 14);
  await turn();
  assertEquals([b.marks, c.marks], [[10, 12], [10, 14]]);
  // Another driver has the card: what the one before had said is forgotten.
  c.port.accepted();
  a.send(9, 15);
  await turn();
  assertEquals([b.marks.at(-1), c.marks.at(-1)], [15, 15]);
});

Deno.test("Hub lets no card be another one, and passes nothing on that is not a whole frame", async () => {
  await using hub = new Hub("lab");
  const a = new Station(hub, 1);
  const b = new Station(hub, 2);
  a.send(BROADCAST, 10, 2);
  const bad = [
    frame(2, 1, 11).subarray(0, 12 + 13),
    frame(2, 1, 11, 1500 + 18 + 1),
    frame(2, 1, 11),
    frame(2, 1, 11),
    frame(2, 1, 11),
  ] as const;
  bad[2][0] = 1; // NEEDS_CSUM
  bad[3][1] = 1; // GSO
  bad[4][18] = 3; // from a group
  for (const each of bad) a.port.send(each);
  const good = frame(2, 1, 12, 1500 + 18);
  good[0] = 2; // DATA_VALID
  a.port.send(good);
  await turn();
  assertEquals(b.marks, [12]);
  assertEquals(b.headers, [new Uint8Array(12)]);
  assertEquals([a.port.counters.foreign, a.port.counters.malformed], [1, 5]);
  b.send(1, 13);
  await turn();
  assertEquals(a.marks, [13]);
  assertThrows(() => hub.attach(mac(1), "again"), RangeError, "two cards have one MAC address");
});

Deno.test("Hub keeps 256 frames for a card that has no room and drops what is more, and others have theirs", async () => {
  await using hub = new Hub("lab");
  const a = new Station(hub, 1);
  const slow = new Station(hub, 2);
  const other = new Station(hub, 3);
  slow.room = 0;
  for (let mark = 0; mark < 300; mark++) {
    a.send(2, mark);
    if (mark % 3 === 0) a.send(3, mark);
  }
  await turn();
  assertEquals(slow.port.counters, { received: 0, sent: 0, dropped: 44, foreign: 0, malformed: 0 });
  assertEquals(other.marks.length, 100);
  slow.room = 100;
  slow.port.resume();
  await turn();
  assertEquals(slow.marks, Array.from({ length: 100 }, (_, mark) => mark));
  // The place in the ring goes round.
  for (let mark = 0; mark < 100; mark++) a.send(2, mark);
  slow.room = Infinity;
  slow.port.resume();
  await turn();
  assertEquals(slow.marks.length, 356);
  assertEquals(slow.marks.slice(255, 257), [255, 0]);
  assertEquals(slow.port.counters.dropped, 44);
});

Deno.test("Hub: a card that is gone takes no frames, and its address may be had again", async () => {
  await using hub = new Hub("lab");
  const a = new Station(hub, 1);
  const b = new Station(hub, 2);
  a.send(2, 10);
  await b.port[Symbol.asyncDispose]();
  await turn();
  b.port.send(frame(1, 2, 11));
  await turn();
  assertEquals([a.marks, b.marks], [[], []]);
  const again = new Station(hub, 2);
  a.send(2, 12);
  await turn();
  assertEquals(again.marks, [12]);
});

Deno.test("Hub with an uplink: what is behind it is one more end, which may be full", async () => {
  const uplink = new MemoryNet(1400);
  await using hub = new Hub("lab", uplink);
  const a = new Station(hub, 1);
  const b = new Station(hub, 2);
  assertEquals(a.port.mtu, 1400);
  uplink.room = 1;
  for (const mark of [10, 11, 12]) a.send(BROADCAST, mark);
  await turn();
  assertEquals(uplink.sent.map((bytes) => bytes.at(-1)), [10]);
  assertEquals(b.marks, [10, 11, 12]);
  uplink.unblock();
  await turn();
  assertEquals(uplink.sent.map((bytes) => bytes.at(-1)), [10, 11, 12]);
  uplink.deliver(frame(2, 99, 20));
  await turn();
  await turn();
  assertEquals([a.marks, b.marks.at(-1)], [[], 20]);
  // Learnt: for the station behind the uplink, and for nobody else.
  b.send(99, 21);
  await turn();
  assertEquals([a.marks, uplink.sent.at(-1)!.at(-1)], [[], 21]);
  assertEquals(hub.uplinkCounters, { received: 1, sent: 4, dropped: 0, foreign: 0, malformed: 0 });
});

Deno.test("AddressTable: an end that makes addresses up takes the place of its own only", () => {
  const table = new AddressTable<string>();
  assert(table.fix(1, "a"));
  assert(table.learn(2, "b"));
  for (let address = 1000; address < 11_000; address++) table.learn(address, "flooder");
  assertEquals([table.find(1), table.find(2)], ["a", "b"]);
  const known = Array.from({ length: 10_000 }, (_, i) => table.find(1000 + i)).filter(Boolean);
  assertEquals(known.length, 256);
  assertEquals([table.find(10_743), table.find(10_744)], [undefined, "flooder"]);
  table.remove("flooder");
  assertEquals(table.find(10_999), undefined);
  assertEquals(table.learn(1, "b"), false);
});

Deno.test("addressAt() tells addresses with the same lower half apart", () => {
  const bytes = Uint8Array.of(0xfe, 0x80, 0xff, 0xff, 0xff, 0xff);
  assertEquals(addressAt(bytes, 0), 0xfe80_ffff_ffff);
});
