import { assertEquals } from "@std/assert";
import {
  LIFE_EVENTS,
  LIFE_STATES,
  type LifeEvent,
  type LifeState,
  next,
  statesFor,
} from "../../host/driver/states.ts";

/** Every cell that is not "no": typed again by hand, so a slip in the table is seen. */
const EXPECTED: readonly (readonly [LifeState, LifeEvent, LifeState])[] = [
  ["ready", "boot", "booting"],
  ["booting", "boot_failed", "ready"],
  ["booting", "came_online", "online"],
  ["booting", "stopped", "shutting_down"],
  ["booting", "reset", "resetting"],
  ["booting", "gone", "shutting_down"],
  ["online", "shutdown", "shutting_down"],
  ["online", "stopped", "shutting_down"],
  ["online", "reset", "resetting"],
  ["online", "gone", "shutting_down"],
  ["shutting_down", "stopped", "shutting_down"],
  ["shutting_down", "reset", "resetting"],
  ["shutting_down", "gone", "shutting_down"],
  ["resetting", "became_ready", "ready"],
  ["resetting", "adopted", "online"],
  ["resetting", "reset_timeout", "reset_failed"],
  ["resetting", "gone", "reset_failed"],
  ["ready", "suspend", "suspended"],
  ["online", "suspend", "suspending"],
  ["suspending", "stopped", "suspending"],
  ["suspending", "became_ready", "suspended"],
  ["suspending", "reset", "resetting"],
  ["suspending", "reset_timeout", "reset_failed"],
  ["suspending", "gone", "shutting_down"],
  ["suspended", "resume", "ready"],
  ["suspended", "reset", "resetting"],
  ["suspended", "gone", "suspended"],
  ["reset_failed", "reset", "resetting"],
  ["reset_failed", "gone", "reset_failed"],
];

Deno.test("next() walks every state × event as the table says", () => {
  for (const state of LIFE_STATES) {
    for (const event of LIFE_EVENTS) {
      const cell = EXPECTED.find(([from, by]) => from === state && by === event);
      assertEquals(next(state, event), cell?.[2], `${state} × ${event}`);
    }
  }
  assertEquals(LIFE_STATES.length * LIFE_EVENTS.length, 96);
});

Deno.test("next() leaves no state without a way out, and reaches every state", () => {
  const reached = new Set<LifeState>(["ready"]);
  for (let before = 0; before !== reached.size;) {
    before = reached.size;
    for (const state of [...reached]) {
      for (const event of LIFE_EVENTS) {
        const to = next(state, event);
        if (to !== undefined) reached.add(to);
      }
    }
  }
  assertEquals([...reached].sort(), [...LIFE_STATES].sort());
  for (const state of LIFE_STATES) {
    assertEquals(LIFE_EVENTS.some((event) => (next(state, event) ?? state) !== state), true, state);
  }
});

Deno.test("statesFor() names where a command applies", () => {
  assertEquals(statesFor("boot"), ["ready"]);
  assertEquals(statesFor("shutdown"), ["online"]);
});
