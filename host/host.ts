/**
 * A host: listens for card processes, and gives each to the one of its cards that it is to be.
 *
 * What a card is lent, and its life, is in cards/card.ts; cards know nothing of each other. A process that cannot be any
 * of them is told goodbye `busy`, and tries again by itself.
 *
 * @module
 */
import {
  type Acceptance,
  type GoodbyeReason,
  type Greeting,
  type LinkLimits,
  LinkServer,
  pause,
  type TcpListener,
} from "../protocol/mod.ts";
import { Card, type CardOptions } from "./cards/card.ts";
import { candidates, claim } from "./cards/claims.ts";
import type { CardHappening } from "./cards/events.ts";

/** What happens at a host, for people, logs and metrics; `card` is the name of one. */
export type HostEvent =
  | (CardHappening & { readonly card: string })
  /** A peer was turned away. */
  | {
    readonly type: "refused";
    readonly peer: string;
    readonly reason: GoodbyeReason;
    readonly text: string;
  }
  /** A connection could not be accepted; the host goes on listening. */
  | { readonly type: "accept_failed"; readonly error: Error }
  /** What is kept of a card's life could not be read or written. */
  | { readonly type: "not_kept"; readonly error: Error };

export interface HostOptions {
  /** Owned from now on. */
  readonly listener: TcpListener;
  readonly cards: readonly CardOptions[];
  /** 16 bytes by which cards know this host again; random by default. */
  readonly identity?: Uint8Array;
  /** Number of this host process; random by default. */
  readonly epoch?: bigint;
  readonly limits?: Partial<LinkLimits>;
  /** Called synchronously; must not throw. */
  readonly onEvent?: (event: HostEvent) => void;
}

/** Time before accepting is tried again after it failed, ms. */
const ACCEPT_DELAY = 1000;

export class Host implements AsyncDisposable {
  /** By name, in the order of the options. */
  readonly cards: ReadonlyMap<string, Card>;
  readonly #options: HostOptions;
  readonly #server: LinkServer;
  readonly #accepting: Promise<void>;
  readonly #stop = new AbortController();
  /** The card that was just accepted. */
  #claimed: Card | undefined;

  /**
   * Listens at once.
   * @throws {RangeError} for more devices than a card has slots, or two cards of one name: not when the first card comes
   */
  constructor(options: HostOptions) {
    this.#options = options;
    const cards = new Map<string, Card>();
    for (const card of options.cards) {
      const { name } = card;
      if (cards.has(name)) throw new RangeError(`Cannot serve two cards with the name ${name}`);
      cards.set(name, new Card(card, (event) => this.#emit({ ...event, card: name })));
    }
    this.cards = cards;
    const { limits } = options;
    this.#server = new LinkServer({
      epoch: options.epoch ?? crypto.getRandomValues(new BigUint64Array(1))[0]!,
      identity: options.identity ?? crypto.getRandomValues(new Uint8Array(16)),
      ...(limits && { limits }),
      accept: (greeting, peer) => this.#accept(greeting, peer),
      onLink: (link, { identity }) => this.#claimed!.opened(link, identity.toHex()),
      onRefused: (peer, reason, text) => this.#emit({ type: "refused", peer, reason, text }),
    });
    this.#accepting = this.#acceptAll();
  }

  /** Where it listens. */
  get address(): { readonly hostname: string; readonly port: number } {
    const { hostname, port } = this.#options.listener;
    return { hostname, port };
  }

  /** Leaves the cards as they are, pulls the devices and says goodbye. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException("The host was stopped", "AbortError"));
    this.#options.listener.close();
    await Promise.all([...this.cards.values()].map((card) => card[Symbol.asyncDispose]()));
    await this.#server[Symbol.asyncDispose]();
    await this.#options.listener[Symbol.asyncDispose]();
    await this.#accepting;
  }

  async #acceptAll(): Promise<void> {
    const { listener } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const transport = await listener.accept();
        if (transport === undefined) return;
        void this.#server.serve(transport);
      } catch (error) {
        this.#emit({ type: "accept_failed", error: error as Error });
        await pause(ACCEPT_DELAY, signal);
      }
    }
  }

  #accept({ identity }: Greeting, peer: string): Acceptance {
    const own = identity.toHex();
    const card = claim(this.cards.values(), own);
    if (typeof card !== "string") this.#claimed = card;
    const answer: Acceptance = typeof card === "string"
      ? { refuse: "busy", text: `Cannot serve card: ${card}` }
      : card.accept(own, peer);
    if ("refuse" in answer) {
      for (const each of candidates(this.cards.values(), own)) each.knock();
    }
    return answer;
  }

  #emit(event: HostEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** Runs a host until `signal` is aborted. */
export async function runHost(
  options: HostOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const { signal } = options;
  await using _host = new Host(options);
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
