/**
 * The host page as the card writes it: what the card, and each driver on it, have done.
 *
 * The bytes are kept here and posted to the host when they change, each change followed by its MSI: vector 0 for the
 * header, slot + 1 for a slot. While the link takes no more, changes gather here and leave as one when it does, so a
 * card OS that turns its status round and round cannot fill memory.
 *
 * - **Invariant:** nothing is posted before the host said where its page is; then all that was ever set is posted.
 *
 * @module
 */
import { page, type Requester, viewOf } from "../../protocol/mod.ts";

const { HOST_HEADER, HOST_QUEUE, HOST_SLOT, QUEUES_OFFSET, slotOffset, SLOTS } = page;

export type HeaderValues = Omit<ReturnType<typeof HOST_HEADER.read>, "magic" | "version">;
export type SlotValues = ReturnType<typeof HOST_SLOT.read>;
/** What is said of a piece of serial output; see HOST_HEADER. */
export interface SerialValues {
  readonly piece: number;
  readonly position: number;
  readonly waiting: number;
}
export type QueueValues = ReturnType<typeof HOST_QUEUE.read>;

/** Bit of the header in a set of parts; slot s is bit s + 1. Part numbers are MSI vectors. */
const HEADER = 1;

export interface HostPageOptions {
  readonly requester: Pick<Requester, "postWrite" | "writable" | "onWritable">;
  /** Sends MSI `vector` once what it announces is posted. */
  interrupt(vector: number): void;
}

export class HostPage {
  readonly #options: HostPageOptions;
  readonly #bytes = new Uint8Array(page.PAGE_SIZE);
  readonly #view = viewOf(this.#bytes);
  /** Queues of each slot that were ever set. */
  readonly #queues = new Uint8Array(SLOTS);
  #address = 0;
  /** Parts that were ever set, and parts that the host has not got yet. */
  #used = HEADER;
  #changed = 0;
  /** A piece of serial output that the host has not got yet. */
  #serialChanged = false;
  #waiting = false;

  constructor(options: HostPageOptions) {
    this.#options = options;
    this.#setHeader({});
  }

  /** Bus address; 0 while it is nowhere. */
  get address(): number {
    return this.#address;
  }

  /** The host page is at bus address `address` (0: nowhere), and new: it gets everything at the next publish. */
  moveTo(address: number): void {
    this.#address = address;
    this.#changed = this.#used;
  }

  setHeader(values: Partial<HeaderValues>): void {
    this.#setHeader(values);
    this.#change(HEADER);
  }

  /** The sentence that explains a refused boot; cut at TEXT_SIZE bytes. */
  setText(text: string): void {
    const room = this.#bytes.subarray(page.TEXT_OFFSET, page.TEXT_OFFSET + page.TEXT_SIZE);
    this.setHeader({ text_length: new TextEncoder().encodeInto(text, room).written });
  }

  /** A piece of serial output, at most SERIAL_SIZE bytes: it stays until the next one takes its place. */
  setSerial(
    { piece, position, waiting }: SerialValues,
    bytes: Uint8Array = new Uint8Array(0),
  ): void {
    this.#bytes.set(bytes, page.SERIAL_OFFSET);
    this.#serialChanged = bytes.length > 0;
    this.setHeader({
      serial_piece: piece,
      serial_length: bytes.length,
      serial_position: position,
      serial_waiting: waiting,
    });
  }

  setSlot(slot: number, values: Partial<SlotValues>): void {
    const at = slotOffset(slot);
    HOST_SLOT.write(this.#view, { ...HOST_SLOT.read(this.#view, at), ...values }, at);
    this.#change(HEADER << (slot + 1));
  }

  setQueue(slot: number, queue: number, values: Partial<QueueValues>): void {
    const at = slotOffset(slot) + QUEUES_OFFSET + queue * HOST_QUEUE.size;
    HOST_QUEUE.write(this.#view, { ...HOST_QUEUE.read(this.#view, at), ...values }, at);
    this.#queues[slot] = Math.max(this.#queues[slot]!, queue + 1);
    this.#change(HEADER << (slot + 1));
  }

  /** Queues of `slot` read as never enabled. */
  clearQueues(slot: number): void {
    const at = slotOffset(slot) + QUEUES_OFFSET;
    this.#bytes.fill(0, at, at + this.#queues[slot]! * HOST_QUEUE.size);
    this.#change(HEADER << (slot + 1));
  }

  /** All slots read as untouched and the header as in the beginning: a card reset. */
  clear(): void {
    this.#bytes.fill(0);
    this.#serialChanged = false;
    this.#setHeader({});
    this.#changed = this.#used;
  }

  /** Posts what changed, each part with its interrupt; as soon as the link takes it. */
  publish(): void {
    if (this.#address === 0 || this.#changed === 0) return;
    const { requester } = this.#options;
    if (requester.writable) return this.#post();
    if (this.#waiting) return;
    this.#waiting = true;
    requester.onWritable(() => {
      this.#waiting = false;
      this.publish();
    });
  }

  #setHeader(values: Partial<HeaderValues>): void {
    HOST_HEADER.write(this.#view, {
      ...HOST_HEADER.read(this.#view),
      magic: page.PAGE_MAGIC,
      version: page.PAGE_VERSION,
      ...values,
    });
  }

  #change(part: number): void {
    this.#used |= part;
    this.#changed |= part;
  }

  #post(): void {
    const changed = this.#changed;
    this.#changed = 0;
    for (let vector = 0; vector <= SLOTS; vector++) {
      if (!(changed & (1 << vector))) continue;
      if (vector === 0) this.#postHeader();
      else this.#postSlot(vector - 1);
      this.#options.interrupt(vector);
    }
  }

  #postHeader(): void {
    const { text_length: length, serial_length: serial } = HOST_HEADER.read(this.#view);
    if (length > 0) this.#postBytes(page.TEXT_OFFSET, length);
    if (this.#serialChanged) this.#postBytes(page.SERIAL_OFFSET, serial);
    this.#serialChanged = false;
    this.#postBytes(0, HOST_HEADER.size);
  }

  /** Queue rows first: a status of DRIVER_OK says that they are there. */
  #postSlot(slot: number): void {
    const at = slotOffset(slot);
    const queues = this.#queues[slot]! * HOST_QUEUE.size;
    if (queues > 0) this.#postBytes(at + QUEUES_OFFSET, queues);
    this.#postBytes(at, HOST_SLOT.size);
  }

  #postBytes(at: number, length: number): void {
    this.#options.requester.postWrite(this.#address + at, this.#bytes.subarray(at, at + length));
  }
}
