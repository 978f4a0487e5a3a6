/**
 * `host --pair`: waits for the one card that knows the code.
 *
 * @module
 */
import {
  LinkError,
  type PairingOffer,
  ProtocolError,
  type TlsListener,
} from "../../protocol/mod.ts";

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
  onPassed?(peer: string, error: Error): void;
}

/**
 * Serves connections side by side until a card tried the code; the listener stays open.
 * @throws {ProtocolError} identity: the code it tried was wrong
 * @throws {LinkError} nobody came in time, or the connection broke with the code used
 */
export async function pairOnce(options: PairOnceOptions): Promise<PairedCard> {
  const { listener, offer, timeout, store, onPassed } = options;
  const done = Promise.withResolvers<PairedCard>();
  const timer = setTimeout(
    () => done.reject(new LinkError("Cannot pair: no card came before the code expired")),
    timeout,
  );
  const meet = async (transport: NonNullable<Awaited<ReturnType<TlsListener["accept"]>>>) => {
    const { peer, fingerprint } = transport;
    const card = { peer, fingerprint };
    try {
      await offer.meet(transport, () => store(card));
      done.resolve(card);
    } catch (error) {
      const expected = error instanceof ProtocolError || error instanceof LinkError;
      if (offer.used || !expected) done.reject(error);
      else onPassed?.(peer, error instanceof Error ? error : new Error(String(error)));
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
  }
}
