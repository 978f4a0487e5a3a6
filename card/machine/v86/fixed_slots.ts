/**
 * Where the machine's own PCI functions are: all in one slot, with their memory far above the card's and below the
 * interrupt controllers of a PC. Functions plugged in are numbered from the front.
 *
 * @module
 */

/** Function 0 is pvpanic, function 1 the watchdog. */
export const MACHINE_SLOT = 31;
/** Bytes: what the emulator maps registers in. */
export const MMIO_BLOCK = 0x2_0000;
