/**
 * The host page: the half of the device page that the card writes and the host reads, in its own memory.
 *
 * What is in it is foreign, and may change whenever frames are applied: every value is read once and checked by whom
 * it concerns.
 *
 * @module
 */
import {
  CARD_STATE,
  type CardState,
  le32,
  le64,
  page,
  SHUTDOWN_REASON,
  type ShutdownReason,
  viewOf,
} from "../../protocol/mod.ts";
import type { Region, SystemMemory } from "./system_memory.ts";

const { HOST_HEADER, HOST_QUEUE, HOST_SLOT, QUEUES_OFFSET, slotOffset, TEXT_OFFSET } = page;

export type QueueSetup = ReturnType<typeof HOST_QUEUE.read>;

/** A piece of what a card OS writes on its first serial port. */
export interface SerialPiece {
  /** At most 2048; often whole lines. */
  readonly bytes: Uint8Array;
  /** Bytes that the card OS wrote before it, since its boot; modulo 2^32. */
  readonly position: number;
}

const STATES = namesByNumber(CARD_STATE);
const REASONS = namesByNumber(SHUTDOWN_REASON);

export class HostPage implements Disposable {
  readonly #region: Region;
  readonly #view: DataView;

  constructor(memory: SystemMemory) {
    this.#region = memory.map(page.PAGE_SIZE, { cardMayRead: false, cardMayWrite: true });
    this.#view = viewOf(this.#region.bytes);
  }

  /** Bus address. */
  get address(): number {
    return this.#region.address;
  }

  /** Forgets what a card OS of before has left. */
  clear(): void {
    this.#region.bytes.fill(0);
  }

  /** What the card says of itself; undefined while it has said nothing that can be understood. */
  get cardState(): CardState | undefined {
    const { magic, version, card_state } = HOST_HEADER.read(this.#view);
    if (magic !== page.PAGE_MAGIC || version !== page.PAGE_VERSION) return undefined;
    return STATES[card_state];
  }

  /** Valid once the card state is `stopped`; a number that means nothing reads as a crash. */
  get shutdownReason(): ShutdownReason {
    return REASONS[le32.get(this.#view, HOST_HEADER.at.shutdown_reason)] ?? "crashed";
  }

  /** Counts up while the card OS is alive. */
  get heartbeat(): number {
    return le32.get(this.#view, HOST_HEADER.at.heartbeat);
  }

  /** Why the card refused, or how its OS ended, for people: control characters are replaced. */
  get text(): string {
    const length = Math.min(le32.get(this.#view, HOST_HEADER.at.text_length), page.TEXT_SIZE);
    const bytes = this.#region.bytes.subarray(TEXT_OFFSET, TEXT_OFFSET + length);
    return new TextDecoder().decode(bytes).replaceAll(/\p{Cc}/gu, "\u{fffd}");
  }

  /** The request that the piece of serial output answers. */
  get serialPiece(): number {
    return le32.get(this.#view, HOST_HEADER.at.serial_piece);
  }

  /** Bytes that the card has behind the piece. */
  get serialWaiting(): number {
    return le32.get(this.#view, HOST_HEADER.at.serial_waiting);
  }

  /** The piece itself; a copy. */
  get serial(): SerialPiece {
    const { serial_length, serial_position } = HOST_HEADER.read(this.#view);
    const end = page.SERIAL_OFFSET + Math.min(serial_length, page.SERIAL_SIZE);
    const bytes = this.#region.bytes.slice(page.SERIAL_OFFSET, end);
    return { bytes, position: serial_position };
  }

  /** Device status byte as the driver last wrote it. */
  status(slot: number): number {
    return le32.get(this.#view, slotOffset(slot) + HOST_SLOT.at.status);
  }

  resetRequest(slot: number): number {
    return le32.get(this.#view, slotOffset(slot) + HOST_SLOT.at.reset_request);
  }

  features(slot: number): bigint {
    return le64.get(this.#view, slotOffset(slot) + HOST_SLOT.at.features_accepted);
  }

  /** DRIVER_FAULT number that the card's chain walker found; 0 for none. */
  fault(slot: number): number {
    return le32.get(this.#view, slotOffset(slot) + HOST_SLOT.at.fault);
  }

  faultQueue(slot: number): number {
    return le32.get(this.#view, slotOffset(slot) + HOST_SLOT.at.fault_queue);
  }

  /** The driver runs since before this host. */
  adopted(slot: number): boolean {
    return le32.get(this.#view, slotOffset(slot) + HOST_SLOT.at.adopted) === 1;
  }

  /** PLUG number: what became of the slot's function on the card's bus. */
  plug(slot: number): number {
    return le32.get(this.#view, slotOffset(slot) + HOST_SLOT.at.plug);
  }

  queue(slot: number, queue: number): QueueSetup {
    return HOST_QUEUE.read(
      this.#view,
      slotOffset(slot) + QUEUES_OFFSET + queue * HOST_QUEUE.size,
    );
  }

  [Symbol.dispose](): void {
    this.#region[Symbol.dispose]();
  }
}

function namesByNumber<K extends string>(table: Readonly<Record<K, number>>): readonly K[] {
  const names: K[] = [];
  for (const name of Object.keys(table) as K[]) names[table[name]] = name;
  return names;
}
