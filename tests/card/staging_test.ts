import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { NO_PIECE, Staging } from "../../card/driver/staging.ts";

Deno.test("allocate() lays pieces one after the other", () => {
  const staging = new Staging(64, 4);
  const pieces = [staging.allocate(16), staging.allocate(32), staging.allocate(16)];
  assertEquals(pieces.map((p) => staging.offset(p)), [0, 16, 48]);
  assertEquals(staging.allocate(16), NO_PIECE);
});

Deno.test("allocate() uses the same place again and again at depth one", () => {
  const staging = new Staging(64, 4);
  for (let i = 0; i < 10; i++) {
    const piece = staging.allocate(48);
    assertEquals(staging.offset(piece), 0);
    staging.free(piece);
  }
});

Deno.test("allocate() never wraps a piece round the end", () => {
  const staging = new Staging(64, 4);
  const first = staging.allocate(32);
  staging.allocate(16);
  staging.free(first);
  assertEquals(staging.allocate(48), NO_PIECE);
  assertEquals(staging.offset(staging.allocate(32)), 0);
});

Deno.test("allocate() goes on round a piece that stays", () => {
  const staging = new Staging(64, 4);
  staging.allocate(16);
  for (let i = 0; i < 100; i++) {
    const piece = staging.allocate(32);
    assert(piece !== NO_PIECE);
    staging.free(piece);
  }
});

Deno.test("allocate() stays in the first part of the area as long as pieces are freed in time", () => {
  const staging = new Staging(4096, 64);
  const inUse: number[] = [];
  const offsets = new Set<number>();
  for (let i = 0; i < 1000; i++) {
    if (inUse.length === 4) staging.free(inUse.shift()!);
    const piece = staging.allocate(64);
    offsets.add(staging.offset(piece));
    inUse.push(piece);
  }
  assertEquals([...offsets].sort((a, b) => a - b), [0, 64, 128, 192]);
});

Deno.test("allocate() gives the whole area once all is free again", () => {
  const staging = new Staging(64, 4);
  const pieces = [1, 2, 3, 4].map(() => staging.allocate(16));
  for (const i of [2, 0, 3, 1]) staging.free(pieces[i]!);
  assertEquals(staging.offset(staging.allocate(64)), 0);
});

Deno.test("allocate() gives no more pieces than it can keep count of", () => {
  const staging = new Staging(64, 1);
  assertEquals([1, 2, 3].map(() => staging.allocate(16) === NO_PIECE), [false, false, true]);
});

Deno.test("pieces lie apart and inside, and no gap is overlooked, for any use", () => {
  const LENGTH = 256;
  const MAX = 8;
  const step = fc.oneof(
    fc.record({ allocate: fc.integer({ min: 1, max: 8 }).map((n) => 16 * n) }),
    fc.record({ free: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100, size: "max" }), (steps) => {
      const staging = new Staging(LENGTH, MAX);
      const live = new Map<number, { at: number; length: number }>();
      for (const action of steps) {
        if ("free" in action) {
          const piece = [...live.keys()][action.free % Math.max(1, live.size)];
          if (piece !== undefined) {
            staging.free(piece);
            live.delete(piece);
          }
          continue;
        }
        if (live.size === MAX) continue;
        const taken = [...live.values()].sort((a, b) => a.at - b.at);
        const ends = [0, ...taken.map((t) => t.at + t.length)];
        const starts = [...taken.map((t) => t.at), LENGTH];
        const largest = Math.max(...ends.map((end, i) => starts[i]! - end));
        const piece = staging.allocate(action.allocate);
        assertEquals(piece !== NO_PIECE, largest >= action.allocate);
        if (piece === NO_PIECE) continue;
        assert(!live.has(piece));
        const at = staging.offset(piece);
        assert(at >= 0 && at % 16 === 0 && at + action.allocate <= LENGTH);
        assert(taken.every((t) => at + action.allocate <= t.at || t.at + t.length <= at));
        live.set(piece, { at, length: action.allocate });
      }
    }),
    { numRuns: 500 },
  );
});
