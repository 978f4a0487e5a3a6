/**
 * A host as the control plane sees it: its cards by name, and what happens to them as events.
 *
 * @module
 */
import type { ControlEvent, HostControl, HubTraffic } from "../control/card_control.ts";
import { lineOf } from "../control/report.ts";
import { Host, type HostEvent, type HostOptions } from "../host.ts";
import {
  ControlledCard,
  type ControlledCardOptions,
  type ControlledLoan,
} from "./controlled_card.ts";
import { LifeStore } from "./life_store.ts";
import type { Fault } from "./standing_aside.ts";
import type { Refused } from "./why.ts";

export interface ControlledHostOptions extends Omit<HostOptions, "cards"> {
  readonly cards: readonly ControlledCardOptions[];
  /** Of this program. */
  readonly version: string;
  /** The switches between the cards; the caller's. */
  readonly hubs?: Iterable<HubTraffic> | undefined;
  /** Folder in which the cards' lives are kept; without one they end with the host. */
  readonly state?: string | undefined;
}

/** Peers that were turned away, as far back as `why` tells of them. */
const KEPT_REFUSALS = 16;

export class ControlledHost implements HostControl, AsyncDisposable {
  readonly version: string;
  readonly started: number = Date.now();
  readonly cards: ReadonlyMap<string, ControlledCard>;
  readonly host: Host;
  readonly hubs: Iterable<HubTraffic> | undefined;
  readonly #onEvent: (event: HostEvent) => void;
  readonly #listeners = new Set<(event: ControlEvent) => void>();
  readonly #refused: Refused[] = [];
  readonly #refusals: Record<string, number> = {};

  readonly #stores = new Map<string, LifeStore>();

  /**
   * Reads what is kept of the cards, and listens at once.
   * @throws {RangeError} as Host does @throws {BackendError} if the state folder cannot be used
   */
  constructor(options: ControlledHostOptions) {
    this.version = options.version;
    this.hubs = options.hubs;
    this.#onEvent = options.onEvent ?? (() => {});
    const { state } = options;
    if (state !== undefined) {
      const report = (error: Error) => this.#happened({ type: "not_kept", error });
      for (const { name } of options.cards) {
        this.#stores.set(name, LifeStore.open(state, name, report));
      }
    }
    this.host = new Host({
      ...options,
      cards: options.cards.map((card) => ({
        ...card,
        fault: card.fault && this.#faultOf(card.name, card.fault),
        suspended: card.suspended ?? this.#stores.get(card.name)?.saved.suspended,
        // What the kernel says is seen where the console is.
        serial: card.console && ((piece) => card.console!.serial(piece)),
      })),
      onEvent: (event) => this.#happened(event),
    });
    this.cards = new Map(options.cards.map((card) => [card.name, this.#controlled(card)]));
  }

  get listening(): string {
    const { hostname, port } = this.host.address;
    return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  }

  get refusals(): Readonly<Record<string, number>> {
    return this.#refusals;
  }

  subscribe(listener: (event: ControlEvent) => void): () => void {
    // A function of its own: the same listener may be given twice.
    const own = (event: ControlEvent): void => listener(event);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Leaves the cards as they are, as Host does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    for (const store of this.#stores.values()) await store[Symbol.asyncDispose]();
    this.#listeners.clear();
  }

  /** What could be lent at last is the control plane's, too. */
  #faultOf(name: string, { text, lend }: Fault<ControlledLoan>): Fault<ControlledLoan> {
    return {
      text,
      lend: async () => {
        const loan = await lend();
        this.cards.get(name)!.lend(loan);
        return loan;
      },
    };
  }

  #controlled(options: ControlledCardOptions): ControlledCard {
    const { name } = options;
    return new ControlledCard(this.host.cards.get(name)!, options, {
      onStep: (boot, step) => this.#tell({ type: "step", card: name, boot, step }),
      store: this.#stores.get(name),
      onFailed: (error) => this.#tell({ type: "log", card: name, text: error.message }),
      refused: () => this.#refused,
    });
  }

  #happened(event: HostEvent): void {
    // What cannot be read is told before there are cards.
    const card = "card" in event ? this.cards.get(event.card) : undefined;
    this.#onEvent(event);
    if (event.type === "refused") {
      const { peer, reason, text } = event;
      this.#refusals[reason] = (this.#refusals[reason] ?? 0) + 1;
      this.#refused.push({ peer, text, time: Date.now() });
      if (this.#refused.length > KEPT_REFUSALS) this.#refused.shift();
    }
    if (card && "card" in event) card.happened(event);
    if (this.#listeners.size === 0) return;
    const text = lineOf(event);
    if (text !== undefined) this.#tell({ type: "log", ...(card && { card: card.name }), text });
    if (card && changesStatus(event)) {
      this.#tell({ type: "card", card: card.name, status: card.status() });
    }
  }

  #tell(event: ControlEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

/** POST codes come as steps, and the download's progress as none. */
function changesStatus(event: HostEvent): boolean {
  if (event.type !== "card") return true;
  const { type } = event.event;
  return type === "state" || type === "found" || type === "device_started" || type === "fault";
}
