/**
 * The card page: the half of the device page that lies in the card and that the host writes (protocol/device_page.ts).
 *
 * Everything is posted, so nothing here waits, and what belongs together leaves in one posted write: the card never
 * sees a configuration of which half is old.
 *
 * @module
 */
import { DOORBELL, le32, le64, page, type Span, viewOf } from "../../protocol/mod.ts";
import type { CardRegisters } from "./card_registers.ts";
import type { Placement } from "./placement.ts";

const { CARD_HEADER, CARD_QUEUE, CARD_SLOT, DEVICE_CONFIG_OFFSET, DEVICE_CONFIG_SIZE } = page;
const { DIGESTS_OFFSET, QUEUES_OFFSET, slotOffset, SLOTS } = page;

/** One queue as the host offers it; addresses are bus addresses in the system memory window, lengths bytes. */
export interface QueueOffer {
  /** 0 for a queue that does not exist. */
  readonly sizeMax: number;
  readonly mirrorAddress: number;
  readonly stagingAddress: number;
  readonly stagingLength: number;
  readonly pushLimit: number;
}

/** A device as the host offers it. */
export interface DeviceOffer {
  readonly type: number;
  readonly features: bigint;
  /** At most 256 bytes. */
  readonly config: Uint8Array;
  readonly configGeneration: number;
  readonly resetDone: number;
  readonly queues: readonly QueueOffer[];
}

export class CardPage {
  readonly #registers: CardRegisters;
  /** Bus address. */
  readonly #address: number;

  constructor(registers: CardRegisters, address: number) {
    this.#registers = registers;
    this.#address = address;
  }

  /** Bus address of queue `queue`'s row in `slot`. */
  queueAddress(slot: number, queue: number): number {
    return this.#address + slotOffset(slot) + QUEUES_OFFSET + queue * CARD_QUEUE.size;
  }

