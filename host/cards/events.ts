/**
 * What happens to a card of a host, for people, logs and metrics. One union: a listener switches on `type`.
 *
 * @module
 */
import type { LinkStatus, ShutdownReason } from "../../protocol/mod.ts";
import type { CardEvent } from "../driver/events.ts";

export type CardHappening =
  /** A card process has a new session; `identity` is 32 hexadecimal digits. */
  | { readonly type: "connected"; readonly peer: string; readonly identity: string }
  | { readonly type: "link"; readonly status: LinkStatus }
  | { readonly type: "card"; readonly event: CardEvent }
  /** It stood aside, and has the devices of these names now. */
  | { readonly type: "lent"; readonly devices: readonly string[] }
  /** The card OS stopped, and is not started again at once; the card is at rest. */
  | { readonly type: "stopped"; readonly reason: ShutdownReason }
  /** The card cannot be used, or cannot boot. */
  | { readonly type: "failed"; readonly error: Error }
  /** The card's connection was gone for `after` ms: its session is over, and another card may come. */
  | { readonly type: "given_up"; readonly after: number }
  /** The card process is gone, or its session was given up; `reason` is why its OS stopped. */
  | { readonly type: "gone"; readonly reason: ShutdownReason };
