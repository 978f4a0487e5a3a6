/**
 * One boot of a card: what the bootstrap offers, what is published for the card OS, and the end of it.
 *
 *  1. read DOWNLOAD_INFO, platform and the card page's place from the registers: one round trip;
 *  2. download kernel, command line and initrd (download.ts);
 *  3. publish every device, then the header with the digests, then where the host page is;
 *  4. write the boot signal.
 *
 * Steps 2 to 4 are posted and stay in order, so the card finds everything in place when the signal comes.
 *
 * A card OS that runs already, because it outlived its host, is adopted instead: the devices are published anew, and the
 * adopt signal is written.
 *
 * @module
 */
import { ADOPT_SIGNAL, BOOT_SIGNAL, page, ProtocolError, type Width } from "../../protocol/mod.ts";
import type { AttachedDevice } from "./attached_device.ts";
import { platformName } from "./card_info.ts";
import { CardPage } from "./card_page.ts";
import type { CardPatience } from "./card_patience.ts";
import type { CardRegisters } from "./card_registers.ts";
import type { Downloaded } from "./download.ts";
import type { CardMemoryMap } from "./placement.ts";
import type { Probed } from "./probe.ts";
import type { RootPort } from "./root_port.ts";
import { type SerialSink, SerialStream } from "./serial_stream.ts";
import { Slot, type SlotOptions, type SlotView } from "./slot.ts";

const ALIGN = 4096;

/** By slot; undefined where there is none. */
export type Devices = readonly (AttachedDevice | undefined)[];

/** What the bootstrap says while it waits for a download. */
export interface BootstrapOffer extends CardMemoryMap {
  readonly platform: string;
}

/** @throws {ProtocolError} if what the card says of its memory cannot be, or it says nothing */
export async function readBootstrap(
  { registers, windows, info: { memoryMib } }: Probed,
  patience: CardPatience,
  signal: AbortSignal,
): Promise<BootstrapOffer> {
  const [info, platform, offset, size] = await patience.answered(
    "say where it takes a download",
    signal,
    (limited) =>
      Promise.all([
        registers.read("download_info", limited),
        registers.read("platform", limited),
        registers.read("card_page_offset", limited),
        registers.read("card_page_size", limited),
      ]),
  );
  const loadAddress = (info & ~(ALIGN - 1)) >>> 0;
  if (size < page.PAGE_SIZE || offset % ALIGN !== 0 || offset + size > windows.aperture.size) {
    throw new ProtocolError(
      "malformed",
      `Cannot use card page: ${size} bytes at 0x${
        offset.toString(16)
      }, wanted ${page.PAGE_SIZE} in an aperture of ${windows.aperture.size}`,
    );
  }
  if (loadAddress < offset + size && offset <= loadAddress) {
    throw new ProtocolError(
      "malformed",
      `Cannot load at 0x${loadAddress.toString(16)}: the card page lies there`,
    );
  }
  return {
    memoryBytes: memoryMib * 2 ** 20,
    loadAddress,
    page: { address: offset, length: size },
    platform: platformName(platform),
  };
}

/** What a boot stands on: lives longer than any boot. */
export interface BootContext
  extends Pick<SlotOptions, "requester" | "windows" | "hostPage" | "onStarted" | "onFault"> {
  readonly registers: CardRegisters;
  readonly rootPort: RootPort;
  /** Takes what the card OS writes on its first serial port; without it the card is not asked. */
  readonly serial: SerialSink | undefined;
}

/** A card OS that was given everything, from the boot or adopt signal until it is reset. */
export class Boot {
  readonly #context: BootContext;
  readonly #cardPage: CardPage;
  /** By number; where there is no device, none. */
  readonly #slots: (Slot | undefined)[] = [];
  #cardMemoryBytes = 0;
  #shutdownRequest = 0;
  #unplugged: Promise<void> | undefined;
  #serial: SerialStream | undefined;

  /** `cardPage` is the offset of the card page in the aperture. */
  constructor(context: BootContext, cardPage: number) {
    this.#context = context;
    const address = context.windows.aperture.address + cardPage;
    this.#cardPage = new CardPage(context.registers, address);
  }

  /** Publishes devices and images, and starts the card. If it throws, call `unplug` and `release`. */
  start(
    offer: BootstrapOffer,
    { placement, digests }: Downloaded,
    devices: Devices,
  ): void {
    this.#publish(offer.memoryBytes, devices);
    this.#cardPage.writeHeader(placement, digests, Date.now(), this.#serialRequest);
    this.#context.registers.write("boot", BOOT_SIGNAL);
    this.listen();
  }

