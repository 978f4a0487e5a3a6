/**
 * Why a link was closed on purpose: the reason codes of the goodbye frame (protocol/README.md, "Goodbye").
 *
 * @module
 */

/** Reason name to number on the wire. Numbers are never reused. */
export const GOODBYE = {
  /** The side that sends it is stopping in good order. */
  shutdown: 0,
  /** Magic or version is not one we speak. */
  version: 1,
  /** A frame broke the format: type, length, count or reserved bits. */
  malformed: 2,
  /** A frame came out of sequence, or acknowledges what was never sent. */
  sequence: 3,
  /** More was sent than credits allowed. */
  flow_control: 4,
  /** A completion for a tag that is not in flight. */
  tag: 5,
  /** Nothing was heard for longer than the negotiated silence. */
  silence: 6,
  /** This side serves no (further) card, or the session is held by a live connection. */
  busy: 7,
  /** The session to resume is not known (any more). */
  session: 8,
  /** An error of our own; the text says which. */
  internal: 9,
  /** The peer is not one that this side trusts, or not the one it says it is. */
  identity: 10,
} as const;

export type GoodbyeReason = keyof typeof GOODBYE;
