/**
 * A card of a host: what is lent to it, and its life over all the card processes that come to be it.
 *
 *     process comes ── probe ─┬─> boot, by policy ─┬─> wait until the card OS stops ── ready ─┬─> boot again, by policy
 *                             └─ it runs: adopted ─┘                                          └─> wait for a command
 *
 * A lost connection is the link's affair: the card process resumes its session, and the devices hear nothing of it. Until
 * then the card is kept for that process, for ever or for {@linkcode CardOptions.lossTimeout}.
 *
 * A process that asks for a *new* session is another process. Of the same identity it is served at once, in place of the
 * one before: the link has made sure that nobody answers on the old connection. Another one is served if the one before
 * has said goodbye, was given up, or went before it was found to be a card.
 *
 * @module
 */
import {
  type Acceptance,
  BackendError,
  type Link,
  LinkError,
  page,
  type ShutdownReason,
} from "../../protocol/mod.ts";
import { BootError } from "../driver/boot_error.ts";
import type { BootImages } from "../driver/boot_image.ts";
import { Condition, WaitTimeout } from "../driver/condition.ts";
import type { CardEvent } from "../driver/events.ts";
import type { HostDriver } from "../driver/host_driver.ts";
import type { QueueCounters } from "../driver/queue_counters.ts";
import { RootPort } from "../driver/root_port.ts";
import type { SerialSink } from "../driver/serial_stream.ts";
import type { LifeState } from "../driver/states.ts";
import type { VirtioDevice } from "../driver/virtio_device.ts";
import { Absence } from "./absence.ts";
import type { CardHappening } from "./events.ts";
import { LentDevices } from "./lent.ts";
import { type RestartPolicy, Restarts } from "./restart.ts";
import { CardSession } from "./session.ts";
import { type Fault, StandingAside } from "./standing_aside.ts";

/** Where a card is: `absent` is one without a card process, all others are the driver's. */
export type CardState = LifeState | "absent";

/** What a card has of its host. */
export interface Loan {
  /** By slot. They stay the caller's. */
  readonly devices: readonly VirtioDevice[];
  /** What it boots. */
  readonly images?: BootImages | undefined;
}

export interface CardOptions {
  /** `mic0`. */
  readonly name: string;
  /** By slot. They stay the caller's, and outlive the host. */
  readonly devices: readonly VirtioDevice[];
  /** Takes what its OS writes on its first serial port. */
  readonly serial?: SerialSink | undefined;
  /** What it boots. */
  readonly images?: BootImages | undefined;
  /** Whether a card that comes is booted; true by default. */
  readonly autoboot?: boolean;
  /** `never` by default. */
  readonly restart?: RestartPolicy;
  /** 32 hexadecimal digits: no other card process may be this card. */
  readonly identity?: string | undefined;
  /** It was suspended when the host before this one ended: it stays so until `resume`, whoever comes. */
  readonly suspended?: { readonly ran: boolean } | undefined;
  /** A card whose connection is gone for so long, ms, is given up; never by default. */
  readonly lossTimeout?: number | undefined;
  /** Why it cannot be lent what it is to have: no card process is served until that can be. It has no devices then. */
  readonly fault?: Fault<Loan> | undefined;
}

const RUNNING: readonly LifeState[] = ["booting", "online", "shutting_down", "suspending"];
const AT_REST: readonly LifeState[] = ["ready", "reset_failed", "suspended"];
/** A card OS that was asked to stop gets this long, ms; then the card is reset. */
const SHUTDOWN_TIMEOUT = 60_000;

export class Card implements AsyncDisposable {
  readonly name: string;
  /** The only identity that it may have. */
  readonly bound: string | undefined;
  /** Its devices, by name. */
  readonly lent: LentDevices;
  readonly #options: CardOptions;
  readonly #emit: (event: CardHappening) => void;
  readonly #restarts: Restarts;
  readonly #changed = new Condition();
  #session: CardSession | undefined;
  /** Of the process that was just accepted. */
  #next = { rootPort: new RootPort(), absence: new Absence(undefined, () => {}), peer: "" };
  #reason: ShutdownReason = "nop";
  #since = Date.now();
  #onlineSince: number | undefined;
  #nextBoot: number | undefined;
  #images: BootImages | undefined;
  /** Wanted since `suspend`, by whatever process is the card, until `resume` or `reset`. */
  #asleep: boolean;
  #ranBeforeSuspend: boolean;
  /** Resumed, or booted, while no process was there: the next one boots. */
  #bootNext = false;
  /** While it cannot be lent what it is to have. */
  #aside: StandingAside<Loan> | undefined;

