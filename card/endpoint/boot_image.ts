/**
 * Reads and verifies what the host has downloaded: the boot header in the card page, the images in card memory.
 *
 * - **Invariant:** an image is handed on only if it lies within card memory and has the SHA-256 that the host says it
 *   has. The card page is foreign: nothing in it is used unchecked.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { page, viewOf } from "../../protocol/mod.ts";
import { type BootImage, BootRefused } from "../machine/types.ts";

/**
 * POST codes of a refused boot. The first character is the stage of the original's table that failed (1 boot signal,
 * 4 authenticate, 5 OS load), the second says that it did.
 */
export const REFUSED = {
  /** Card page or its boot header: not ours, not this version, or contradicting itself. */
  header: "1E",
  /** An image that has the wrong digest. */
  digest: "4E",
  /** An image that does not lie in card memory, or no kernel at all. */
  bounds: "5E",
} as const;

const DIGEST_SIZE = 32;
/** Seconds since 1970 at the end of the year 9999: no clock of a PC goes further. */
const TIME_MAX = 253_402_300_799n;

/** What the header says of one image: byte offset in card memory, bytes. */
interface Extent {
  readonly address: number;
  readonly length: number;
}

/**
 * The image to boot. `memory` is all of card memory.
 * @throws {BootRefused} with the text for the host
 */
export function readBootImage(cardPage: Uint8Array, memory: Uint8Array): BootImage {
  const header = page.CARD_HEADER.read(viewOf(cardPage));
  if (header.magic !== page.PAGE_MAGIC || header.version !== page.PAGE_VERSION) {
    throw new BootRefused(
      REFUSED.header,
      `Cannot read card page: magic ${header.magic.toString(16)} version ${header.version}, ` +
        `wanted ${page.PAGE_MAGIC.toString(16)} version ${page.PAGE_VERSION}`,
    );
  }
  const kernel = { address: header.kernel_address, length: header.kernel_length };
  const cmdline = { address: header.cmdline_address, length: header.cmdline_length };
  const initrd = { address: header.initrd_address, length: header.initrd_length };
  if (kernel.length === 0) throw new BootRefused(REFUSED.bounds, "Cannot boot: no kernel given");
  const digest = (index: number): Uint8Array => {
    const at = page.DIGESTS_OFFSET + index * DIGEST_SIZE;
    return cardPage.subarray(at, at + DIGEST_SIZE);
  };
  verified("kernel", memory, kernel, digest(0));
  const words = verified("command line", memory, cmdline, digest(1));
  verified("initrd", memory, initrd, digest(2));
  return {
    kernel,
    initrd: initrd.length > 0 ? initrd : undefined,
    cmdline: new TextDecoder().decode(words),
  };
}

/** What the host's clock showed when the header was written, ms since 1970; undefined if that is not there, or no time. */
export function readHostClock(cardPage: Uint8Array): number | undefined {
  const { time_seconds, time_nanoseconds } = page.CARD_HEADER.read(viewOf(cardPage));
  if (time_seconds === 0n || time_seconds > TIME_MAX || time_nanoseconds >= 1e9) return undefined;
  return Number(time_seconds) * 1000 + Math.floor(time_nanoseconds / 1e6);
}

/** The bytes of an image; of one that was not given, none, whatever its address and digest. @throws {BootRefused} */
function verified(
  name: string,
  memory: Uint8Array,
  { address, length }: Extent,
  expected: Uint8Array,
): Uint8Array {
  if (length === 0) return memory.subarray(0, 0);
  if (!(address + length <= memory.length)) {
    throw new BootRefused(
      REFUSED.bounds,
      `Cannot load ${name}: ${length} bytes at 0x${address.toString(16)}, ` +
        `card memory has ${memory.length}`,
    );
  }
  const bytes = memory.subarray(address, address + length);
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== expected.toHex()) {
    throw new BootRefused(
      REFUSED.digest,
      `Cannot trust ${name}: ${length} bytes at 0x${address.toString(16)} have SHA-256 ${found}, ` +
        `wanted ${expected.toHex()}`,
    );
  }
  return bytes;
}
