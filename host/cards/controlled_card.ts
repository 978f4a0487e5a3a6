/**
 * A card as the control plane sees it: its status as plain data, its boots, and the operator's commands.
 *
 * - **Invariant:** commands return when they are under way; how they end is told by the status, and by `log` events.
 *
 * @module
 */
import { type Link, LinkError, type ShutdownReason } from "../../protocol/mod.ts";
import type {
  BootRecord,
  BootStep,
  CardControl,
  CardRequests,
  CardStats,
  CardStatus,
  Why,
} from "../control/card_control.ts";
import type { ConsoleHub } from "../console/hub.ts";
import type { ExecChannel, ExecOptions } from "../control/exec.ts";
import type { CardInfo } from "../driver/card_info.ts";
import type { HostDriver } from "../driver/host_driver.ts";
import type { LifeState } from "../driver/states.ts";
import { BootRecorder } from "./boot_recorder.ts";
import type { Card, CardOptions, CardState, Loan } from "./card.ts";
import { ConsoleFollower } from "./console_follower.ts";
import { deviceStatus } from "./device_status.ts";
import type { CardHappening } from "./events.ts";
import type { LifeStore } from "./life_store.ts";
import type { Fault } from "./standing_aside.ts";
import { type Refused, why } from "./why.ts";

/** What goes with the devices that a card is lent. */
export interface ControlledLoan extends Loan {
  /** Runs commands in the card OS; its ports are on one of the devices. */
  readonly exec?: ExecChannel | undefined;
  /** What its console port is bound to. */
  readonly console?: ConsoleHub | undefined;
}

export interface ControlledCardOptions extends Omit<CardOptions, "fault">, ControlledLoan {
  readonly fault?: Fault<ControlledLoan> | undefined;
  /** What it boots, in a word: `linux`, `diag`; the name of its kernel by default. */
  readonly os?: string | undefined;
}

export interface ControlledCardHooks {
  /** Where its life is kept; nowhere by default. */
  readonly store?: LifeStore | undefined;
  readonly onStep: (boot: number, step: BootStep) => void;
  /** A command that was under way has failed. */
  readonly onFailed: (error: Error) => void;
  /** Peers that were turned away lately, oldest first. */
  readonly refused: () => readonly Refused[];
}

const AT_REST: readonly LifeState[] = ["resetting", "ready", "reset_failed", "suspended"];

export class ControlledCard implements CardControl {
  readonly #card: Card;
  readonly #options: ControlledCardOptions;
  readonly #hooks: ControlledCardHooks;
  readonly #recorder: BootRecorder;
  #loan: ControlledLoan;
  #follower: ConsoleFollower | undefined;
  /** ms since 1970; undefined while the connection is there, or there is no session. */
  #linkLost: number | undefined;
  /** Why the last boot or process could not be used. */
  #failure: string | undefined;
  /** The card OS has been online since commands were last told of its end. */
  #ran = false;

