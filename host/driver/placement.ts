/**
 * Where a download goes in card memory.
 *
 *     0 .. load address ...........................................  end of memory
 *          kernel | command line, NUL | free           | initrd | card page, if it is in there
 *
 * All of them start at 4 KiB. The initrd lies at the top, out of the way of whatever the kernel unpacks to.
 *
 * @module
 */
import type { Span } from "../../protocol/mod.ts";
import { BootError } from "./boot_error.ts";

const ALIGN = 4096;
const MIB = 2 ** 20;
/** Longest command line Linux on x86 takes, without its NUL. */
export const CMDLINE_MAX = 2047;

/** Bytes of each part; 0 for no initrd. */
export interface DownloadSizes {
  readonly kernel: number;
  readonly cmdline: number;
  readonly initrd: number;
}

/** What the bootstrap on the card says of its memory. */
export interface CardMemoryMap {
  readonly memoryBytes: number;
  readonly loadAddress: number;
  /** Card page, an offset in BAR 0; it may lie in memory or behind it. */
  readonly page: Span;
}

/** Offsets in card memory. */
export interface Placement {
  readonly kernel: Span;
  /** Without the NUL that follows it. */
  readonly cmdline: Span;
  readonly initrd: Span | undefined;
}

/** @throws {BootError} if the card has no room, with how much memory it would need */
export function place(sizes: DownloadSizes, card: CardMemoryMap): Placement {
  if (sizes.cmdline > CMDLINE_MAX) {
    throw new BootError(
      `Cannot boot: the command line has ${sizes.cmdline} bytes, at most ${CMDLINE_MAX} fit`,
    );
  }
  const pageInMemory = card.page.address >= card.loadAddress &&
    card.page.address < card.memoryBytes;
  const end = pageInMemory ? card.page.address : card.memoryBytes;
  const cmdline = alignUp(card.loadAddress + sizes.kernel);
  const free = alignUp(cmdline + sizes.cmdline + 1);
  const initrd = alignDown(end - sizes.initrd);
  if (free > initrd) {
    const needed = free + alignUp(sizes.initrd) + (card.memoryBytes - end);
    throw new BootError(
      `Cannot boot: kernel (${mib(sizes.kernel)})${
        sizes.initrd ? ` and initrd (${mib(sizes.initrd)})` : ""
      } at ${mib(card.loadAddress)} need ${
        Math.ceil(needed / MIB)
      } MiB of card memory, the card has ${Math.floor(card.memoryBytes / MIB)}`,
    );
  }
  return {
    kernel: { address: card.loadAddress, length: sizes.kernel },
    cmdline: { address: cmdline, length: sizes.cmdline },
    initrd: sizes.initrd ? { address: initrd, length: sizes.initrd } : undefined,
  };
}

const alignUp = (value: number): number => Math.ceil(value / ALIGN) * ALIGN;
const alignDown = (value: number): number => Math.floor(value / ALIGN) * ALIGN;
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
