/**
 * The host driver for one card: probe, boot, shutdown and reset, from the first configuration read to the end of the
 * link's session.
 *
 * Commands are methods; what the card does comes in by MSI vector 0 and by messages; both meet in one state
 * (states.ts). Nothing polls: whoever waits is woken when the card has said something.
 *
 * When the session is gone for good, {@linkcode HostDriver.gone} ends whatever waits; disposing pulls every device. The
 * next card process gets a new HostDriver.
 *
 * @module
 */
import {
  DOWNLOAD_INFO,
  type DriverFault,
  LinkError,
  page,
  type ShutdownReason,
} from "../../protocol/mod.ts";
import { type Boot, type BootstrapOffer, readBootstrap } from "./boot.ts";
import { BootError, notOnline } from "./boot_error.ts";
import type { BootImages } from "./boot_image.ts";
import type { CardInfo } from "./card_info.ts";
import { CardLife } from "./card_life.ts";
import { CardNews } from "./card_news.ts";
import { CardPatience } from "./card_patience.ts";
import { CardReports } from "./card_reports.ts";
import { resetCard } from "./card_reset.ts";
import { WaitTimeout } from "./condition.ts";
import { CurrentBoot } from "./current_boot.ts";
import type { PostCode } from "./events.ts";
import type {
  CancelOptions,
  HostDriverOptions,
  ProbeOptions,
  TimeoutOptions,
} from "./host_driver_options.ts";
import { OsWatch } from "./os_watch.ts";
import { adoption, introduce } from "./first_contact.ts";
import { type Probed, readConfig } from "./probe.ts";
import type { SlotView } from "./slot.ts";
import type { LifeEvent, LifeState } from "./states.ts";

/** No failure. */
const NONE = Symbol("none");

export class HostDriver implements AsyncDisposable {
  readonly #options: HostDriverOptions;
  readonly #patience: CardPatience;
  readonly #reports: CardReports;
  readonly #life: CardLife;
  readonly #watch: OsWatch;
  readonly #closed = new AbortController();
  readonly #news: CardNews;
  #probed: Probed | undefined;
  #info: CardInfo | undefined;
  readonly #boots: CurrentBoot;
  /** Why the card refused the boot that is under way. */
  #refusal: BootError | undefined;
  /** The card OS of this boot has stopped; the reason says why. */
  #stopped = false;
  /** It was asked to. */
  #shutdownAsked = false;
  /** The adopt signal was written; the card has not said yet whether its OS still runs. */
  #adopting = false;
  #resetting = false;
  #resetError: unknown;

