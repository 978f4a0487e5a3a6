/**
 * Connections of peers that have not yet shown that they may be here: a bounded number of them.
 *
 * When one more comes the oldest goes. An honest peer is through in a round trip or two, so who opens connections and
 * leaves them there cannot keep it out.
 *
 * @module
 */
import type { Transport } from "./types.ts";

/** Connections before or in their greeting or their handshake, at most. */
export const DOOR_LIMIT = 64;

export class Door {
  /** In the order in which they came. */
  readonly #waiting = new Set<Transport>();

  /** Lets `transport` in; returns the one that was closed for it, if any. */
  enter(transport: Transport): Transport | undefined {
    const oldest = this.#waiting.size >= DOOR_LIMIT
      ? this.#waiting.values().next().value
      : undefined;
    if (oldest) {
      this.#waiting.delete(oldest);
      oldest.close();
    }
    this.#waiting.add(transport);
    return oldest;
  }

  holds(transport: Transport): boolean {
    return this.#waiting.has(transport);
  }

  /** It went on, or away. */
  leave(transport: Transport): void {
    this.#waiting.delete(transport);
  }

  closeAll(): void {
    for (const transport of this.#waiting) transport.close();
  }
}

/** What is said of a connection that was closed for a newer one. */
export const CROWDED = `Cannot wait for peer any longer: ${DOOR_LIMIT} newer connections did not ` +
  `say who they are`;
