/**
 * Which of a host's cards a card process is to be.
 *
 * A card that is bound to an identity is for that one alone. Any other is for whoever came first, and stays for that one
 * as long as it is kept for it (`Card.refusal`).
 *
 * @module
 */
import type { Card } from "./card.ts";

/** The cards that the process with `identity` could be, whatever stands in its way now. */
export function candidates(cards: Iterable<Card>, identity: string): readonly Card[] {
  const all = [...cards];
  const own = all.filter((card) => card.bound === identity);
  return own.length > 0 ? own : all.filter((card) => card.bound === undefined);
}

/** The card that the process with `identity` (32 hexadecimal digits) is to be; or a sentence's end: why it is none. */
export function claim(cards: Iterable<Card>, identity: string): Card | string {
  const all = [...cards];
  const own = all.find((card) => card.bound === identity) ??
    all.find((card) => card.bound === undefined && card.identity === identity);
  if (own) return own;
  const open = all.filter((card) => card.bound === undefined);
  // One that cannot be served takes nobody away from the others.
  const free = open.find((card) => card.identity === undefined && card.fault === undefined) ??
    open.find((card) => card.refusal(identity) === undefined);
  if (free) return free;
  if (open.length === 0) {
    return `each card of this host is another one's; its identity is ${identity}`;
  }
  const [only] = open;
  if (open.length === 1) return only!.refusal(identity)!;
  return open.map((card) => `${card.name}: ${card.refusal(identity)}`).join("; ");
}
