/**
 * `host --pair`: waits for the one card that knows the code.
 *
 * @module
 */
import {
  LinkError,
  type PairingOffer,
  type TlsListener,
  type TlsTransport,
} from "../../protocol/mod.ts";

/** Connections that may be at it at once; one more takes the place of the oldest, as nobody needs long. */
const MAX_MEETING = 16;

/** A machine with a certificate, and in the end the one that is paired. */
export interface PairedCard {
  /** Where it is. */
  readonly peer: string;
  readonly fingerprint: string;
}

export interface PairOnceOptions {
  readonly listener: TlsListener;
  readonly offer: PairingOffer;
  /** How long to wait, ms. */
  readonly timeout: number;
  /** Keeps the card's fingerprint, before the card hears that it is paired. */
  store(card: PairedCard): Promise<void>;
  /** A connection came to nothing, and the code is as good as before. */
  onPassed?(peer: PairedCard, error: Error): void;
}

/**
 * Serves connections side by side until a card tried the code; then closes them all, and leaves the listener open.
 * @throws {ProtocolError} identity: the code it tried was wrong
 * @throws {LinkError} nobody came in time, or the connection broke with the code used
 * @throws whatever `store` throws
 */
export async function pairOnce(options: PairOnceOptions): Promise<PairedCard> {
  const { listener, offer, timeout, store, onPassed } = options;
  const done = Promise.withResolvers<PairedCard>();
  const timer = setTimeout(() => {
    // Whoever tried it in time is heard out.
    if (!offer.used) {
      done.reject(new LinkError("Cannot pair: no card came before the code expired"));
    }
  }, timeout);
  /** The oldest first. */
  const meeting = new Set<TlsTransport>();
  const meet = async (transport: TlsTransport) => {
    const { peer, fingerprint } = transport;
    const card = { peer, fingerprint };
    if (meeting.size >= MAX_MEETING) {
      [...meeting].find((other) => !offer.usedBy(other))?.close();
    }
    meeting.add(transport);
    try {
      await offer.meet(transport, () => store(card));
      done.resolve(card);
    } catch (error) {
      // Of the others, none can spoil what the one who has the code is about.
      if (offer.usedBy(transport)) done.reject(error);
      else onPassed?.(card, error instanceof Error ? error : new Error(String(error)));
    } finally {
      meeting.delete(transport);
    }
  };
  const acceptAll = async () => {
    for (let transport; (transport = await listener.accept()) !== undefined;) void meet(transport);
  };
  acceptAll().catch(done.reject);
  try {
    return await done.promise;
  } finally {
    clearTimeout(timer);
    for (const transport of meeting) transport.close();
  }
}
