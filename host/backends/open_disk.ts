/**
 * A disk by its name on the command line: `PATH`, `PATH,readonly`, `mem:SIZE` or an NBD URI.
 *
 * @module
 */
import { BackendError, virtioBlock } from "../../protocol/mod.ts";
import { nearest } from "./_nearest.ts";
import { FileBackend } from "./file.ts";
import { MemoryBackend } from "./memory.ts";
import { NbdBackend } from "./nbd/backend.ts";
import { isNbdUri, NBD_CHOICES, type NbdAddress, parseNbdUri } from "./nbd/uri.ts";
import type { BlockBackend } from "./types.ts";

/** What {@linkcode parseDisk} makes of the text. */
export type DiskChoice =
  | { readonly kind: "file"; readonly path: string; readonly readOnly: boolean }
  | { readonly kind: "memory"; readonly name: string; readonly bytes: number }
  | { readonly kind: "nbd"; readonly address: NbdAddress };

/** For help texts. */
export const DISK_CHOICES = "PATH[,readonly] of a raw image, mem:SIZE,\n" + NBD_CHOICES;

const READONLY = "readonly";
const UNITS = { "": 0, K: 1, M: 2, G: 3, T: 4 } as const;

/** Opens nothing. @throws {RangeError} naming the text and what was wanted */
export function parseDisk(text: string): DiskChoice {
  if (text.startsWith("mem:")) return { kind: "memory", name: text, bytes: memoryBytes(text) };
  if (isNbdUri(text)) return { kind: "nbd", address: parseNbdUri(text) };
  const comma = text.lastIndexOf(",");
  const word = comma < 0 ? undefined : text.slice(comma + 1);
  const path = word === READONLY ? text.slice(0, comma) : text;
  if (path === "") throw new RangeError(`Cannot use disk "${text}": wanted ${DISK_CHOICES}`);
  // A path may have commas; one whose end looks like a slip of the only word that there is has none.
  if (word !== READONLY && word !== undefined && nearest(word, [READONLY]) !== undefined) {
    throw new RangeError(`Cannot use disk "${text}": wanted ${text.slice(0, comma)},${READONLY}`);
  }
  return { kind: "file", path, readOnly: word === READONLY };
}

/** Whole sectors; K, M, G and T are powers of 1024. */
function memoryBytes(text: string): number {
  const [, digits, unit] = /^mem:(\d{1,15})([KMGT]?)$/.exec(text) ?? [];
  const bytes = Number(digits) * 1024 ** UNITS[(unit ?? "") as keyof typeof UNITS];
  if (bytes > 0 && bytes % virtioBlock.SECTOR_SIZE === 0) return bytes;
  throw new RangeError(
    `Cannot use disk "${text}": wanted mem:SIZE in whole sectors of 512 bytes, as in mem:64M or mem:1G`,
  );
}

/**
 * `report` hears of what befalls the disk later and fails no request.
 *
 * @throws {BackendError} naming the disk, what is wrong with it, and what to do
 */
export async function openDisk(
  choice: DiskChoice,
  report: (error: BackendError) => void,
): Promise<BlockBackend> {
  if (choice.kind === "file") return FileBackend.open(choice.path, choice);
  if (choice.kind === "nbd") return await NbdBackend.open(choice.address, { report });
  const { name, bytes } = choice;
  try {
    return new MemoryBackend(new Uint8Array(bytes), { name });
  } catch (cause) {
    throw new BackendError(
      `Cannot make disk ${name}: this process cannot have so much memory; name a smaller size, or a file`,
      { cause },
    );
  }
}
