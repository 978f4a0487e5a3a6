/**
 * The feature registers of a virtio-pci function: windows of 32 bits on what the device offers and on what the driver
 * accepts (virtio 1.3 §2.2 and §4.1.4.3).
 *
 * @module
 */
import { checkAccepted, DriverError } from "../../protocol/mod.ts";

const WORDS = 2;
const WORD_BITS = 32;
const WORD_MASK = 0xffff_ffffn;

export class FeatureRegisters {
  /** Which 32 bits each window shows; words from 2 up read as 0. */
  deviceSelect = 0;
  driverSelect = 0;
  #offered: bigint;
  /** Bits 0 to 63 as the driver wrote them; `#beyond` is not 0 once it wanted one above. */
  readonly #wanted = new Uint32Array(WORDS);
  #beyond = 0;

  constructor(offered: bigint) {
    this.#offered = offered;
  }

  /** The device offers other features from now on; what was accepted stays accepted. */
  offer(features: bigint): void {
    this.#offered = features;
  }

  reset(): void {
    this.deviceSelect = 0;
    this.driverSelect = 0;
    this.#wanted.fill(0);
    this.#beyond = 0;
  }

  get deviceWord(): number {
    if (this.deviceSelect >= WORDS) return 0;
    return Number((this.#offered >> BigInt(WORD_BITS * this.deviceSelect)) & WORD_MASK);
  }

  get driverWord(): number {
    return this.#wanted[this.driverSelect] ?? 0;
  }

  set driverWord(value: number) {
    if (this.driverSelect < WORDS) this.#wanted[this.driverSelect] = value;
    else this.#beyond |= value;
  }

  /** The set that the driver wrote. @throws {DriverError} `features`, if it may not have that */
  accepted(): bigint {
    if (this.#beyond) throw new DriverError("features", "Cannot accept features: above bit 63");
    const wanted = BigInt(this.#wanted[0]!) | BigInt(this.#wanted[1]!) << BigInt(WORD_BITS);
    checkAccepted(this.#offered, wanted);
    return wanted;
  }
}
