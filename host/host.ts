/**
 * A host: listens for its card, and serves one card process after the other with the same devices.
 *
 * A lost connection is the link's affair: the card resumes its session, and its devices hear nothing of it. Until then
 * the host is kept for that card, for ever or for {@linkcode HostOptions.cardLossTimeout}.
 *
 * A card that asks for a *new* session is a new process. The same card is served at once, in place of the process before:
 * the link has made sure that nobody answers on the old connection. Another card is served if the one before has said
 * goodbye, was given up, or went before it was found to be a card; else it is told goodbye `busy`, and tries again by itself.
 *
 * @module
 */
import {
  type Acceptance,
  type GoodbyeReason,
  type Greeting,
  type Link,
  type LinkLimits,
  LinkServer,
  type LinkStatus,
  page,
  pause,
  type ShutdownReason,
  type TcpListener,
} from "../protocol/mod.ts";
import { Absence } from "./absence.ts";
import { CardSession } from "./card_session.ts";
import { AttachedDevice } from "./driver/attached_device.ts";
import type { BootImages } from "./driver/boot_image.ts";
import { Condition } from "./driver/condition.ts";
import type { CardEvent } from "./driver/events.ts";
import type { HostDriver } from "./driver/host_driver.ts";
import { RootPort } from "./driver/root_port.ts";
import type { VirtioDevice } from "./driver/virtio_device.ts";

/** What happens at a host, for people, logs and metrics. */
export type HostEvent =
  /** A card process has a new session; `identity` is 32 hexadecimal digits. */
  | { readonly type: "connected"; readonly peer: string; readonly identity: string }
  | { readonly type: "link"; readonly status: LinkStatus }
  | { readonly type: "card"; readonly event: CardEvent }
  /** The card OS stopped; the card waits, `ready`. */
  | { readonly type: "stopped"; readonly reason: ShutdownReason }
  /** The card cannot be used, or cannot boot. */
  | { readonly type: "failed"; readonly error: Error }
  /** A peer was turned away. */
  | {
    readonly type: "refused";
    readonly peer: string;
    readonly reason: GoodbyeReason;
    readonly text: string;
  }
  /** The card's connection was gone for `after` ms: its session is over, and another card may come. */
  | { readonly type: "given_up"; readonly after: number }
  /** A connection could not be accepted; the host goes on listening. */
  | { readonly type: "accept_failed"; readonly error: Error };

export interface HostOptions {
  /** Owned from now on. */
  readonly listener: TcpListener;
  /** By slot. They stay the caller's, and outlive the host. */
  readonly devices: readonly VirtioDevice[];
  /** Booted on every card that comes; without them a card is left `ready`. */
  readonly images?: BootImages | undefined;
  /** 16 bytes by which cards know this host again; random by default. */
  readonly identity?: Uint8Array;
  /** Number of this host process; random by default. */
  readonly epoch?: bigint;
  readonly limits?: Partial<LinkLimits>;
  /** A card whose connection is gone for so long, ms, is given up; never by default. */
  readonly cardLossTimeout?: number | undefined;
  /** Called synchronously; must not throw. */
  readonly onEvent?: (event: HostEvent) => void;
}

/** Time before accepting is tried again after it failed, ms. */
const ACCEPT_DELAY = 1000;

export class Host implements AsyncDisposable {
  readonly #options: HostOptions;
  readonly #devices: readonly AttachedDevice[];
  readonly #server: LinkServer;
  readonly #accepting: Promise<void>;
  readonly #stop = new AbortController();
  readonly #changed = new Condition();
  #session: CardSession | undefined;
  /** Of the session that was just accepted. */
  #rootPort = new RootPort();
  #absence = new Absence(undefined, () => {});

