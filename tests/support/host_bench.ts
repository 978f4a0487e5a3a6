/**
 * A host in memory and the cards that dial it: the real host driver, link, endpoint, bootstrap and card driver; the
 * machine is the test's own.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { runCard } from "../../card/card.ts";
import type { CardIdentity } from "../../card/endpoint/function.ts";
import { Condition } from "../../host/driver/condition.ts";
import type { Card } from "../../host/cards/card.ts";
import type { ControlledCard, ControlledCardOptions } from "../../host/cards/controlled_card.ts";
import { ControlledHost } from "../../host/cards/controlled_host.ts";
import type { HubTraffic } from "../../host/control/card_control.ts";
import type { Host, HostEvent } from "../../host/host.ts";
import { encodeDiagImage, LinkError, type Transport } from "../../protocol/mod.ts";
import { FakeMachine } from "./fake_machine.ts";
import { MemoryListener } from "./memory_listener.ts";
import { RingDriver } from "./ring_driver.ts";

export const MIB = 2 ** 20;
export const IMAGES = { kernel: { name: "diag", bytes: encodeDiagImage() }, cmdline: "quiet" };

export type HostBenchOptions = Partial<ControlledCardOptions> & {
  /** Instead of one card. */
  readonly cards?: readonly ControlledCardOptions[];
  /** Folder in which the cards' lives are kept. */
  readonly state?: string;
  readonly hubs?: Iterable<HubTraffic>;
};

/** A host in memory, and cards that dial it. */
export class HostBench implements AsyncDisposable {
  readonly listener = new MemoryListener();
  readonly events: HostEvent[] = [];
  /** What the control plane has of the host. */
  readonly control: ControlledHost;
  readonly #changed = new Condition();
  readonly #cards = new AsyncDisposableStack();

  constructor({ cards, state, hubs, ...card }: HostBenchOptions = {}) {
    this.control = new ControlledHost({
      version: "0.0.0",
      state,
      hubs,
      listener: this.listener,
      cards: cards ?? [{ name: "mic0", devices: [], images: IMAGES, ...card }],
      onEvent: (event) => {
        this.events.push(event);
        this.#changed.notify();
      },
    });
  }

  get host(): Host {
    return this.control.host;
  }

  /** The first card of the host, as the control plane has it. */
  get controlled(): ControlledCard {
    const [card] = this.control.cards.values();
    return card!;
  }

  /** The first card of the host. */
  get card(): Card {
    const [card] = this.host.cards.values();
    return card!;
  }

  /** The first event of which `pick` makes something, from number `from` on. */
  sees<T>(pick: (event: HostEvent) => T | undefined, from = 0): Promise<T> {
    return this.#changed.until(() => {
      for (const event of this.events.slice(from)) {
        const found = pick(event);
        if (found !== undefined) return found;
      }
    });
  }

  seesState(state: string, from = 0): Promise<true> {
    return this.sees(
      (event) =>
        event.type === "card" && event.event.type === "state" && event.event.state === state ||
        undefined,
      from,
    ) as Promise<true>;
  }

  /** Runs a card process. */
  startCard(options: { identity?: number; model?: CardIdentity } = {}): TestCard {
    const card = new TestCard(this.listener, options.identity ?? 1, options.model);
    this.#cards.use(card);
    return card;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cards.disposeAsync();
    await this.control[Symbol.asyncDispose]();
  }
}

export class TestCard implements AsyncDisposable {
  readonly machines: FakeMachine[] = [];
  /** What its machines refuse to boot with. */
  refusal: Error | undefined;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  readonly #frozen = new AbortController();
  #listener: MemoryListener;
  #transport: Transport | undefined;
  #unplugged = false;

  constructor(listener: MemoryListener, identity: number, model?: CardIdentity) {
    this.#listener = listener;
    this.#done = runCard({
      dial: async () => {
        this.#frozen.signal.throwIfAborted();
        if (this.#unplugged) throw new LinkError("Cannot dial: unplugged");
        return this.#transport = freezable(await this.#listener.dial(), this.#frozen.signal);
      },
      machine: ({ memoryBytes }) => {
        const machine = new FakeMachine(memoryBytes);
        machine.refusal = this.refusal;
        this.machines.push(machine);
        return Promise.resolve(machine);
      },
      memoryBytes: 4 * MIB,
      identity: new Uint8Array(16).fill(identity),
      ...(model && { model }),
      signal: this.#stop.signal,
    });
  }

  get machine(): FakeMachine {
    return this.machines.at(-1)!;
  }

  /** From its next connection on it dials another host. */
  turnTo({ listener }: HostBench): void {
    this.#listener = listener;
  }

  /** As a cable does it that is pulled out: it neither hears nor is heard, and its connection stays as it is. */
  freeze(): void {
    this.#frozen.abort(new LinkError("Cannot dial: no network"));
  }

  /** Its connection breaks. */
  cut(): void {
    this.#transport?.close();
  }

  /** It reaches no host until it is plugged in again. */
  unplug(): void {
    this.#unplugged = true;
  }
  plug(): void {
    this.#unplugged = false;
  }

  /** As kill -9 does it: no goodbye. */
  kill(): void {
    this.freeze();
    this.cut();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

/** `inner`, until `frozen`: then nothing comes and nothing goes. */
function freezable(inner: Transport, frozen: AbortSignal): Transport {
  const closed = Promise.withResolvers<null>();
  return {
    peer: inner.peer,
    async read(into) {
      const count = await inner.read(into);
      return frozen.aborted ? await closed.promise : count;
    },
    write: (bytes) => frozen.aborted ? Promise.resolve() : inner.write(bytes),
    close() {
      closed.resolve(null);
      inner.close();
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

/**
 * Common configuration of a virtio-pci function, by hand (virtio 1.3 §4.1.4.3). It takes VERSION_1, and of the device's
 * own features `low`.
 */
export function setUpDriver(machine: FakeMachine, low = 1): RingDriver {
  const device = machine.functions[0]!;
  const status = (value: number) => device.write(20, 1, value);
  status(1);
  status(3);
  for (const [word, bits] of [[0, low], [1, 1]] as const) {
    device.write(8, 4, word);
    device.write(12, 4, bits);
  }
  status(11);
  assertEquals(device.read(20, 1), 11);
  device.write(22, 2, 0);
  for (const [register, at] of [[32, 0x1_0000], [40, 0x1_1000], [48, 0x1_2000]] as const) {
    device.write(register, 4, at);
    device.write(register + 4, 4, 0);
  }
  device.write(28, 2, 1);
  status(15);
  const ring = {
    size: device.read(24, 2),
    descriptorTable: 0x1_0000,
    availableRing: 0x1_1000,
    usedRing: 0x1_2000,
  };
  return new RingDriver(machine.memory.bytes(), ring);
}

/** A card that comes, and has booted. */
export async function bootedCard(bench: HostBench): Promise<TestCard> {
  const card = bench.startCard();
  await bench.sees((e) =>
    e.type === "card" && e.event.type === "post_code" && e.event.text === "FF" || undefined
  );
  return card;
}
