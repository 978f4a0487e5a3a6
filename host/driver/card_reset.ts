/**
 * The reset of a card: from the write to its register until it waits for a download again.
 *
 * @module
 */
import { DOWNLOAD_INFO } from "../../protocol/mod.ts";
import { BootError } from "./boot_error.ts";
import type { CardPatience } from "./card_patience.ts";
import type { CardRegisters } from "./card_registers.ts";
import type { CardReports } from "./card_reports.ts";
import { WaitTimeout } from "./condition.ts";

export interface CardResetOptions {
  readonly registers: CardRegisters;
  readonly reports: CardReports;
  readonly patience: CardPatience;
  readonly signal: AbortSignal;
}

/** @throws {BootError} if the card refuses, or is not ready in time */
export async function resetCard(
  { registers, reports, patience, signal }: CardResetOptions,
): Promise<void> {
  using deadline = patience.forReset(() =>
    `not ready after ${
      patience.resetTimeout / 1000
    } s, last POST code ${reports.postCodes.lastText}`
  );
  const limited = AbortSignal.any([signal, deadline.signal]);
  registers.write("reset", 1);
  try {
    while (true) {
      const { heard } = reports;
      if (await registers.read("download_info", limited) & DOWNLOAD_INFO.ready) return;
      // The read came after all that the card had posted before the reset: a refusal is of now.
      if (reports.page.cardState === "refused") throw reports.refusal("reset");
      await reports.changed.until(() => reports.heard !== heard || undefined, { signal: limited });
    }
  } catch (error) {
    if (!(error instanceof WaitTimeout)) throw error;
    throw new BootError(`Cannot reset card: ${error.message}`, { cause: error });
  }
}