  private constructor(options: HostDriverOptions) {
    this.#options = options;
    const news = this.#news = new CardNews(options.onEvent);
    this.#patience = new CardPatience(options);
    const reports = this.#reports = new CardReports(options.rootPort.memory);
    this.#watch = new OsWatch({
      patience: this.#patience,
      heartbeat: () => reports.page.heartbeat,
      hung: () => this.#hung(),
      logged: (text) => news.tell({ type: "kernel_log", text }),
    });
    const { requester, rootPort, devices, serial } = options;
    this.#boots = new CurrentBoot({
      ...{ requester, rootPort, devices, serial },
      patience: this.#patience,
      hostPage: reports.page,
      onStarted: (slot, device) => news.started(slot, device),
      onFault: (fault) => news.faulted(fault),
      onProgress: (progress) => news.tell({ type: "progress", ...progress }),
    });
    this.#life = new CardLife(
      (state, reason) => news.tell({ type: "state", state, reason }),
      () => reports.changed.notify(),
    );
  }

  /**
   * Takes the card behind a link; `probe` is next. @throws {RangeError} for more devices than there are slots
   */
  static attach(options: HostDriverOptions): HostDriver {
    const { devices, rootPort } = options;
    if (devices.length > page.SLOTS) {
      throw new RangeError(
        `Cannot attach ${devices.length} devices: a card has ${page.SLOTS} slots`,
      );
    }
    const driver = new HostDriver(options);
    rootPort.handle(0, () => driver.#cardReported());
    rootPort.listen({
      postCode: (code) => driver.#posted(code),
      deviceConfigWrite: (...write) => driver.#boot?.deviceConfigWrite(...write),
    });
    return driver;
  }

  get state(): LifeState {
    return this.#life.state;
  }
  /** Why the card OS stopped last; `nop` while it has not. */
  get shutdownReason(): ShutdownReason {
    return this.#life.reason;
  }
  /** Undefined until the probe is done. */
  get info(): CardInfo | undefined {
    return this.#info;
  }
  /** Regions of host memory that the card can reach now. */
  get mappedRegions(): number {
    return this.#options.rootPort.memory.regions;
  }
  /** The last 256, oldest first. */
  get postCodes(): readonly PostCode[] {
    return this.#reports.postCodes.all;
  }
  /** Faults of devices, by code. */
  get faults(): Readonly<Partial<Record<DriverFault | "internal", number>>> {
    return this.#news.faults;
  }

  /** What the driver of the device in `slot` has made of it; undefined while no card OS was given devices. */
  device(slot: number): SlotView | undefined {
    return this.#boot?.view(slot);
  }

  /** The 256 bytes of the card's configuration space as they are now. @throws {ProtocolError} if it does not answer */
  configSpace({ signal }: CancelOptions = {}): Promise<Uint8Array> {
    const ask = (limited: AbortSignal) => readConfig(this.#options.requester, limited);
    return this.#patience.answered("answer configuration reads", this.#open(signal), ask);
  }

  /**
   * Finds out what the card is and brings it to `ready`, or to `online` if its OS was adopted.
   * @throws {ProtocolError} if it is no card, or one that cannot be used
   * @throws {BootError} if it does not become ready
   */
  async probe({ signal, adopt = false }: ProbeOptions = {}): Promise<CardInfo> {
    const open = this.#open(signal);
    const { address } = this.#reports.page;
    const { requester } = this.#options;
    const { probed, downloadInfo } = await introduce(requester, address, this.#patience, open);
    this.#probed = probed;
    if (adopt && (downloadInfo & DOWNLOAD_INFO.adoptable) && await this.#adopt(probed, open)) {
      return this.#info!;
    }
    if (!(downloadInfo & DOWNLOAD_INFO.ready)) {
      // It is on its way to ready, and ignores this; or still does what another host wanted.
      await this.#firstReset(probed, open);
    }
    await this.#identify(probed, open);
    this.#life.advance("became_ready");
    return this.#info!;
  }

  /**
   * Downloads and starts a card OS; resolves when it is online. A boot that fails leaves the card `ready` again, if
   * the card can. Aborting `signal` ends the download, or the wait for a card OS that stays `booting`.
   * @throws {BackendError} if an image cannot be read
   * @throws {BootError} if the card cannot boot it, refuses, or stops on the way
   */
  async boot(images: BootImages, { signal }: CancelOptions = {}): Promise<void> {
    this.#command("boot");
    this.#reports.page.clear();
    this.#life.reason = "nop";
    this.#refusal = undefined;
    this.#stopped = this.#shutdownAsked = false;
    try {
      const begin = () => this.#watch.begin();
      await this.#boots.start(this.#probed!, images, begin, this.#open(signal));
    } catch (error) {
      await this.#dropBoot();
      this.#life.advance("boot_failed");
      throw error;
    }
    // Decided where it happens: by the time this function goes on, the card may have gone on too.
    const failure = await this.#reports.changed.until(() => {
      if (this.state === "booting") return undefined;
      return this.state === "online" ? NONE : this.#refusal ?? notOnline(
        this.#stopped ? this.#life.reason : undefined,
        this.#reports.postCodes.lastText,
      );
    }, { signal: this.#open(signal) });
    if (failure === NONE) return;
    if (this.#stopped && this.state === "shutting_down") await this.#tryReset();
    throw failure;
  }

  /**
   * Asks the card OS to stop in good order, then resets the card; resolves with the reason when it is `ready`. With a
   * timeout, a card OS that does not stop is reset and the reason stays `nop`.
   */
  async shutdown({ signal, timeout }: TimeoutOptions = {}): Promise<ShutdownReason> {
    this.#command("shutdown");
    await this.#stopOs("shutting_down", { signal, timeout });
    if (this.state === "shutting_down" || this.#resetting) await this.reset({ signal });
    return this.#life.reason;
  }

  /**
   * Shuts the card OS down as `shutdown` does, or takes a card that is `ready`; resolves when it is `suspended`: no boot
   * until `resume`.
   */
  async suspend({ signal, timeout }: TimeoutOptions = {}): Promise<void> {
    this.#command("suspend");
    if (this.state === "suspended") return;
    await this.#stopOs("suspending", { signal, timeout });
    if (this.state === "suspending" && !this.#resetting) {
      this.#runReset();
    }
    await this.#resetDone(this.#open(signal));
  }

  /** A card that is `suspended` is `ready` again. */
  resume(): void {
    this.#command("resume");
  }

  /**
   * Resolves when the card OS that was booted last has stopped, or the card was reset under it: with the reason, and
   * whether `shutdown` had asked for it.
   */
  waitForStop(
    { signal }: CancelOptions = {},
  ): Promise<{ readonly reason: ShutdownReason; readonly asked: boolean }> {
    return this.#reports.changed.until(() => {
      if (this.#life.runs && !this.#stopped) return undefined;
      return { reason: this.#life.reason, asked: this.#shutdownAsked };
    }, { signal: this.#open(signal) });
  }

  /**
   * Resets the card, whatever it does; resolves when it is `ready`. A reset that is under way is joined.
   * @throws {BootError} if it does not become ready, in time or at all: `reset_failed`
   */
  async reset({ signal }: CancelOptions = {}): Promise<void> {
    const open = this.#open(signal);
    if (!this.#resetting) {
      this.#command("reset");
      this.#runReset();
    }
    await this.#resetDone(open);
  }

  /**
   * What the kernel of the card has logged, up to 64 KiB: lines without control characters; empty where none is kept.
   * @throws {TypeError} before the probe @throws {ProtocolError} if the card does not answer
   */
  async kernelLog({ signal }: CancelOptions = {}): Promise<string> {
    if (this.#probed === undefined) throw new TypeError("Cannot read kernel log: card not probed");
    return await this.#watch.kernelLog(this.#probed, this.#open(signal));
  }

  /**
   * Publishes what is new in slot `slot` of the devices; resolves when it is on the card's bus. While no card OS runs
   * there is nothing to do: the next one finds it.
   * @throws {TypeError} if the card has no place for it
   */
  async plug(slot: number, { signal }: CancelOptions = {}): Promise<void> {
    await this.#boots.plug(slot, this.#open(signal));
  }

  /** Whether the device in `slot` can be taken away now. */
  canUnplug(slot: number): boolean {
    return this.#boots.canUnplug(slot);
  }

  /** Takes the device in `slot` away from the card OS; resolves when that has let go of it. */
  async unplug(slot: number, { signal }: CancelOptions = {}): Promise<void> {
    await this.#boots.unplug(slot, this.#open(signal));
  }

  /** Resolves as soon as the card is in one of `states`. @throws {LinkError} when the card is gone */
  waitFor(
    states: LifeState | readonly LifeState[],
    { signal, timeout }: TimeoutOptions = {},
  ): Promise<LifeState> {
    const wanted: readonly LifeState[] = typeof states === "string" ? [states] : states;
    return this.#life.waitFor(wanted, this.#reports.changed, {
      signal: this.#open(signal),
      timeout,
    });
  }

  /** The card process is gone and the link's session with it: whatever waits ends with LinkError. */
  gone(cause?: Error): void {
    if (this.#closed.signal.aborted) return;
    if (this.#life.after("gone") === "shutting_down" && this.#life.reason === "nop") {
      this.#life.reason = "crashed";
    }
    // Closed first: who waits shall hear that the card is gone, not what became of its state.
    this.#close(new LinkError("Cannot reach card: it is gone", { cause }));
    this.#life.advance("gone");
  }

  /** Pulls all devices and unmaps everything; the card itself is left as it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { rootPort } = this.#options;
    this.#close(new LinkError("Cannot reach card: its host driver was closed"));
    rootPort.listen(undefined);
    rootPort.handle(0, undefined);
    await this.#dropBoot();
    await this.#watch.taken;
    this.#news[Symbol.dispose]();
    this.#reports[Symbol.dispose]();
  }

  /** Asks the card OS to stop; resolves when it has, the time is over, or the card is not in `state` any more. */
  async #stopOs(state: LifeState, { signal, timeout }: TimeoutOptions): Promise<void> {
    this.#shutdownAsked = true;
    this.#boot!.requestShutdown();
    try {
      await this.#reports.changed.until(
        () => this.#stopped || this.state !== state || undefined,
        { signal: this.#open(signal), timeout },
      );
    } catch (error) {
      if (!(error instanceof WaitTimeout)) throw error;
    }
  }

  /** @throws {BootError} if the card did not become ready */
  async #resetDone(signal: AbortSignal): Promise<void> {
    await this.#reports.changed.until(() => !this.#resetting || undefined, { signal });
    if (this.state === "reset_failed") throw this.#resetError;
  }

  async #identify(probed: Probed, signal: AbortSignal): Promise<BootstrapOffer> {
    const offer = await readBootstrap(probed, this.#patience, signal);
    this.#info = { ...probed.info, platform: offer.platform };
    this.#news.tell({ type: "found", info: this.#info });
    return offer;
  }

  /** Takes over the card OS that runs; false if it has stopped meanwhile, or says nothing. */
  async #adopt(probed: Probed, signal: AbortSignal): Promise<boolean> {
    const offer = await this.#identify(probed, signal);
    signal.throwIfAborted();
    const boot = this.#boots.make(probed, offer.page.address);
    this.#adopting = true;
    boot.adopt(offer, this.#options.devices);
    await adoption(this.#reports, this.#patience, () => !this.#adopting, signal);
    if (!this.#adopting) return true;
    this.#adopting = false;
    if (this.#reports.page.cardState === "stopped") {
      // While it had no host. Who reads of it later wants to know why.
      this.#ended(this.#reports.page.shutdownReason, this.#reports.page.text);
      boot.listen();
      await Promise.all([this.#watch.taken, boot.saidAll()]);
    }
    await boot.unplug();
    return false;
  }

  /** The boot's error is what its caller wants to know; that of the reset shows in the state. */
  async #tryReset(): Promise<void> {
    try {
      await this.reset();
    } catch (error) {
      if (!(error instanceof BootError || error instanceof LinkError)) throw error;
    }
  }

  async #firstReset(probed: Probed, signal: AbortSignal): Promise<void> {
    try {
      await this.#resetCard(probed, signal);
    } catch (error) {
      this.#life.advance("reset_timeout");
      throw error;
    }
    // What is left of an adoption that was not to be.
    await this.#dropBoot();
  }

  /** Carries out one reset, whose outcome is `#state` and `#resetError`. Never rejects. */
  async #runReset(): Promise<void> {
    this.#resetting = true;
    this.#boots.abort(new BootError("Cannot boot: the card was reset"));
    try {
      await this.#boot?.unplug();
      await this.#watch.taken;
      if (this.#stopped) await this.#boot?.saidAll();
      await this.#resetCard(this.#probed!, this.#closed.signal);
      await this.#dropBoot();
      this.#resetting = false;
      this.#life.advance("became_ready");
    } catch (error) {
      this.#resetError = error;
      this.#resetting = false;
      this.#life.advance("reset_timeout");
    }
    this.#reports.changed.notify();
  }

  #resetCard({ registers }: Probed, signal: AbortSignal): Promise<void> {
    return resetCard({ registers, reports: this.#reports, patience: this.#patience, signal });
  }

  get #boot(): Boot | undefined {
    return this.#boots.now;
  }

  async #dropBoot(): Promise<void> {
    this.#watch[Symbol.dispose]();
    await this.#boots.drop();
  }

  /** MSI vector 0: the card wrote the header of the host page. */
  #cardReported(): void {
    this.#reports.reported();
    // What it said last comes before its end.
    this.#boot?.heard();
    switch (this.#reports.page.cardState) {
      case "online":
        if (this.#adopting) this.#watch.begin();
        this.#life.advance(this.#adopting ? "adopted" : "came_online");
        if (this.#adopting) this.#boot?.listen();
        this.#adopting = false;
        break;
      case "refused":
        if (this.state !== "booting") break;
        this.#refusal = this.#reports.refusal("boot");
        this.#osStopped();
        break;
      case "stopped":
        if (this.#stopped || this.#life.after("stopped") === undefined) break;
        this.#ended(this.#reports.page.shutdownReason, this.#reports.page.text);
        this.#osStopped();
        break;
    }
    this.#reports.changed.notify();
  }

  /** No heartbeat: the card OS is as good as dead, and the card lives. */
  #hung(): void {
    if (this.#stopped || this.#life.after("stopped") === undefined) return;
    const seconds = this.#patience.hangTimeout / 1000;
    this.#ended("crashed", `The card OS hangs: it took no interrupt for ${seconds} s`);
    this.#osStopped();
    this.#reports.changed.notify();
  }

  #ended(reason: ShutdownReason, detail: string): void {
    this.#life.reason = reason;
    this.#news.tell({ type: "ended", reason, detail });
    if (reason === "crashed") this.#watch.crashed(this.#probed!, this.#closed.signal);
  }

  #osStopped(): void {
    this.#stopped = true;
    this.#watch[Symbol.dispose]();
    // Devices become idle at once; reset and dispose wait for them.
    this.#boot?.unplug();
    this.#life.advance("stopped");
  }

  #posted(code: number): void {
    this.#news.tellSome("POST codes", { type: "post_code", ...this.#reports.posted(code) });
    this.#reports.changed.notify();
  }

  /** @throws {TypeError} if `event` does not apply now */
  #command(event: LifeEvent): void {
    this.#closed.signal.throwIfAborted();
    if (this.#info === undefined) {
      throw new TypeError(`Cannot ${event} card: it is not probed`);
    }
    this.#life.command(event);
  }

  /** Aborted when the card is gone, or one of `signals` says so. */
  #open(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
    const given = signals.filter((signal) => signal !== undefined);
    return AbortSignal.any([this.#closed.signal, ...given]);
  }

  #close(error: LinkError): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(error);
    this.#watch[Symbol.dispose]();
    this.#boot?.hangUp();
    this.#boot?.unplug();
  }
}
