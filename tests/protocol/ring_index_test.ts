import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { advance, crossed, distance, past } from "../../protocol/virtio/ring_index.ts";
import { movesRound } from "../support/virtio_properties.ts";

Deno.test("advance() and distance() go round at 2^16", () => {
  assertEquals(advance(0xffff), 0);
  assertEquals(advance(0xfff0, 0x20), 0x10);
  assertEquals(advance(3, -5), 0xfffe);
  assertEquals(distance(0xfffe, 1), 3);
  assertEquals(distance(1, 0xfffe), 0xfffd);
  assertEquals(distance(7, 7), 0);
});

// virtio 1.3 §2.7.7.2. Each wrong `<=`, missing `+ 1` or narrow mask in crossed() fails a row.
const CROSSED = [
  { event: 4, old: 4, now: 5, notify: true, when: "the awaited entry was just written" },
  { event: 5, old: 4, now: 5, notify: false, when: "the driver waits for one more" },
  { event: 3, old: 4, now: 5, notify: false, when: "it was passed the time before" },
  { event: 4, old: 4, now: 4, notify: false, when: "nothing was written" },
  { event: 6, old: 4, now: 9, notify: true, when: "it was passed in the middle of a batch" },
  { event: 0xffff, old: 0xfffe, now: 1, notify: true, when: "it was passed while wrapping" },
  { event: 0xffff, old: 0xffff, now: 0, notify: true, when: "it was the last before the wrap" },
  { event: 0, old: 0xffff, now: 0, notify: false, when: "it is the first after the wrap" },
  { event: 5, old: 0, now: 0x8000, notify: true, when: "32768 entries came at once" },
];
for (const { event, old, now, notify, when } of CROSSED) {
  Deno.test(`crossed() is ${notify} when ${when}`, () => {
    assertEquals(crossed(event, old, now), notify);
  });
}

const PAST = [
  { event: 4, now: 5, is: true, when: "one entry further" },
  { event: 4, now: 4, is: false, when: "equal" },
  { event: 4, now: 3, is: false, when: "one entry short" },
  { event: 0xfff0, now: 0x7fef, is: true, when: "just under half the circle further" },
  { event: 0xfff0, now: 0x7ff0, is: false, when: "half the circle away" },
];
for (const { event, now, is, when } of PAST) {
  Deno.test(`past() is ${is} when ${when}`, () => assertEquals(past(event, now), is));
}

Deno.test("indices move round, and an event is met once on the way, whatever they are", () => {
  fc.assert(movesRound(), { seed: 23, numRuns: 3000 });
});
