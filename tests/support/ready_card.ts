/**
 * A card that waits for a download, and where in its page a test spoils what was downloaded.
 *
 * @module
 */
import { BootRig } from "./boot_rig.ts";

/** Offsets in the card page header, typed by hand. */
export const MAGIC = 0;
export const KERNEL_ADDRESS = 8;
export const KERNEL_LENGTH = 16;
export const CMDLINE_LENGTH = 20;
export const SHUTDOWN_REQUEST = 44;
export const DIGESTS = 128;

export async function ready(): Promise<BootRig> {
  const rig = new BootRig();
  await rig.bootstrap.powerOn();
  return rig;
}
