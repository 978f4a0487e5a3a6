import { assertEquals } from "@std/assert";
import { type CardEvent, nextCardState } from "../../card/endpoint/card_states.ts";
import { CARD_STATE, type CardState } from "../../protocol/mod.ts";

const EVENTS: readonly CardEvent[] = [
  "reset",
  "machine_made",
  "boot_signal",
  "refused",
  "driver_ok",
  "stopped",
];
/** One row a state, one column an event as in EVENTS; "-" where the event means nothing. */
const TABLE: Readonly<Record<CardState, string>> = {
  resetting: "- ready - refused - -",
  ready: "resetting - booting - - -",
  booting: "resetting - - refused online stopped",
  online: "resetting - - - - stopped",
  stopped: "resetting - - - - -",
  refused: "resetting - - - - -",
};

for (const state of Object.keys(CARD_STATE) as CardState[]) {
  Deno.test(`nextCardState() takes each event where the table says, from ${state}`, () => {
    const row = EVENTS.map((event) => nextCardState(state, event) ?? "-");
    assertEquals(row.join(" "), TABLE[state]);
  });
}
