/**
 * What a link is given, what it reports and what it counts.
 *
 * @module
 */
import type { GoodbyeReason } from "./goodbye.ts";
import type { Greeting } from "./greeting.ts";
import type { LinkLimits } from "./limits.ts";
import type { Link } from "./link.ts";
import type { Completer } from "./types.ts";

export interface LinkOptions {
  readonly role: "host" | "card";
  /** Answers the peer's requests. */
  readonly completer: Completer;
  /** 16 bytes by which the peer knows this side again. */
  readonly identity: Uint8Array;
  readonly limits?: Partial<LinkLimits>;
  /** Called synchronously; must not throw. */
  readonly onStatus?: (event: LinkStatus) => void;
}

/** What happens to a link, for people and for who drives it. */
export type LinkStatus =
  /** Dialling; `attempt` counts from 1 since the link was last up. */
  | { readonly type: "connecting"; readonly attempt: number }
  /** The attempt failed; the next one comes in `delay` ms. */
  | {
    readonly type: "retrying";
    readonly attempt: number;
    readonly error: Error;
    readonly delay: number;
  }
  /** Greeted. `resumed`: the same session on a new transport; nothing was lost. */
  | { readonly type: "up"; readonly resumed: boolean; readonly peer: string }
  /** The transport is gone; the session waits to be resumed. */
  | { readonly type: "lost"; readonly error: Error }
  /** One side ended the session. `error` is the cause where it was an error on this side. */
  | {
    readonly type: "goodbye";
    readonly direction: "sent" | "received";
    readonly reason: GoodbyeReason;
    readonly text: string;
    readonly error?: Error;
  }
  /** Last event: nothing waits any more, nothing will come. */
  | { readonly type: "closed" };

/** Running totals of one session. */
export interface LinkCounters {
  framesSent: number;
  framesReceived: number;
  bytesSent: number;
  bytesReceived: number;
  /** Frames sent again after a transport was lost. */
  framesReplayed: number;
  /** Times the session came back on a new transport. */
  reconnects: number;
  /** Requests of the peer that nobody claimed. */
  unsupported: number;
  /** Last heartbeat's round trip in ms; 0 before the first. */
  roundTrip: number;
}

/** What the host decides about a card that asks for a new session. */
export type Acceptance =
  | { readonly completer: Completer; readonly onStatus?: (event: LinkStatus) => void }
  | { readonly refuse: GoodbyeReason; readonly text: string };

export interface LinkServerOptions {
  /** Number of this host process: random, so that a card sees that the host is a new one. */
  readonly epoch: bigint;
  /** 16 bytes by which cards know this host again. */
  readonly identity: Uint8Array;
  readonly limits?: Partial<LinkLimits>;
  /** A card asks for a new session. Nothing is allocated for it before this says yes. */
  accept(greeting: Greeting, peer: string): Acceptance;
  /** The session exists; its first frames leave and arrive after this returns. */
  onLink(link: Link, greeting: Greeting): void;
  /** A peer was turned away before it had a session. */
  onRefused?(peer: string, reason: GoodbyeReason, text: string): void;
}
