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

/**
 * Gives the fields in `config` the values that they begin with for a driver of these features: true if one changed. Who
 * may set the cache mode but cannot flush is not cached until it says so (§5.2.5.2).
 */
export function beginDriverFields(type: number, features: bigint, config: Uint8Array): boolean {
  const { FEATURE, CONFIG } = virtioBlock;
  if (type !== virtioBlock.TYPE || CONFIG.at.writeback >= config.length) return false;
  const begins = (features & (FEATURE.CONFIG_WCE | FEATURE.FLUSH)) === FEATURE.CONFIG_WCE;
  if (!begins || config[CONFIG.at.writeback] === 0) return false;
  config[CONFIG.at.writeback] = 0;
  return true;
}

/**
 * Takes over into `config`, the card's copy, what a live driver of a device of type `type` writes: true if it changed
 * something.
 */
export function takeDriverWrite(
  type: number,
  features: bigint,
  config: Uint8Array,
  offset: number,
  width: number,
  value: number,
): boolean {
  if (width !== 1) return false;
  const field = FIELDS[type]?.find((f) => f.offset === offset && (features & f.feature) !== 0n);
  if (field === undefined || config[offset] === (value & field.mask)) return false;
  config[offset] = value & field.mask;
  return true;
}