  /** @throws {RangeError} for more devices than a card has slots: not when the first card comes */
  constructor(options: CardOptions, emit: (event: CardHappening) => void) {
    const { name, devices } = options;
    if (devices.length > page.SLOTS) {
      throw new RangeError(
        `Cannot lend ${name} ${devices.length} devices: a card has ${page.SLOTS} slots`,
      );
    }
    this.name = name;
    this.bound = options.identity;
    this.#options = options;
    this.#images = options.images;
    this.#emit = emit;
    this.lent = new LentDevices(name, devices, () => this.driver);
    const { fault } = options;
    this.#aside = fault && new StandingAside(fault, (loan) => this.#lend(loan));
    this.#restarts = new Restarts(options.restart ?? "never");
    this.#asleep = options.suspended !== undefined;
    this.#ranBeforeSuspend = options.suspended?.ran ?? false;
  }

  /** The card process that is there now, or whose connection is waited for. It may not be probed yet. */
  get driver(): HostDriver | undefined {
    return this.#session?.ending === false ? this.#session.driver : undefined;
  }
  get state(): CardState {
    return this.driver?.state ?? "absent";
  }
  /** Why its OS stopped last; `nop` while it has not. */
  get reason(): ShutdownReason {
    return this.driver?.shutdownReason ?? this.#reason;
  }
  /** ms since 1970 of the last change of state. */
  get since(): number {
    return this.#since;
  }
  /** ms since 1970; undefined while its OS is not online. */
  get onlineSince(): number | undefined {
    return this.#onlineSince;
  }
  /** ms since 1970 of the boot that the policy will begin. */
  get nextBoot(): number | undefined {
    return this.#nextBoot;
  }
  get restart(): RestartPolicy {
    return this.#restarts.policy;
  }
  /** It is to be suspended, also while no card process is there. */
  get asleep(): boolean {
    return this.#asleep;
  }
  /** Its OS was online when it was suspended: `resume` boots it. */
  get ranBeforeSuspend(): boolean {
    return this.#ranBeforeSuspend;
  }
  get link(): Link | undefined {
    return this.driver && this.#session?.link;
  }
  /** The connection is there; false too while its session waits to be resumed. */
  get linkUp(): boolean {
    return this.link?.state === "up";
  }
  /** Address of the card process. */
  get peer(): string | undefined {
    return this.driver && this.#session?.peer;
  }
  /** 32 hexadecimal digits of the process that is or was this card last. */
  get identity(): string | undefined {
    return this.#session?.identity;
  }
  /** Why it serves no card process at all. */
  get fault(): string | undefined {
    return this.#aside?.text;
  }
  get devices(): readonly VirtioDevice[] {
    return this.lent.list.map(({ device }) => device);
  }
  /** Running totals of their queues, by slot. */
  get queueCounters(): readonly (Readonly<QueueCounters> | undefined)[] {
    return this.lent.slots.map((attached) => attached?.counters);
  }

  /** Why the process with `identity` cannot be this card now; undefined if it can. */
  refusal(identity: string): string | undefined {
    if (this.fault !== undefined) return `the host cannot lend it its devices: ${this.fault}`;
    const current = this.#session;
    if (!current || current.ending || current.identity === identity) return undefined;
    const away = current.absence.time;
    if (away === undefined) return "another one is connected";
    if (current.driver.info === undefined) return undefined;
    return `the host is kept for another one, whose connection is gone for ${
      Math.round(away / 1000)
    } s; "host --card-loss-timeout SECONDS" gives such a card up`;
  }

