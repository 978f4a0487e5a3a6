/**
 * The bootstrap: the card's own firmware, from reset to a running card OS and back.
 *
 *     POST 01 02 03 05 06   reset: a new machine is made
 *          12               waiting for download (download_info says where to)
 *          13               boot signal received
 *          15               download verified
 *          17               card driver has plugged its functions
 *          FF               the card OS runs
 *          1E 4E 5E         boot refused (`boot_image.ts`); a machine may refuse with codes of its own
 *          EE dE            no machine could be made; an error of our own while booting
 *
 * Every state is told to the host in the header of the host page; where that is the host says in two registers, which
 * are looked at on a card reset, at the boot and adopt signals, and when a reset is through, well or not. A card reset
 * drops machine, drivers and queues, and keeps the link and what the host set up.
 *
 * A host that is gone for good takes with it what it set up, but not a card OS that is online: that is parked, and waits
 * until the next host adopts it, or resets the card.
 *
 * - **Invariant:** there is at most one machine, and what one from before a reset still says is not heard.
 *
 * @module
 */
import {
  CARD_STATE,
  type CardState,
  EventLimit,
  page,
  PLATFORM,
  postCode,
  SHUTDOWN_REASON,
  type ShutdownReason,
} from "../../protocol/mod.ts";
import { CardDriver } from "../driver/card_driver.ts";
import { HostPage } from "../driver/host_page.ts";
import { BootRefused, type Machine, type MachineFactory } from "../machine/types.ts";
import { readBootImage, readHostClock, REFUSED } from "./boot_image.ts";
import type { BusMaster } from "./bus_master.ts";
import { type CardEvent, nextCardState } from "./card_states.ts";
import type { RegisterEvents } from "./card_registers.ts";
import type { Endpoint } from "./endpoint.ts";
import { SerialFeed } from "./serial_feed.ts";
import { SerialLog } from "./serial_log.ts";

/** POST codes of failures that are not the download's. */
const NO_MACHINE = "EE";
const EXCEPTION = "dE";
/** How often a card OS that is alive counts up the heartbeat, ms. */
const HEARTBEAT_INTERVAL = 2000;
/** POST codes that are told in one second. */
const POST_CODES_A_SECOND = 20;

/** What happens on the card, for people. Called synchronously; must not throw. */
export type BootstrapEvent =
  | { readonly type: "state"; readonly state: CardState }
  /** Two characters. */
  | { readonly type: "post_code"; readonly code: number }
  /** A card OS that counts through POST codes: so many more within a second. */
  | { readonly type: "suppressed"; readonly what: string; readonly count: number }
  | { readonly type: "machine_started"; readonly platform: Machine["platform"] }
  | { readonly type: "machine_stopped"; readonly reason: ShutdownReason; readonly detail: string }
  | { readonly type: "refused"; readonly postCode: string; readonly text: string }
  /** The host is gone; the card OS runs on, and its devices wait for another. */
  | { readonly type: "parked" }
  /** Another host has taken over the card OS. */
  | { readonly type: "adopted" }
  /** That host has not got what the driver of this device needs: DEVICE_NEEDS_RESET. */
  | { readonly type: "device_broken"; readonly slot: number; readonly text: string }
  /** A machine did not go in good order; its memory may not come back. */
  | { readonly type: "dispose_failed"; readonly error: unknown };

export interface BootstrapOptions {
  readonly endpoint: Endpoint;
  readonly requester: BusMaster;
  readonly machine: MachineFactory;
  readonly memoryBytes: number;
  readonly onEvent?: (event: BootstrapEvent) => void;
}

export class Bootstrap implements RegisterEvents, AsyncDisposable {
  readonly #options: BootstrapOptions;
  readonly #hostPage: HostPage;
  readonly #limit: EventLimit;
  #state: CardState = "resetting";
  #machine: Machine | undefined;
  #driver: CardDriver | undefined;
  /** What the machine's OS writes on its first serial port; as long as the machine is there. */
  #serial: SerialFeed | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #beats = 0;
  /** The host is gone, and none has adopted the machine yet. */
  #parked = false;
  /** The reset that is under way, or the last one; never rejects. */
  #reset: Promise<void> = Promise.resolve();
  #disposed = false;

