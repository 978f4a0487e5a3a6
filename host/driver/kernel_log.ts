/**
 * The kernel log of a card: the last 64 KiB that its OS wrote on its first serial port, read through the aperture. The
 * card keeps it outside of the OS, so it is there when the OS is dead, until the card is reset.
 *
 * @module
 */
import { page, UnsupportedRequest } from "../../protocol/mod.ts";
import type { CardPatience } from "./card_patience.ts";
import type { Probed } from "./probe.ts";

/**
 * The log as it is now, oldest byte first; undefined from a card that keeps none. The bytes are foreign: whoever prints
 * them goes by {@linkcode logText}.
 * @throws {ProtocolError} if the card does not answer
 */
export async function readKernelLog(
  { registers, windows: { aperture } }: Probed,
  patience: CardPatience,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  try {
    return await patience.answered("hand out its kernel log", signal, async (limited) => {
      const [offset, length] = await Promise.all([
        registers.read("log_offset", limited),
        registers.read("log_length", limited),
      ]);
      if (length === 0 || length > page.LOG_SIZE || offset + length > aperture.size) {
        return undefined;
      }
      return await registers.requester.memoryRead(aperture.address + offset, length, limited);
    });
  } catch (error) {
    // A card of wire version 1.1 has no such registers.
    if (error instanceof UnsupportedRequest) return undefined;
    throw error;
  }
}

/** Terminal control sequences: colours and the like, which a kernel on a serial console may send. */
// deno-lint-ignore no-control-regex -- they begin with a control character
const SEQUENCES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])/g;
/** Control characters but for line feed and tab. */
const CONTROLS = /[^\P{Cc}\n\t]/gu;

/** `log` as lines that no terminal obeys. */
export function logText(log: Uint8Array): string {
  return new TextDecoder().decode(log)
    .replaceAll("\r\n", "\n")
    .replaceAll(SEQUENCES, "")
    .replaceAll(CONTROLS, "\u{fffd}");
}