  /** Publishes devices, and takes over the card OS that runs; `listen` when it has said so. If it throws, call `unplug` and `release`. */
  adopt(offer: BootstrapOffer, devices: Devices): void {
    this.#publish(offer.memoryBytes, devices);
    this.#cardPage.writeAdoption(Date.now(), this.#serialRequest);
    this.#context.registers.write("boot", ADOPT_SIGNAL);
  }

  #publish(cardMemoryBytes: number, devices: Devices): void {
    this.#cardMemoryBytes = cardMemoryBytes;
    this.#cardPage.clearSlots();
    devices.forEach((attached, number) => attached && this.#fill(number, attached));
  }

  #fill(number: number, attached: AttachedDevice): Slot {
    const { rootPort } = this.#context;
    const slot = new Slot({
      ...this.#context,
      number,
      attached,
      cardMemoryBytes: this.#cardMemoryBytes,
      cardPage: this.#cardPage,
      memory: rootPort.memory,
    });
    this.#slots[number] = slot;
    rootPort.handle(number + 1, () => slot.interrupt());
    return slot;
  }

  /** False once the card OS has stopped: no device goes in or out any more. */
  get running(): boolean {
    return this.#unplugged === undefined;
  }

  /** PLUG number of the function in slot `number`. */
  plugOf(number: number): number {
    return this.#slots[number]?.plug ?? page.PLUG.none;
  }

  /**
   * Fills an empty slot while the card OS runs; resolves when the card has plugged the function, or the OS has stopped.
   * @throws {TypeError} if the card has no place for it: the slot is empty again; the signal's reason, and it is not
   */
  async plug(number: number, attached: AttachedDevice, signal: AbortSignal): Promise<void> {
    const slot = this.#fill(number, attached);
    this.#cardPage.ring(number);
    if (await slot.plugged(signal) !== page.PLUG.refused) return;
    this.#cardPage.clearSlot(number);
    await this.#empty(number, slot);
    throw new TypeError(
      `Cannot plug ${attached.device.name}: the card has no place for one more while its OS runs`,
    );
  }

  /** Empties a slot while the card OS runs; resolves when nothing of the device is touched any more. */
  async remove(number: number, signal: AbortSignal): Promise<void> {
    const slot = this.#slots[number];
    if (slot === undefined) return;
    await slot.leave(signal);
    if (this.running) await this.#empty(number, slot);
  }

  async #empty(number: number, slot: Slot): Promise<void> {
    this.#context.rootPort.handle(number + 1, undefined);
    await slot.unplug();
    slot.release();
    if (this.#slots[number] === slot) this.#slots[number] = undefined;
  }

  /** Of an empty slot undefined. */
  view(slot: number): SlotView | undefined {
    return this.#slots[slot]?.view;
  }

  requestShutdown(): void {
    this.#cardPage.requestShutdown(++this.#shutdownRequest);
  }

  /** From now on serial output is taken: it is known what boot that is. */
  listen(): void {
    const { serial: sink, hostPage: page } = this.#context;
    if (sink === undefined) return;
    const ask = (request: number) => this.#cardPage.requestSerial(request);
    this.#serial = new SerialStream({ page, sink, ask });
    this.#serial.heard();
  }

  /** The card wrote the header of the host page. */
  heard(): void {
    this.#serial?.heard();
  }

  /** The card cannot be told any more what is taken. */
  hangUp(): void {
    this.#serial?.[Symbol.dispose]();
  }

  /** Resolves when a card OS that has stopped has nothing more to say. */
  async saidAll(): Promise<void> {
    await this.#serial?.drained();
  }

  get #serialRequest(): number {
    return this.#context.serial === undefined ? 0 : SerialStream.FIRST;
  }

  deviceConfigWrite(slot: number, width: Width, offset: number, value: number): void {
    this.#slots[slot]?.configWritten(offset, width, value);
  }

  /** Resolves when every device is idle and pulled. */
  unplug(): Promise<void> {
    this.#unplugged ??= this.#unplug();
    return this.#unplugged;
  }

  /** Unmaps what the card may write. After `unplug`, and only when the card was reset or is gone. */
  release(): void {
    for (const slot of this.#slots) slot?.release();
    this.hangUp();
  }

  async #unplug(): Promise<void> {
    this.#slots.forEach((_, number) => this.#context.rootPort.handle(number + 1, undefined));
    await Promise.all(this.#slots.map((slot) => slot?.unplug()));
  }
}