  constructor(options: BootstrapOptions) {
    this.#options = options;
    this.#hostPage = new HostPage({
      requester: options.requester,
      interrupt: (vector) => options.endpoint.sendMsi(vector),
    });
    this.#limit = new EventLimit(
      POST_CODES_A_SECOND,
      (what, count) => options.onEvent?.({ type: "suppressed", what, count }),
    );
    options.endpoint.listen(this);
  }

  get state(): CardState {
    return this.#state;
  }

  /** Power on: makes the first machine. Resolves when the card is ready for download, or refused. */
  powerOn(): Promise<void> {
    this.#startReset(undefined);
    return this.#reset;
  }

  /** The host is gone for good: a fundamental reset, then a card reset. Resolves as `powerOn`. */
  hotReset(): Promise<void> {
    const { endpoint } = this.#options;
    this.#hostPage.moveTo(0);
    endpoint.fundamentalReset();
    endpoint.registers.resetting = this.#state === "resetting";
    this.reset();
    return this.#reset;
  }

  /**
   * The host is gone for good: a fundamental reset, but a card OS that is online runs on. False, and nothing done, if
   * there is none: then a hot reset has to follow.
   */
  park(): boolean {
    const machine = this.#machine;
    if (this.#state !== "online" || machine === undefined || this.#disposed) return false;
    const { endpoint, onEvent } = this.#options;
    const { postCode } = endpoint.registers;
    this.#driver?.park();
    this.#serial?.park();
    this.#hostPage.moveTo(0);
    endpoint.fundamentalReset();
    endpoint.registers.postCode = postCode;
    endpoint.registers.platform = PLATFORM[machine.platform];
    endpoint.registers.setAdoptable();
    this.#parked = true;
    onEvent?.({ type: "parked" });
    return true;
  }

  doorbell(number: number, value: number): void {
    if (number === 0) {
      this.#driver?.headerChanged();
      this.#serial?.asked();
    } else if (number <= page.SLOTS) this.#driver?.doorbell(number - 1, value);
  }

  reset(): void {
    if (!this.#step("reset")) return;
    const machine = this.#machine;
    this.#quiesce();
    this.#hostPage.clear();
    this.#followHostPage();
    this.#publishState();
    this.#startReset(machine);
  }

  boot(): void {
    const machine = this.#machine;
    if (machine === undefined || !this.#step("boot_signal")) return;
    const { endpoint } = this.#options;
    this.#post("13");
    endpoint.registers.setDownload(undefined);
    try {
      this.#findHostPage();
      this.#publishState();
      this.#start(machine);
    } catch (error) {
      if (error instanceof BootRefused) this.#refuse(error.postCode, error.message);
      else this.#refuse(EXCEPTION, `Cannot boot: ${error}`);
    }
  }

  adopt(): void {
    if (!this.#parked || this.#disposed) return;
    const { endpoint, onEvent } = this.#options;
    this.#parked = false;
    endpoint.registers.setDownload(undefined);
    this.#hostPage.moveTo(endpoint.registers.hostPage ?? 0);
    if (this.#state === "online") {
      if (this.#machine) this.#followClock(this.#machine);
      this.#driver?.adopt((slot, text) => onEvent?.({ type: "device_broken", slot, text }));
      onEvent?.({ type: "adopted" });
    }
    // A card OS that has stopped meanwhile is not there to be adopted, and the host reads so.
    this.#publishState();
    this.#serial?.asked();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const machine = this.#machine;
    this.#quiesce();
    await this.#reset;
    await this.#dispose(machine);
    this.#limit[Symbol.dispose]();
  }

  #startReset(old: Machine | undefined): void {
    this.#options.endpoint.registers.resetting = true;
    this.#reset = this.#makeMachine(old);
  }

  async #makeMachine(old: Machine | undefined): Promise<void> {
    const { endpoint, machine: factory, memoryBytes } = this.#options;
    for (const code of ["01", "02", "03"]) this.#post(code);
    await this.#dispose(old);
    let machine: Machine | undefined;
    try {
      machine = await factory({ memoryBytes });
      if (this.#disposed) return await this.#dispose(machine);
      const log = new SerialLog();
      endpoint.attach(machine.memory, () => log.slice());
      const { cardPage } = endpoint;
      this.#serial = new SerialFeed({ log, cardPage, hostPage: this.#hostPage });
    } catch (error) {
      await this.#dispose(machine);
      endpoint.registers.resetting = false;
      this.#followHostPage();
      this.#refuse(NO_MACHINE, `Cannot make a machine: ${error}`);
      return;
    }
    for (const code of ["05", "06"]) this.#post(code);
    this.#machine = machine;
    endpoint.registers.platform = PLATFORM[machine.platform];
    endpoint.registers.setDownload(machine.loadAddress);
    endpoint.registers.resetting = false;
    this.#post("12");
    this.#step("machine_made");
    this.#followHostPage();
    this.#publishState();
  }

  /** Takes everything that belongs to the machine away from the host; the machine itself is the caller's. */
  #quiesce(): void {
    const { endpoint } = this.#options;
    this.#stopDriver();
    this.#parked = false;
    // What it still had to say is not heard.
    this.#serial?.park();
    this.#machine = this.#serial = undefined;
    endpoint.attach(undefined);
    endpoint.cardPage.fill(0);
    endpoint.registers.platform = 0;
    endpoint.registers.setDownload(undefined);
  }

  #stopDriver(): void {
    clearInterval(this.#heartbeat);
    this.#driver?.close();
    this.#driver = undefined;
  }

  /** The host page at the boot signal: cleared by the host, so it gets everything. @throws {BootRefused} */
  #findHostPage(): void {
    const address = this.#options.endpoint.registers.hostPage;
    this.#hostPage.moveTo(address ?? 0);
    if (address === undefined) {
      throw new BootRefused(REFUSED.header, "Cannot use host page: it has no bus address");
    }
  }

  /** Publishes where the host says by now, if that can be. */
  #followHostPage(): void {
    const address = this.#options.endpoint.registers.hostPage ?? 0;
    if (address !== this.#hostPage.address) this.#hostPage.moveTo(address);
  }

  /** @throws {BootRefused} */
  #start(machine: Machine): void {
    const { endpoint, requester, onEvent } = this.#options;
    const image = readBootImage(endpoint.cardPage, machine.memory.bytes());
    this.#post("15");
    this.#followClock(machine);
    this.#driver = new CardDriver({
      machine,
      requester,
      cardPage: endpoint.cardPage,
      hostPage: this.#hostPage,
      sendMsi: (vector) => endpoint.sendMsi(vector),
      live: () => {
        if (this.#step("driver_ok")) this.#publishState();
      },
    });
    this.#post("17");
    const serial = this.#serial!;
    serial.asked();
    machine.boot(image, {
      stopped: (reason, detail) => {
        if (machine === this.#machine) this.#stopped(reason, detail);
      },
      postCode: (code) => {
        if (machine === this.#machine) this.#setPostCode(code);
      },
      onSerial: (byte) => {
        if (machine === this.#machine) serial.add(byte);
      },
    });
    if (this.#state === "stopped") return;
    // Without devices there is no driver that could report in.
    if (this.#driver.deviceCount === 0 && this.#step("driver_ok")) this.#publishState();
    this.#post("FF");
    onEvent?.({ type: "machine_started", platform: machine.platform });
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_INTERVAL);
  }

  /** The host's clock, as it is in the card page by now. A host that does not say writes 0. */
  #followClock(machine: Machine): void {
    const time = readHostClock(this.#options.endpoint.cardPage);
    if (time !== undefined) machine.setClock?.(time);
  }

  #stopped(reason: ShutdownReason, detail: string): void {
    if (!this.#step("stopped")) return;
    this.#stopDriver();
    // Without a host it stays for the next to be found, and to be told of.
    if (!this.#parked) this.#options.endpoint.registers.setDownload(undefined);
    this.#hostPage.setHeader({ shutdown_reason: SHUTDOWN_REASON[reason] });
    this.#hostPage.setText(detail);
    this.#serial?.ended();
    this.#publishState();
    this.#options.onEvent?.({ type: "machine_stopped", reason, detail });
  }

  #refuse(code: string, text: string): void {
    if (!this.#step("refused")) return;
    this.#stopDriver();
    this.#post(code);
    this.#hostPage.setText(text);
    this.#publishState();
    this.#options.onEvent?.({ type: "refused", postCode: code, text });
  }

  /** The process lives, or this would not run; does its OS? */
  #beat(): void {
    if (this.#machine?.alive?.() === false) return;
    this.#beats = (this.#beats + 1) >>> 0;
    this.#hostPage.setHeader({ heartbeat: this.#beats });
    this.#hostPage.publish();
  }

  #step(event: CardEvent): boolean {
    const next = nextCardState(this.#state, event);
    if (next === undefined || this.#disposed) return false;
    this.#state = next;
    this.#options.onEvent?.({ type: "state", state: next });
    return true;
  }

  #publishState(): void {
    this.#hostPage.setHeader({ card_state: CARD_STATE[this.#state] });
    this.#hostPage.publish();
  }

  #post(code: string): void {
    this.#setPostCode(postCode(code));
  }

  #setPostCode(code: number): void {
    this.#options.endpoint.registers.postCode = code;
    if (this.#limit.admits("POST codes")) this.#options.onEvent?.({ type: "post_code", code });
  }

  async #dispose(machine: Machine | undefined): Promise<void> {
    try {
      await machine?.[Symbol.asyncDispose]();
    } catch (error) {
      this.#options.onEvent?.({ type: "dispose_failed", error });
    }
  }
}