  /** Listens at once. @throws {RangeError} for more devices than a card has slots: not when the first card comes */
  constructor(options: HostOptions) {
    if (options.devices.length > page.SLOTS) {
      throw new RangeError(
        `Cannot lend a card ${options.devices.length} devices: it has ${page.SLOTS} slots`,
      );
    }
    this.#options = options;
    this.#devices = options.devices.map((device) => new AttachedDevice(device));
    const { limits } = options;
    this.#server = new LinkServer({
      epoch: options.epoch ?? crypto.getRandomValues(new BigUint64Array(1))[0]!,
      identity: options.identity ?? crypto.getRandomValues(new Uint8Array(16)),
      ...(limits && { limits }),
      accept: (greeting, peer) => this.#accept(greeting, peer),
      onLink: (link, greeting) => this.#opened(link, greeting),
      onRefused: (peer, reason, text) => this.#emit({ type: "refused", peer, reason, text }),
    });
    this.#accepting = this.#acceptAll();
  }

  /** Where it listens. */
  get address(): { readonly hostname: string; readonly port: number } {
    const { hostname, port } = this.#options.listener;
    return { hostname, port };
  }

  /** The card that is there now. */
  get card(): HostDriver | undefined {
    return this.#session?.ending === false ? this.#session.driver : undefined;
  }

  /** The card's connection is there; false too while its session waits to be resumed. */
  get linkUp(): boolean {
    return this.card !== undefined && this.#session?.link.state === "up";
  }

  /** Resolves with the card as soon as there is one; it may not be probed yet. */
  waitForCard(signal?: AbortSignal): Promise<HostDriver> {
    const signals = signal ? [this.#stop.signal, signal] : [this.#stop.signal];
    return this.#changed.until(() => this.card, { signal: AbortSignal.any(signals) });
  }

  /** Leaves the card as it is, pulls the devices and says goodbye. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException("The host was stopped", "AbortError"));
    this.#options.listener.close();
    await this.#session?.end();
    await this.#server[Symbol.asyncDispose]();
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

  #accept(greeting: Greeting, peer: string): Acceptance {
    const current = this.#session;
    if (current && !current.ending && isKept(current, greeting.identity.toHex())) {
      return { refuse: "busy", text: `Cannot serve card: ${whoIsServed(current.absence)}` };
    }
    this.#emit({ type: "connected", peer, identity: greeting.identity.toHex() });
    this.#rootPort = new RootPort();
    const absence = this.#absence = new Absence(
      this.#options.cardLossTimeout,
      () => this.#giveUp(absence),
    );
    return {
      completer: this.#rootPort,
      onStatus: (status) => {
        absence.see(status);
        this.#emit({ type: "link", status });
      },
    };
  }

  #opened(link: Link, greeting: Greeting): void {
    const previous = this.#session;
    const session = this.#session = new CardSession({
      link,
      rootPort: this.#rootPort,
      absence: this.#absence,
      identity: greeting.identity.toHex(),
      devices: this.#devices,
      images: this.#options.images,
      events: {
        card: (event) => this.#emit({ type: "card", event }),
        stopped: (reason) => this.#emit({ type: "stopped", reason }),
        failed: (error) => this.#emit({ type: "failed", error }),
      },
    });
    // What is left of the card before: its process is gone, or the new one would not have been accepted.
    void previous?.link.close("busy", "Cannot go on: a new session took the place of this one");
    session.start(previous?.end() ?? Promise.resolve());
    this.#changed.notify();
  }

  #giveUp(absence: Absence): void {
    const session = this.#session;
    if (session?.absence !== absence) return;
    this.#emit({ type: "given_up", after: absence.time ?? 0 });
    void session.link.close("shutdown", "Cannot wait for card any longer");
  }

  #emit(event: HostEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** Only its own card may follow `session`: it is connected, or is known to be a card and will be back. */
function isKept({ identity, absence, driver }: CardSession, card: string): boolean {
  return identity !== card && (absence.time === undefined || driver.info !== undefined);
}

/** Why the host takes no other card. */
function whoIsServed({ time }: Absence): string {
  if (time === undefined) return "another one is connected";
  return `the host is kept for another one, whose connection is gone for ${
    Math.round(time / 1000)
  } s; "host --card-loss-timeout SECONDS" gives such a card up`;
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
