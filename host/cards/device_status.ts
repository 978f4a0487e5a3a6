/**
 * The devices of a card as the operator sees them: names, negotiated features by name, and what their configuration
 * space says.
 *
 * @module
 */
import { FEATURE, viewOf, virtioBlock, virtioConsole, virtioNet } from "../../protocol/mod.ts";
import type { DeviceStatus } from "../control/card_control.ts";
import type { SlotView } from "../driver/slot.ts";
import type { LentDevice } from "./lent.ts";

/** Names of a device type's own features. */
const OWN: Readonly<Record<number, Readonly<Record<string, bigint>>>> = {
  [virtioBlock.TYPE]: virtioBlock.FEATURE,
  [virtioNet.TYPE]: virtioNet.FEATURE,
  [virtioConsole.TYPE]: virtioConsole.FEATURE,
};

/** `view` is what its driver has made of it; undefined while there is none. */
export function deviceStatus(
  { slot, name, kind, device }: LentDevice,
  view: SlotView | undefined,
): DeviceStatus {
  const config = viewOf(device.config());
  const { CONFIG, STATUS_LINK_UP } = virtioNet;
  return {
    slot,
    name,
    kind,
    backend: device.name.replace(/^\w+ /, ""),
    status: view?.status ?? 0,
    features: featureNames(device.type, view?.features ?? 0n),
    needsReset: view?.needsReset ?? false,
    ...(device.waiting !== undefined && { waiting: device.waiting }),
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
  const own = Object.entries(OWN[type] ?? {});
  const transport = Object.entries(FEATURE);
  for (let bit = 0; bit < 64; bit++) {
    if (((features >> BigInt(bit)) & 1n) === 0n) continue;
    const name = own.find(([, mask]) => mask === 1n << BigInt(bit)) ??
      transport.find(([, number]) => number === bit);
    names.push(name?.[0] ?? `bit ${bit}`);
  }
  return names;
}
