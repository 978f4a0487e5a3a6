/**
 * Where a link is in its life. One session, any number of transports: only `closed` is final.
 *
 * @module
 */

export type LinkState =
  /** No transport: not dialled yet, or lost. What is posted waits. */
  | "down"
  /** A transport is there; the greetings are under way. */
  | "greeting"
  | "up"
  /** The goodbye is on its way. */
  | "closing"
  | "closed";

export type LinkEvent =
  /** A transport was made, perhaps in place of one that only seemed alive. */
  | "connected"
  /** Both greetings are known and fit. */
  | "agreed"
  /** The transport broke or fell silent. */
  | "lost"
  /** One side wants to end the session. */
  | "close"
  /** The goodbye is out, or there is nobody to send it to. */
  | "done";

/** Row: where the link is. Cell: where an event takes it. No cell: cannot happen. */
const NEXT: Readonly<Record<LinkState, Partial<Record<LinkEvent, LinkState>>>> = {
  down: { connected: "greeting", close: "closing" },
  greeting: { connected: "greeting", agreed: "up", lost: "down", close: "closing" },
  up: { connected: "greeting", lost: "down", close: "closing" },
  closing: { lost: "closed", done: "closed" },
  closed: {},
};

/** @throws {TypeError} for an event that cannot happen in `state`: a fault of our own */
export function step(state: LinkState, event: LinkEvent): LinkState {
  const next = NEXT[state][event];
  if (next === undefined) throw new TypeError(`Cannot take "${event}" while link is "${state}"`);
  return next;
}
