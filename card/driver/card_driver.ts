/**
 * The card driver: turns the device page into devices, and doorbells into what they mean.
 *
 * One instance serves one boot of the machine, whatever hosts come and go meanwhile. It plugs every device that the host
 * offered when the boot signal came, and plugs and pulls what the host offers and takes away while the OS runs.
 *
 * Every disk but the first goes where it can be pulled, while there is room: nobody takes a disk away that an OS has its
 * root on, and a machine that has no such place keeps its disks until it is reset.
 *
 * @module
 */
import {
  DOORBELL,
  le16,
  le32,
  page,
  type Requester,
  viewOf,
  virtioBlock,
} from "../../protocol/mod.ts";
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
    const { machine, requester, cardPage } = options;
    this.#options = options;
    this.#machine = machine;
    this.#header = viewOf(cardPage);
    this.#configWrites = new ConfigWrites(requester);
    this.#shutdownRequest = this.#readShutdownRequest();
    for (let slot = 0; slot < page.SLOTS; slot++) {
      const offer = readCardSlot(cardPage, slot);
      if (offer === undefined) continue;
      const disk = offer.type === virtioBlock.TYPE;
      const hot = disk && this.#devices.some((device) => device?.type === virtioBlock.TYPE);
      this.#devices[slot] = this.#plug(slot, offer, hot) ?? this.#plug(slot, offer, false);
    }
  }

  /** Undefined if the machine has no place of that kind. @throws {RangeError} if it has none at all */
  #plug(slot: number, offer: SlotOffer, hot: boolean): CardDevice | undefined {
    const { machine, requester, hostPage, sendMsi, live } = this.#options;
    try {
      return new CardDevice({
        slot,
        offer,
        hot,
        machine,
        requester,
        hostPage,
        configWrites: this.#configWrites,
        sendMsi: () => sendMsi(slot + 1),
        live: () => live(),
        gone: () => {
          this.#devices[slot] = undefined;
          this.#slotFilledOrEmptied(slot);
        },
      });
    } catch (error) {
      if (hot && error instanceof RangeError) return undefined;
      throw error;
    }
  }

  /** The host has filled or emptied a slot while the OS runs. */
  #slotFilledOrEmptied(slot: number): void {
    const { cardPage, hostPage } = this.#options;
    const device = this.#devices[slot];
    const offer = offerIn(cardPage, slot);
    if (device !== undefined) {
      if (offer === undefined) device.leave();
      return;
    }
    const filled = slotType(cardPage, slot) !== 0;
    if (!filled) return;
    this.#devices[slot] = offer && this.#plug(slot, offer, true);
    if (this.#devices[slot] === undefined) hostPage.setSlot(slot, { plug: page.PLUG.refused });
    hostPage.publish();
  }

  /** Devices plugged. */
  get deviceCount(): number {
    return this.#devices.filter((device) => device !== undefined).length;
  }

  /** Device doorbell: `value` is a queue, or DOORBELL.config_changed. */
  doorbell(slot: number, value: number): void {
    if (slot >= page.SLOTS) return;
    this.#devices[slot]?.doorbell(value);
    if (value === DOORBELL.config_changed) this.#slotFilledOrEmptied(slot);
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
    // What the host before had not.
    for (let slot = 0; slot < page.SLOTS; slot++) {
      if (this.#devices[slot] === undefined) this.#slotFilledOrEmptied(slot);
    }
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

function slotType(cardPage: Uint8Array, slot: number): number {
  return le16.get(viewOf(cardPage), page.slotOffset(slot) + page.CARD_SLOT.at.type);
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
