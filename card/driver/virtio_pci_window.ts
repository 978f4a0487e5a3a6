/**
 * The window on BAR 0 in the configuration space of a virtio-pci function (virtio 1.3 §4.1.4.9): for software that
 * reaches no BAR, such as firmware, an access to `pci_cfg_data` is one to the place that the capability names.
 *
 * The capability's fields are the driver's to write: an access that is not of 1, 2 or 4 bytes, aligned, inside the BAR,
 * is none. So nothing happens before somebody sets a length, and a dump of configuration space reads no register.
 *
 * @module
 */
import {
  capabilities,
  CAPABILITY,
  le32,
  PCI_CONFIG_SIZE,
  u8,
  virtioPci,
} from "../../protocol/mod.ts";

const FIELD = virtioPci.CAPABILITY.at;
/** Offset of `pci_cfg_data` in the capability, and its bytes. */
const DATA = virtioPci.CAPABILITY.size;
const DATA_SIZE = virtioPci.PCI_TAIL.size;

/** BAR 0 of the function. */
export interface WindowTarget {
  readonly barSize: number;
  read(offset: number, width: 1 | 2 | 4): number;
  write(offset: number, width: 1 | 2 | 4, value: number): void;
}

interface Place {
  readonly offset: number;
  readonly width: 1 | 2 | 4;
}

export class ConfigWindow {
  /** What of configuration space the capability lets software write: one byte of bits for each. */
  readonly writable = new Uint8Array(PCI_CONFIG_SIZE);
  readonly #at: number;
  readonly #target: WindowTarget;

  /** @param pciConfig has the capability. @throws {TypeError} if it has not */
  constructor(pciConfig: Uint8Array, target: WindowTarget) {
    const found = capabilities(pciConfig).find(({ id, at }) =>
      id === CAPABILITY.vendor_specific && pciConfig[at + FIELD.cfg_type] === virtioPci.CFG_TYPE.PCI
    );
    if (found === undefined) throw new TypeError("Cannot make a window: there is no capability");
    const at = this.#at = found.at;
    this.#target = target;
    this.writable[at + FIELD.bar] = 0xff;
    this.writable.fill(0xff, at + FIELD.offset, at + DATA + DATA_SIZE);
  }

  /** Software is about to read `config`: reads the BAR for it, if that is what it reads. */
  beforeRead(config: DataView, at: number, width: number): void {
    const place = this.#touched(at, width) ? this.#place(config) : undefined;
    if (place === undefined) return;
    const value = this.#target.read(place.offset, place.width);
    bytesOf(config, this.#at + DATA, place.width).forEach((_, i, bytes) => {
      bytes[i] = (value >>> (8 * i)) & 0xff;
    });
  }

  /** Software wrote `config`: writes the BAR for it, if that is what it wrote. */
  afterWrite(config: DataView, at: number, width: number): void {
    const place = this.#touched(at, width) ? this.#place(config) : undefined;
    if (place === undefined) return;
    const value = bytesOf(config, this.#at + DATA, place.width)
      .reduceRight((sum, byte) => sum * 256 + byte, 0);
    this.#target.write(place.offset, place.width, value);
  }

  #touched(at: number, width: number): boolean {
    const data = this.#at + DATA;
    return at < data + DATA_SIZE && at + width > data;
  }

  /** Where the capability points, if an access may go there. */
  #place(config: DataView): Place | undefined {
    const width = le32.get(config, this.#at + FIELD.length);
    const offset = le32.get(config, this.#at + FIELD.offset);
    if (width !== 1 && width !== 2 && width !== 4) return undefined;
    const inside = offset % width === 0 && offset + width <= this.#target.barSize;
    return inside && u8.get(config, this.#at + FIELD.bar) === 0 ? { offset, width } : undefined;
  }
}

function bytesOf(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}
