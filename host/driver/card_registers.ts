/**
 * The card as the host addresses it: the register block (BAR 4) and card memory (BAR 0), over one requester.
 *
 * Writes are posted and stay in order with everything else that is posted; reads are round trips, for probe, boot and
 * reset only.
 *
 * @module
 */
import {
  DOORBELL,
  le32,
  REGISTER_BLOCK_SIZE,
  REGISTERS,
  type Requester,
  viewOf,
} from "../../protocol/mod.ts";

export type RegisterName = keyof typeof REGISTERS;

/** Where a card's memory and registers are on the bus, as its probe assigned them. */
export interface CardWindows {
  /** Bus address and bytes of the aperture on card memory. */
  readonly aperture: { readonly address: number; readonly size: number };
  /** Bus address and bytes of the register block. */
  readonly registers: { readonly address: number; readonly size: number };
}

export class CardRegisters {
  readonly requester: Requester;
  readonly #base: number;
  readonly #word = new Uint8Array(4);
  readonly #view = viewOf(this.#word);

  constructor(requester: Requester, windows: CardWindows) {
    if (windows.registers.size < REGISTER_BLOCK_SIZE) {
      throw new RangeError(
        `Cannot use register block: BAR of ${windows.registers.size} bytes, wanted ${REGISTER_BLOCK_SIZE}`,
      );
    }
    this.requester = requester;
    this.#base = windows.registers.address;
  }

  async read(register: RegisterName, signal?: AbortSignal): Promise<number> {
    const address = this.#base + REGISTERS[register].at;
    return le32.get(viewOf(await this.requester.memoryRead(address, 4, signal)), 0);
  }

  write(register: RegisterName, value: number): void {
    this.#post(REGISTERS[register].at, value);
  }

  /** Bus address of doorbell `number`. */
  doorbellAddress(number: number): number {
    if (!(number >= 0 && number < DOORBELL.count)) {
      throw new RangeError(`Cannot address doorbell ${number}: the card has ${DOORBELL.count}`);
    }
    return this.#base + REGISTERS.doorbell.at + 4 * number;
  }

  ring(doorbell: number, value: number): void {
    this.#post(this.doorbellAddress(doorbell) - this.#base, value);
  }

  #post(at: number, value: number): void {
    le32.set(this.#view, 0, value);
    this.requester.postWrite(this.#base + at, this.#word);
  }
}
