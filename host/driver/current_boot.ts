/**
 * The boot of a card that there is, if there is one: begun or taken over, its devices plugged in and pulled while it
 * runs, and dropped.
 *
 * @module
 */
import { page, type Requester } from "../../protocol/mod.ts";
import { Boot, type BootContext, type Devices, readBootstrap } from "./boot.ts";
import type { BootImages } from "./boot_image.ts";
import type { CardPatience } from "./card_patience.ts";
import { download, type DownloadProgress } from "./download.ts";
import type { Probed } from "./probe.ts";

export interface CurrentBootOptions
  extends Pick<BootContext, "rootPort" | "hostPage" | "serial" | "onStarted" | "onFault"> {
  readonly requester: Requester;
  /** By slot; the owner may change them. */
  readonly devices: Devices;
  readonly patience: CardPatience;
  readonly onProgress: (progress: DownloadProgress) => void;
}

export class CurrentBoot {
  readonly #options: CurrentBootOptions;
  #now: Boot | undefined;
  /** Of the download that is under way. */
  #download: AbortController | undefined;

  constructor(options: CurrentBootOptions) {
    this.#options = options;
  }

  get now(): Boot | undefined {
    return this.#now;
  }

  /** A new one, whose card page is at `cardPage` in the aperture. */
  make({ registers, windows }: Probed, cardPage: number): Boot {
    const { requester, rootPort, hostPage, serial, onStarted, onFault } = this.#options;
    const ours = { requester, rootPort, hostPage, serial, onStarted, onFault };
    return this.#now = new Boot({ ...ours, registers, windows }, cardPage);
  }

  /**
   * Downloads, publishes and rings, unless `signal` or `abort()` ends it before the card was started; `rung` is called
   * in the same turn as that.
   */
  async start(
    probed: Probed,
    images: BootImages,
    rung: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { requester, devices, patience, onProgress } = this.#options;
    const abort = this.#download = new AbortController();
    const limited = AbortSignal.any([signal, abort.signal]);
    const offer = await readBootstrap(probed, patience, limited);
    const aperture = probed.windows.aperture.address;
    const target = { ...offer, requester, aperture, patience };
    const downloaded = await download(target, images, onProgress, limited);
    // From here to the boot signal nothing is awaited, so nothing can come between.
    limited.throwIfAborted();
    this.make(probed, offer.page.address).start(offer, downloaded, devices);
    rung();
  }

  /** Ends a download that is under way, with `error`. */
  abort(error: Error): void {
    this.#download?.abort(error);
  }

  /** As {@linkcode HostDriver.plug}. */
  async plug(slot: number, signal: AbortSignal): Promise<void> {
    const attached = this.#options.devices[slot];
    if (attached && this.#now?.running) await this.#now.plug(slot, attached, signal);
  }

  /** Whether the device in `slot` can be taken away now. */
  canUnplug(slot: number): boolean {
    if (!this.#now?.running) return true;
    return this.#now.plugOf(slot) === page.PLUG.removable;
  }

  /** As {@linkcode HostDriver.unplug}. */
  async unplug(slot: number, signal: AbortSignal): Promise<void> {
    const boot = this.#now;
    if (boot?.running) await boot.remove(slot, signal);
    // Whoever stops has not let go of it before that is done.
    else await boot?.unplug();
  }

  /** There is none from now on; resolves when nothing of it is mapped any more. */
  async drop(): Promise<void> {
    const boot = this.#now;
    this.#now = undefined;
    await boot?.unplug();
    boot?.release();
  }
}
