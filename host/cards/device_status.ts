/**
 * The devices of a card as the operator sees them: names, negotiated features by name, and what their configuration
 * space says.
 *
 * @module
 */
import { FEATURE, viewOf, virtioBlock, virtioConsole, virtioNet } from "../../protocol/mod.ts";
import type { DeviceStatus } from "../control/card_control.ts";
import type { SlotView } from "../driver/slot.ts";
import type { VirtioDevice } from "../driver/virtio_device.ts";

interface DeviceType {
  readonly kind: DeviceStatus["kind"];
  /** First part of its name. */
  readonly prefix: string;
  readonly features: Readonly<Record<string, bigint>>;
}

const TYPES: Readonly<Record<number, DeviceType>> = {
  [virtioBlock.TYPE]: { kind: "block", prefix: "disk", features: virtioBlock.FEATURE },
  [virtioNet.TYPE]: { kind: "net", prefix: "net", features: virtioNet.FEATURE },
  [virtioConsole.TYPE]: {
    kind: "console",
    prefix: "console",
    features: virtioConsole.FEATURE,
  },
};

/** By slot: `disk0`, `net0`, ... The number counts devices of one type. */
export function deviceNames(devices: readonly VirtioDevice[]): readonly string[] {
  const counts = new Map<string, number>();
  return devices.map(({ type }) => {
    const prefix = TYPES[type]?.prefix ?? `type${type}-`;
    const number = counts.get(prefix) ?? 0;
    counts.set(prefix, number + 1);
    return `${prefix}${number}`;
  });
}

/** `view` is what its driver has made of it; undefined while there is none. */
export function deviceStatus(
  device: VirtioDevice,
  slot: number,
  name: string,
  view: SlotView | undefined,
): DeviceStatus {
  const config = viewOf(device.config());
  const { CONFIG, STATUS_LINK_UP } = virtioNet;
  return {
    slot,
    name,
    kind: TYPES[device.type]?.kind ?? "block",
    backend: device.name.replace(/^\w+ /, ""),
    status: view?.status ?? 0,
    features: featureNames(device.type, view?.features ?? 0n),
    needsReset: view?.needsReset ?? false,
    ...(device.type === virtioBlock.TYPE && {
      size: virtioBlock.CONFIG.read(config).capacity * virtioBlock.SECTOR_SIZE,
    }),
    ...(device.type === virtioNet.TYPE && {
      carrier: (CONFIG.read(config).status & STATUS_LINK_UP) !== 0,
    }),
  };
}

/** Names of the bits of `features` as the standard has them, lowest first; `bit 37` of one unknown here. */
export function featureNames(type: number, features: bigint): readonly string[] {
  const names: string[] = [];
  const own = Object.entries(TYPES[type]?.features ?? {});
  const transport = Object.entries(FEATURE);
  for (let bit = 0; bit < 64; bit++) {
    if (((features >> BigInt(bit)) & 1n) === 0n) continue;
    const name = own.find(([, mask]) => mask === 1n << BigInt(bit)) ??
      transport.find(([, number]) => number === bit);
    names.push(name?.[0] ?? `bit ${bit}`);
  }
  return names;
}
