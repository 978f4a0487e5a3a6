/**
 * The clause matrix: every MUST of virtio 1.3 for split virtqueues, the PCI transport, network, block and console devices
 * that falls on the device.
 *
 * @module
 */
import { BASICS } from "./basics.ts";
import { BLOCK_CLAUSES } from "./block.ts";
import { CONSOLE_CLAUSES } from "./console.ts";
import { NET_CLAUSES } from "./net.ts";
import { PCI_TRANSPORT } from "./pci.ts";
import { SPLIT_RING } from "./split_ring.ts";
import type { Section } from "./types.ts";

export const MATRIX: Readonly<Record<string, readonly Section[]>> = {
  "basic facilities": BASICS,
  "virtqueues": SPLIT_RING,
  "PCI transport": PCI_TRANSPORT,
  "network device": NET_CLAUSES,
  "block device": BLOCK_CLAUSES,
  "console device": CONSOLE_CLAUSES,
};
