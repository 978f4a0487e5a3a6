/**
 * The card driver: turns the device page into devices, and doorbells into what they mean.
 *
 * One instance serves one boot of the machine, whatever hosts come and go meanwhile. It plugs every device that the host offered when the boot signal came;
 * devices that come later wait for the next boot, as the machine's PCI bus is scanned once.
 *
 * @module
 */
import { le32, page, type Requester, viewOf } from "../../protocol/mod.ts";
import { BootRefused, type Machine } from "../machine/types.ts";
import { CardDevice } from "./card_device.ts";
import { readCardSlot, type SlotOffer } from "./card_slot.ts";
import { ConfigWrites } from "./config_writes.ts";
import type { HostPage } from "./host_page.ts";

/** What is to be said of a device that a host took over, or could not. */
export type AdoptionReport = (slot: number, text: string) => void;

export interface CardDriverOptions {
  readonly machine: Machine;
  readonly requester: Requester;
  readonly cardPage: Uint8Array;
  readonly hostPage: HostPage;
  /** Interrupts the host: slot s has vector s + 1. */
  sendMsi(vector: number): void;
  /** A device came up. */
  live(): void;
}

export class CardDriver {
  readonly #options: CardDriverOptions;
  readonly #configWrites: ConfigWrites;
  readonly #machine: Machine;
  readonly #header: DataView;
  readonly #devices: (CardDevice | undefined)[] = [];
  #shutdownRequest: number;

  /** Plugs all devices into `machine`, which has not booted. @throws {BootRefused} for a page it cannot read */
  constructor(options: CardDriverOptions) {
    const { machine, requester, cardPage, hostPage } = options;
    this.#options = options;
    this.#machine = machine;
    this.#header = viewOf(cardPage);
    const configWrites = this.#configWrites = new ConfigWrites(requester);
    this.#shutdownRequest = this.#readShutdownRequest();
    for (let slot = 0; slot < page.SLOTS; slot++) {
      const offer = readCardSlot(cardPage, slot);
      if (offer === undefined) continue;
      this.#devices[slot] = new CardDevice({
        slot,
        offer,
        machine,
        requester,
        hostPage,
        configWrites,
        sendMsi: () => options.sendMsi(slot + 1),
        live: () => options.live(),
      });
    }
  }

  /** Devices plugged. */
  get deviceCount(): number {
    return this.#devices.filter((device) => device !== undefined).length;
  }

  /** Device doorbell: `value` is a queue, or DOORBELL.config_changed. An empty slot has nothing to ring. */
  doorbell(slot: number, value: number): void {
    this.#devices[slot]?.doorbell(value);
  }

  /** Doorbell 0: the header of the card page changed. */
  headerChanged(): void {
    const request = this.#readShutdownRequest();
    if (request === this.#shutdownRequest) return;
    this.#shutdownRequest = request;
    this.#machine.requestShutdown();
  }

  /** The host is gone: what the drivers do is remembered, and waits. */
  park(): void {
    this.#configWrites.park();
    for (const device of this.#devices) device?.park();
  }

  /**
   * Another host has published its devices in the card page: tells it of every driver that runs, and offers it every
   * chain that was not used. `broken` is told of each device whose driver has to reset it.
   */
  adopt(broken: AdoptionReport): void {
    const { cardPage, hostPage } = this.#options;
    this.#shutdownRequest = this.#readShutdownRequest();
    this.#devices.forEach((device, slot) => {
      const error = device?.adopt(offerIn(cardPage, slot));
      if (error !== undefined) broken(slot, error.message);
    });
    hostPage.publish();
    // The devices are started by now, as far as the host is concerned.
    this.#configWrites.resume();
    for (const device of this.#devices) device?.resume();
  }

  /** The machine stopped or is about to be disposed: nothing here touches its memory any more. */
  close(): void {
    for (const device of this.#devices) device?.close();
  }

  #readShutdownRequest(): number {
    return le32.get(this.#header, page.CARD_HEADER.at.shutdown_request);
  }
}

/** What a host that adopts the machine offers in `slot`. A page that contradicts itself offers nothing there. */
function offerIn(cardPage: Uint8Array, slot: number): SlotOffer | undefined {
  try {
    return readCardSlot(cardPage, slot);
  } catch (error) {
    if (error instanceof BootRefused) return undefined;
    throw error;
  }
}