  /** A process that could be this card was refused: if that is for what the host cannot lend, it may be able to by now. */
  knock(): void {
    const before = this.fault;
    this.#aside?.knock()?.catch((error) => {
      // It was told of when it was the news.
      if (error.message !== before) this.#emit({ type: "failed", error });
    });
  }

  /** A card process is about to be this card; `opened` follows at once. */
  accept(identity: string, peer: string): Acceptance {
    const text = this.refusal(identity);
    if (text !== undefined) return { refuse: "busy", text: `Cannot serve card: ${text}` };
    this.#emit({ type: "connected", peer, identity });
    const rootPort = new RootPort();
    const absence: Absence = new Absence(this.#options.lossTimeout, () => this.#giveUp(absence));
    this.#next = { rootPort, absence, peer };
    return {
      completer: rootPort,
      onStatus: (status) => {
        absence.see(status);
        this.#emit({ type: "link", status });
      },
    };
  }

  opened(link: Link, identity: string): void {
    const previous = this.#session;
    const session = this.#session = new CardSession({
      ...this.#next,
      link,
      identity,
      devices: this.lent.slots,
      serial: this.#options.serial,
      onEvent: (event) => this.#happened(session, event),
      serve: (driver) => this.#serve(driver),
      failed: (error) => this.#emit({ type: "failed", error }),
    });
    link.signal.addEventListener("abort", () => this.#gone(session), { once: true });
    // What is left of the process before: it is gone, or the new one would not have been accepted.
    void previous?.link.close("busy", "Cannot go on: a new session took the place of this one");
    session.start(previous?.end() ?? Promise.resolve());
    this.#changed.notify();
  }

  /** Resolves with the driver as soon as there is a card process; it may not be probed yet. */
  waitForDriver(signal?: AbortSignal): Promise<HostDriver> {
    return this.#changed.until(() => this.driver, { signal });
  }

  /** Resolves as soon as the card is in one of `states`. */
  waitFor(states: readonly CardState[], signal?: AbortSignal): Promise<CardState> {
    return this.#changed.until(() => states.includes(this.state) ? this.state : undefined, {
      signal,
    });
  }

  /**
   * Begins to boot `images`, or what it booted last. A card that stands aside is lent its devices first, and then boots
   * as soon as a card process comes.
   * @throws {TypeError} if that cannot be now @throws {BackendError} if it has to stand aside still
   */
  async boot(images?: BootImages): Promise<void> {
    if (this.#aside) {
      if (this.#asleep) throw new TypeError(`Cannot boot ${this.name}: it is suspended`);
      await this.#aside.attempt();
      this.#images = images ?? this.#images;
      if (this.driver === undefined) {
        this.#bootNext = true;
        return;
      }
    }
    await this.#boot(images ?? this.#images);
  }

  async #boot(images: BootImages | undefined): Promise<void> {
    const driver = this.#present("boot");
    if (images === undefined) throw new TypeError(`Cannot boot ${this.name}: it has no images`);
    this.#images = images;
    const booted = driver.boot(images);
    // The state says at once whether it applies; how it ends is told as it happens.
    if (driver.state !== "booting") return await booted;
    void booted.catch((error) => this.#bootFailed(error));
  }

  /** Asks the card OS to stop in good order; resolves when the card is `ready`. @throws {TypeError} if it is not online */
  async shutdown(signal?: AbortSignal, timeout = SHUTDOWN_TIMEOUT): Promise<ShutdownReason> {
    return await this.#present("shutdown").shutdown({ signal, timeout });
  }

  /** Resets the card, whatever it does; resolves when it is `ready`. */
  async reset(signal?: AbortSignal): Promise<void> {
    const driver = this.#present("reset");
    const done = driver.reset({ signal });
    if (driver.state === "resetting") this.#asleep = this.#ranBeforeSuspend = false;
    await done;
  }

  /** Shuts the card OS down and remembers that it ran; resolves when the card is `suspended`. */
  async suspend(signal?: AbortSignal, timeout = SHUTDOWN_TIMEOUT): Promise<void> {
    const driver = this.#present("suspend");
    const before = driver.state;
    const done = driver.suspend({ signal, timeout });
    // What does not apply changes nothing.
    if (driver.state !== before) {
      this.#asleep = true;
      this.#ranBeforeSuspend = before === "online";
    }
    await done;
  }

  /** A suspended card is `ready` again, and boots what ran; without a card process, when one comes. */
  async resume(): Promise<void> {
    const waits = this.driver === undefined && this.#asleep;
    if (!waits) this.#present("resume").resume();
    const ran = this.#ranBeforeSuspend;
    this.#asleep = this.#ranBeforeSuspend = false;
    if (waits) this.#bootNext = ran;
    else if (ran) await this.boot();
  }

  /** Leaves the card as it is, and pulls the devices. The link is not this one's to close. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#aside?.[Symbol.asyncDispose]();
    await this.#session?.end();
    await this.lent[Symbol.asyncDispose]();
  }

  #lend({ devices, images }: Loan): void {
    this.#aside = undefined;
    this.lent.fill(devices);
    this.#images = images;
    this.#emit({ type: "lent", devices: this.lent.list.map(({ name }) => name) });
  }

  #present(command: string): HostDriver {
    const { driver } = this;
    if (driver) return driver;
    throw new TypeError(
      `Cannot ${command} ${this.name}: no card process is connected; start one with "deno task card"`,
    );
  }

  /** Until the card process is gone: waits for whatever boots the card OS, and for its end. */
  async #serve(driver: HostDriver): Promise<void> {
    const { autoboot = true } = this.#options;
    const asleep = this.#asleep;
    const boots = !asleep && driver.state === "ready" && (autoboot || this.#bootNext);
    this.#bootNext = false;
    if (asleep) await this.#sleepAgain(driver);
    let delay = boots && this.#images ? 0 : undefined;
    while (true) {
      if (delay !== undefined && !await this.#bootAfter(driver, delay)) {
        delay = this.#restarts.afterFailure();
        continue;
      }
      await driver.waitFor(RUNNING);
      const { reason, asked } = await driver.waitForStop();
      const begun = this.#onlineSince;
      if (driver.state === "shutting_down") await driver.reset();
      else await driver.waitFor(AT_REST);
      const online = begun === undefined ? 0 : Date.now() - begun;
      delay = this.#images && this.#restarts.after({ reason, asked, online });
      if (delay !== 0) this.#emit({ type: "stopped", reason });
    }
  }

  /** A card that was suspended is another process now, or has another host: it is suspended all the same. */
  async #sleepAgain(driver: HostDriver): Promise<void> {
    // Its host ended before its OS did.
    if (driver.state === "online") this.#ranBeforeSuspend = true;
    await driver.suspend({ timeout: SHUTDOWN_TIMEOUT });
  }

  /** False if the boot failed. Whoever boots it by hand meanwhile comes before. */
  async #bootAfter(driver: HostDriver, delay: number): Promise<boolean> {
    if (delay > 0) {
      this.#nextBoot = Date.now() + delay;
      this.#changed.notify();
      try {
        await driver.waitFor(RUNNING, { timeout: delay });
        return true;
      } catch (error) {
        if (!(error instanceof WaitTimeout)) throw error;
      } finally {
        this.#nextBoot = undefined;
      }
    }
    if (driver.state !== "ready") return true;
    try {
      await driver.boot(this.#images!);
      return true;
    } catch (error) {
      if (!(error instanceof BootError || error instanceof BackendError)) throw error;
      this.#bootFailed(error);
      return false;
    }
  }

  #bootFailed(error: unknown): void {
    // The link says itself that it is closed.
    if (error instanceof LinkError) return;
    this.#emit({
      type: "failed",
      error: error instanceof Error ? error : new Error(String(error)),
    });
  }

  #happened(session: CardSession, event: CardEvent): void {
    if (event.type === "state" && session === this.#session) {
      this.#since = Date.now();
      this.#reason = event.reason;
      if (event.state === "online") this.#onlineSince = this.#since;
      // While it shuts down, how long it was online is still of interest.
      else if (!RUNNING.includes(event.state)) this.#onlineSince = undefined;
    }
    this.#emit({ type: "card", event });
    this.#changed.notify();
  }

  #gone(session: CardSession): void {
    if (session !== this.#session) return;
    this.#reason = session.driver.shutdownReason;
    this.#since = Date.now();
    this.#onlineSince = undefined;
    this.#emit({ type: "gone", reason: this.#reason });
    this.#changed.notify();
  }

  #giveUp(absence: Absence): void {
    const session = this.#session;
    if (session?.absence !== absence) return;
    this.#emit({ type: "given_up", after: absence.time ?? 0 });
    void session.link.close("shutdown", "Cannot wait for card any longer");
  }
}