  /** Every slot reads as empty, whatever an earlier boot has left. */
  clearSlots(): void {
    const spans: Span[] = [];
    for (let slot = 0; slot < SLOTS; slot++) {
      spans.push({ address: this.#address + slotOffset(slot), length: 2 });
    }
    this.#registers.requester.openWrite(spans).fill(0);
  }

  /** Says what to boot; the magic goes last. `now` is milliseconds since 1970, `serialRequest` 0 or the first one. */
  writeHeader(
    placement: Placement,
    digests: Uint8Array,
    now: number,
    serialRequest: number,
  ): void {
    const { kernel, cmdline, initrd } = placement;
    const header = new Uint8Array(DIGESTS_OFFSET + digests.length);
    CARD_HEADER.write(viewOf(header), {
      magic: page.PAGE_MAGIC,
      version: page.PAGE_VERSION,
      slots: SLOTS,
      kernel_address: kernel.address,
      kernel_length: kernel.length,
      cmdline_length: cmdline.length,
      cmdline_address: cmdline.address,
      initrd_address: initrd?.address ?? 0,
      initrd_length: initrd?.length ?? 0,
      shutdown_request: 0,
      time_seconds: BigInt(Math.floor(now / 1000)),
      time_nanoseconds: Math.floor((now % 1000) * 1e6),
      serial_request: serialRequest,
    });
    header.set(digests, DIGESTS_OFFSET);
    this.#writeKeyLast(this.#address, header, 4);
  }

  /** What is said at an adoption; the rest of the header stays as it is. Arguments as of `writeHeader`. */
  writeAdoption(now: number, serialRequest: number): void {
    const { time_seconds, serial_request } = CARD_HEADER.at;
    const place = this.#open(time_seconds, serial_request + 4 - time_seconds);
    const view = viewOf(place);
    le64.set(view, 0, BigInt(Math.floor(now / 1000)));
    le32.set(view, 8, Math.floor((now % 1000) * 1e6));
    le32.set(view, 12, serialRequest);
  }

  /** The piece of serial output before is taken: the next one may come. */
  requestSerial(request: number): void {
    const place = this.#open(CARD_HEADER.at.serial_request, 4);
    le32.set(viewOf(place), 0, request);
    this.#registers.ring(DOORBELL.card, 0);
  }

  /** Asks the card OS to shut down; `request` differs from the last one. */
  requestShutdown(request: number): void {
    const place = this.#open(CARD_HEADER.at.shutdown_request, 4);
    le32.set(viewOf(place), 0, request);
    this.#registers.ring(DOORBELL.card, 0);
  }

  /** Publishes a device; its type goes last. @throws {RangeError} over a limit of the page */
  writeSlot(slot: number, offer: DeviceOffer): void {
    const { queues, config } = offer;
    if (slot >= SLOTS || queues.length > page.MAX_QUEUES || config.length > DEVICE_CONFIG_SIZE) {
      throw new RangeError(
        `Cannot publish device in slot ${slot}: ${queues.length} queues, ${config.length} bytes of configuration`,
      );
    }
    const row = new Uint8Array(QUEUES_OFFSET + queues.length * CARD_QUEUE.size);
    const view = viewOf(row);
    CARD_SLOT.write(view, {
      type: offer.type,
      queue_count: queues.length,
      config_length: config.length,
      reserved: 0,
      features_offered: offer.features,
      config_generation: offer.configGeneration,
      reset_done: offer.resetDone,
      needs_reset: 0,
      reserved2: 0,
    });
    row.set(config, DEVICE_CONFIG_OFFSET);
    queues.forEach((queue, index) =>
      CARD_QUEUE.write(view, {
        size_max: queue.sizeMax,
        msi_event: 0,
        staging_length: queue.stagingLength,
        mirror_address: queue.mirrorAddress,
        staging_address: queue.stagingAddress,
        push_limit: queue.pushLimit,
        reserved: 0,
      }, QUEUES_OFFSET + index * CARD_QUEUE.size)
    );
    this.#writeKeyLast(this.#address + slotOffset(slot), row, 2);
  }

  /** The slot is empty from now on; the card lets go of what was in it. */
  clearSlot(slot: number): void {
    this.#open(slotOffset(slot) + CARD_SLOT.at.type, 2).fill(0);
    this.ring(slot);
  }

  /** New configuration bytes and their generation, in one write; then the doorbell. */
  writeConfig(slot: number, config: Uint8Array, generation: number): void {
    const at = this.#address + slotOffset(slot);
    const place = this.#registers.requester.openWrite([
      { address: at + DEVICE_CONFIG_OFFSET, length: config.length },
      { address: at + CARD_SLOT.at.config_generation, length: 4 },
    ]);
    place.set(config);
    le32.set(viewOf(place), config.length, generation);
    this.ring(slot);
  }

  /** The reset that `request` asked for is done, and the device's queues are as new. */
  writeResetDone(slot: number, queues: number, request: number): void {
    const at = this.#address + slotOffset(slot);
    const spans: Span[] = [];
    for (let queue = 0; queue < queues; queue++) {
      spans.push({ address: this.queueAddress(slot, queue) + CARD_QUEUE.at.msi_event, length: 2 });
    }
    spans.push({ address: at + CARD_SLOT.at.needs_reset, length: 4 });
    spans.push({ address: at + CARD_SLOT.at.reset_done, length: 4 });
    const place = this.#registers.requester.openWrite(spans);
    place.fill(0);
    le32.set(viewOf(place), place.length - 4, request);
    this.ring(slot);
  }

  /** The device is broken until the driver resets it; `fault` is a DRIVER_FAULT number, not 0. */
  writeNeedsReset(slot: number, fault: number): void {
    const place = this.#open(slotOffset(slot) + CARD_SLOT.at.needs_reset, 4);
    le32.set(viewOf(place), 0, fault);
    this.ring(slot);
  }

  /** Tells the card to look at the fields of `slot`. */
  ring(slot: number): void {
    this.#registers.ring(slot + 1, DOORBELL.config_changed);
  }

  #open(offset: number, length: number): Uint8Array {
    return this.#registers.requester.openWrite([{ address: this.#address + offset, length }]);
  }

  /** Writes `bytes` at `address` with their first `key` bytes last, so that what they announce is already there. */
  #writeKeyLast(address: number, bytes: Uint8Array, key: number): void {
    const place = this.#registers.requester.openWrite([
      { address: address + key, length: bytes.length - key },
      { address, length: key },
    ]);
    place.set(bytes.subarray(key));
    place.set(bytes.subarray(0, key), bytes.length - key);
  }
}
