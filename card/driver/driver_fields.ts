/**
 * What a driver may write of device configuration space and reads back: it takes effect in the card's copy at once, as
 * the driver expects of a register, while the host hears of it (virtio 1.3 §5).
 *
 * All else that a driver writes there is a message to the device, such as an emergency character, and changes nothing
 * that is read.
 *
 * @module
 */
import { virtioBlock } from "../../protocol/mod.ts";

/** One byte of configuration space. */
interface DriverField {
  readonly offset: number;
  /** Bits that mean something. */
  readonly mask: number;
  /** What must have been negotiated. */
  readonly feature: bigint;
}

/** By virtio device type. */
const FIELDS: Readonly<Record<number, readonly DriverField[]>> = {
  [virtioBlock.TYPE]: [{
    offset: virtioBlock.CONFIG.at.writeback,
    mask: 1,
    feature: virtioBlock.FEATURE.CONFIG_WCE,
  }],
};

/**
 * Takes over into `config`, of a host that adopts the device, what a live driver wrote into `before`; `unknown` is
 * called for each byte of which that host has to hear.
 */
export function keepDriverWrites(
  type: number,
  features: bigint,
  before: Uint8Array,
  config: Uint8Array,
  unknown: (offset: number, value: number) => void,
): void {
  for (const { offset, mask, feature } of FIELDS[type] ?? []) {
    if ((features & feature) === 0n || offset >= config.length) continue;
    const value = before[offset]! & mask;
    if (value === config[offset]) continue;
    config[offset] = value;
    unknown(offset, value);
  }
}

/** Takes over into `config`, the card's copy, what a live driver of a device of type `type` writes. */
export function takeDriverWrite(
  type: number,
  features: bigint,
  config: Uint8Array,
  offset: number,
  width: number,
  value: number,
): void {
  if (width !== 1) return;
  const field = FIELDS[type]?.find((f) => f.offset === offset && (features & f.feature) !== 0n);
  if (field !== undefined) config[offset] = value & field.mask;
}
