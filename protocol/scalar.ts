/**
 * Little-endian scalars: the only bare `DataView` calls in the house.
 *
 * `DataView` defaults to big-endian and its setters wrap in silence; these are always little-endian (virtio 1.3 §1.4)
 * and a value that does not fit is a RangeError.
 *
 * @module
 */

/** One scalar of a wire struct: its size in bytes, and how it is read and written. */
export interface Scalar<T> {
  readonly size: number;
  get(view: DataView, at: number): T;
  /** @throws {RangeError} if `value` does not fit */
  set(view: DataView, at: number, value: T): void;
}

function check(value: number, max: number): void {
  if (!(value >= 0 && value <= max && Number.isInteger(value))) {
    throw new RangeError(`Cannot encode ${value}: wanted an integer from 0 to ${max}`);
  }
}

export const u8: Scalar<number> = {
  size: 1,
  get: (view, at) => view.getUint8(at),
  set(view, at, value) {
    check(value, 0xff);
    view.setUint8(at, value);
  },
};

export const le16: Scalar<number> = {
  size: 2,
  get: (view, at) => view.getUint16(at, true),
  set(view, at, value) {
    check(value, 0xffff);
    view.setUint16(at, value, true);
  },
};

export const le32: Scalar<number> = {
  size: 4,
  get: (view, at) => view.getUint32(at, true),
  set(view, at, value) {
    check(value, 0xffff_ffff);
    view.setUint32(at, value, true);
  },
};

/** 64 bits as a bigint: feature sets, identities, anything that uses the upper bits. */
export const le64: Scalar<bigint> = {
  size: 8,
  get: (view, at) => view.getBigUint64(at, true),
  set(view, at, value) {
    if (BigInt.asUintN(64, value) !== value) {
      throw new RangeError(`Cannot encode ${value}: wanted an unsigned 64-bit integer`);
    }
    view.setBigUint64(at, value, true);
  },
};

/**
 * A 64-bit bus address as a number. PCI Express addresses here stay below 2^52 (a bigint per descriptor would cost
 * more than the rest of the hot path); a larger one reads as Infinity, which no bounds check lets through.
 */
export const address64: Scalar<number> = {
  size: 8,
  get(view, at) {
    const high = view.getUint32(at + 4, true);
    return high < 0x10_0000 ? high * 0x1_0000_0000 + view.getUint32(at, true) : Infinity;
  },
  set(view, at, value) {
    check(value, 2 ** 52 - 1);
    view.setUint32(at, value >>> 0, true);
    view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
  },
};
