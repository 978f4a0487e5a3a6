/**
 * The life of the card as the card itself sees it: one table, walked exhaustively by its test.
 *
 * @module
 */
import type { CardState } from "../../protocol/mod.ts";

export type CardEvent =
  /** The host wrote the reset register, or went away for good. */
  | "reset"
  /** There is a new machine with empty memory. */
  | "machine_made"
  /** The host wrote the boot register. */
  | "boot_signal"
  /** The download, or the machine itself, was turned down. */
  | "refused"
  /** The first driver of the card OS reported DRIVER_OK. */
  | "driver_ok"
  /** The card OS stopped its CPU. */
  | "stopped";

/** Row: where the card is. Cell: where an event takes it. No cell: the event means nothing there. */
const NEXT: Readonly<Record<CardState, Partial<Record<CardEvent, CardState>>>> = {
  resetting: { machine_made: "ready", refused: "refused" },
  ready: { reset: "resetting", boot_signal: "booting" },
  booting: { reset: "resetting", refused: "refused", driver_ok: "online", stopped: "stopped" },
  online: { reset: "resetting", stopped: "stopped" },
  stopped: { reset: "resetting" },
  refused: { reset: "resetting" },
};

/**
 * Where `event` takes a card in `state`; undefined if nowhere, which is no error: the host may write any register at
 * any time (a second reset while resetting is ignored, as on the MIC X100).
 */
export function nextCardState(state: CardState, event: CardEvent): CardState | undefined {
  return NEXT[state][event];
}