  constructor(card: Card, options: ControlledCardOptions, hooks: ControlledCardHooks) {
    this.#card = card;
    this.#options = options;
    this.#hooks = hooks;
    this.#recorder = new BootRecorder({
      os: () => this.#os ?? "unknown",
      deviceName: (slot) => card.lent.list.find((lent) => lent.slot === slot)?.name,
      saved: hooks.store?.saved,
      onStep: hooks.onStep,
      onChange: (record) => {
        hooks.store?.keepBoot(record);
        this.#keepLife();
      },
    });
    this.#loan = options;
    this.lend(options);
  }

  /** What goes with the card's devices is this from now on. */
  lend(loan: ControlledLoan): void {
    this.#loan = loan;
    const { console, exec } = loan;
    this.#follower = console && new ConsoleFollower(console, this.#recorder);
    if (exec) exec.onOpen = () => this.#recorder.step("exec");
  }

  get name(): string {
    return this.#card.name;
  }
  /** What it runs on. */
  get card(): Card {
    return this.#card;
  }
  get console(): ConsoleHub | undefined {
    return this.#loan.console;
  }
  /** Its boots, for what the driver does not know of them. */
  get recorder(): BootRecorder {
    return this.#recorder;
  }

  status(): CardStatus {
    const card = this.#card;
    const { driver, restart, nextBoot, onlineSince } = card;
    const { bootCount, crashCount, last } = this.#recorder;
    const info = driver?.info;
    return {
      name: card.name,
      state: card.state,
      reason: card.reason,
      link: card.link === undefined ? "none" : card.linkUp ? "up" : "down",
      since: card.since,
      ...optional("peer", card.peer),
      ...optional("identity", card.identity),
      ...optional("os", this.#os),
      ...optional("platform", info?.platform),
      ...optional("memoryMib", info?.memoryMib),
      boot: last?.number ?? 0,
      bootCount,
      crashCount,
      ...optional("uptime", onlineSince && (Date.now() - onlineSince) / 1000),
      ...optional("postCode", driver?.postCodes.at(-1)?.text),
      restart,
      ...optional("nextBoot", nextBoot),
      suspendedOs: card.ranBeforeSuspend,
      devices: card.lent.list.map((lent) => deviceStatus(lent, driver?.device(lent.slot))),
    };
  }

  info(): CardInfo | undefined {
    return this.#card.driver?.info;
  }

  why(): Why {
    const { exec } = this.#loan;
    return why({
      status: this.status(),
      now: Date.now(),
      record: this.#recorder.last,
      linkLost: this.#linkLost,
      failure: this.#failure,
      fault: this.#card.fault,
      bound: this.#card.bound,
      autoboot: this.#options.autoboot ?? true,
      hasImages: this.#loan.images !== undefined,
      execWaits: exec?.waitsFor,
      refused: this.#hooks.refused(),
    });
  }

  boots(): readonly BootRecord[] {
    return this.#recorder.records;
  }

  stats(): CardStats {
    const { lent, driver, link, queueCounters } = this.#card;
    return {
      link: link ? { ...link.counters, ...creditOf(link) } : {},
      devices: Object.fromEntries(
        lent.list.map(({ name, slot, device }) => [name, {
          ...queueCounters[slot],
          ...device.counters,
        }]),
      ),
      faults: { ...driver?.faults },
    };
  }

  requests(): CardRequests {
    return Object.fromEntries(
      this.#card.lent.list.flatMap(({ name, device: { requests } }) =>
        requests ? [[name, requests]] : []
      ),
    );
  }

  async configSpace(signal?: AbortSignal): Promise<Uint8Array> {
    const { driver, linkUp, name } = this.#card;
    if (driver === undefined || !linkUp) {
      throw new TypeError(`Cannot read configuration space of ${name}: ${this.why().sentence}`);
    }
    return await driver.configSpace({ signal });
  }

  async boot(): Promise<void> {
    await this.#card.boot();
  }
  reset(): Promise<void> {
    // One that is under way is joined, and so is under way.
    if (this.#card.state === "resetting" && this.#card.driver?.info) return Promise.resolve();
    return this.#command(() => this.#card.reset());
  }
  shutdown(): Promise<void> {
    return this.#command(() => this.#card.shutdown());
  }
  suspend(): Promise<void> {
    return this.#command(() => this.#card.suspend());
  }
  async resume(): Promise<void> {
    try {
      await this.#card.resume();
    } finally {
      this.#keepLife();
    }
  }

  async waitFor(states: readonly CardState[], signal: AbortSignal): Promise<CardStatus> {
    await this.#card.waitFor(states, signal);
    return this.status();
  }

  async exec(command: string, options: ExecOptions): Promise<number> {
    const { exec } = this.#loan;
    if (exec === undefined) {
      throw new TypeError(`Cannot run a command on ${this.name}: it has no exec port`);
    }
    if (this.#card.state !== "online") {
      throw new TypeError(
        `Cannot run a command on ${this.name}: it is ${this.#card.state}, wanted online`,
      );
    }
    return await exec.run(command, options);
  }

  addDisk(choice: string): Promise<string> {
    return this.#card.lent.addDisk(choice, this.#hooks.onFailed);
  }
  removeDisk(name: string): Promise<void> {
    return this.#card.lent.removeDisk(name);
  }
  resizeDisk(name: string, size: number): Promise<void> {
    return this.#card.lent.resizeDisk(name, size);
  }
  swapDisk(name: string, choice: string): Promise<void> {
    return this.#card.lent.swapDisk(name, choice, this.#hooks.onFailed);
  }
  setCarrier(up: boolean): void {
    this.#card.lent.setCarrier(up);
  }

  /** Everything that happens to the card, in order; returns whether its status is another one now. */
  happened(happening: CardHappening): void {
    if (happening.type === "link") {
      const { type } = happening.status;
      if (type === "lost") this.#linkLost = Date.now();
      else if (type === "up" || type === "closed") this.#linkLost = undefined;
    }
    if (happening.type === "connected") this.#failure = undefined;
    if (happening.type === "failed") this.#failure = happening.error.message;
    this.#recorder.happened(happening);
    this.#follower?.happened(happening);
    if (happening.type === "card" && happening.event.type === "state") {
      const { state, reason } = happening.event;
      if (state === "booting" || state === "online") this.#failure = undefined;
      this.#endCommands(state, reason);
    } else if (happening.type === "gone") this.#endCommands("ready", happening.reason);
  }

  /** The card OS that had taken commands does not answer them any more. */
  #endCommands(state: LifeState, reason: ShutdownReason): void {
    if (state === "online") this.#ran = true;
    if (!this.#ran || !AT_REST.includes(state)) return;
    this.#ran = false;
    const text = `Cannot run command: the card OS of ${this.name} has stopped (${reason})`;
    this.#loan.exec?.fail(new LinkError(text));
  }

  get #os(): string | undefined {
    const { os } = this.#options;
    const { images } = this.#loan;
    if (os !== undefined || images === undefined) return os;
    return typeof images.kernel === "string" ? images.kernel : images.kernel.name;
  }

  #keepLife(): void {
    const { bootCount, crashCount } = this.#recorder;
    const { asleep, ranBeforeSuspend } = this.#card;
    const suspended = asleep ? { ran: ranBeforeSuspend } : undefined;
    this.#hooks.store?.keepLife({ bootCount, crashCount, suspended });
  }

  /** Resolves when `run` has changed the card's state; what comes of it later is told by `onFailed`. */
  async #command(run: () => Promise<unknown>): Promise<void> {
    const before: HostDriver | undefined = this.#card.driver;
    const state = before?.state;
    const done = run();
    this.#keepLife();
    // What does not apply changes nothing, and is rejected with the reason.
    if (before === undefined || before.state === state) {
      await done;
      return;
    }
    done.catch((error) => {
      // The link says itself that it is closed.
      if (error instanceof LinkError) return;
      this.#hooks.onFailed(error instanceof Error ? error : new Error(String(error)));
    });
  }
}

/** What the card lets its host send now. */
function creditOf({ credit }: Link): Record<string, number> {
  return {
    creditPostedBytes: credit.postedBytes,
    creditPostedFrames: credit.postedFrames,
    creditNonPosted: credit.nonPosted,
  };
}

/** A member that is absent, not undefined. */
function optional<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : { [key]: value } as { readonly [P in K]?: V };
}
