/**
 * PCI configuration space of a function: bytes, and for each bit whether software may write it.
 *
 * - **Spec:** PCI Local Bus 3.0 §6.1; PCI Express Base §2.2.7 (a request stays within one double word).
 * - **Invariant:** a write changes only bits declared writable, and clears only bits declared write-1-to-clear.
 *   Unused offsets read as 0.
 *
 * @module
 */
import {
  type Layout,
  PCI_CONFIG_EXTENDED_SIZE,
  type Scalar,
  UnsupportedRequest,
  type Values,
  viewOf,
  type Width,
} from "../../protocol/mod.ts";

type Fields = Readonly<Record<string, Scalar<number>>>;
/** Bits of some fields of a structure, such as the ones software may write. */
export type FieldBits<F> = { readonly [K in keyof F]?: number };

export class ConfigSpace {
  readonly view: DataView = viewOf(new Uint8Array(PCI_CONFIG_EXTENDED_SIZE));
  readonly #writable: DataView = viewOf(new Uint8Array(PCI_CONFIG_EXTENDED_SIZE));
  readonly #clearable: DataView = viewOf(new Uint8Array(PCI_CONFIG_EXTENDED_SIZE));

  /** Places a structure at `at`: what its fields read as, and the bits that software can write, or clear with 1. */
  declare<F extends Fields>(
    at: number,
    structure: Layout<F>,
    values: Partial<Values<F>>,
    writable: FieldBits<F> = {},
    clearable: FieldBits<F> = {},
  ): void {
    const zeros = structure.read(viewOf(new Uint8Array(structure.size)));
    structure.write(this.view, { ...zeros, ...values }, at);
    structure.write(this.#writable, { ...zeros, ...writable } as Values<F>, at);
    structure.write(this.#clearable, { ...zeros, ...clearable } as Values<F>, at);
  }

  /** @throws {UnsupportedRequest} outside of configuration space or across a double word */
  read(register: number, width: Width): number {
    this.#check(register, width);
    if (width === 1) return this.view.getUint8(register);
    if (width === 2) return this.view.getUint16(register, true);
    return this.view.getUint32(register, true);
  }

  /** @throws {UnsupportedRequest} outside of configuration space or across a double word */
  write(register: number, width: Width, value: number): void {
    this.#check(register, width);
    for (let i = 0; i < width; i++) {
      const at = register + i;
      const byte = (value >>> (8 * i)) & 0xff;
      const writable = this.#writable.getUint8(at);
      const cleared = byte & this.#clearable.getUint8(at);
      const kept = this.view.getUint8(at) & ~writable & ~cleared;
      this.view.setUint8(at, kept | (byte & writable));
    }
  }

  #check(register: number, width: Width): void {
    if (register < 0 || register + width > this.view.byteLength || (register & (width - 1)) !== 0) {
      throw new UnsupportedRequest(
        `Cannot access configuration register ${register}, ${width} bytes`,
      );
    }
  }
}
