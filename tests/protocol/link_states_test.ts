import { assertEquals, assertThrows } from "@std/assert";
import { type LinkEvent, type LinkState, step } from "../../protocol/link/states.ts";

const STATES: LinkState[] = ["down", "greeting", "up", "closing", "closed"];
const EVENTS: LinkEvent[] = ["connected", "agreed", "lost", "close", "done"];

/** Every move there is; all other pairs of state and event cannot happen. */
const MOVES: Record<string, LinkState> = {
  "down connected": "greeting",
  "down close": "closing",
  "greeting connected": "greeting",
  "greeting agreed": "up",
  "greeting lost": "down",
  "greeting close": "closing",
  "up connected": "greeting",
  "up lost": "down",
  "up close": "closing",
  "closing lost": "closed",
  "closing done": "closed",
};

for (const state of STATES) {
  for (const event of EVENTS) {
    const wanted = MOVES[`${state} ${event}`];
    Deno.test(`step() from ${state} on ${event} ${wanted ? `is ${wanted}` : "throws"}`, () => {
      if (wanted) assertEquals(step(state, event), wanted);
      else assertThrows(() => step(state, event), TypeError, `"${event}"`);
    });
  }
}
