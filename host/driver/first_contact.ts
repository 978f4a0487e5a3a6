/**
 * The first words with a card: what it is, where it finds the host's page, and whether its OS goes on with this host.
 *
 * @module
 */
import type { Requester } from "../../protocol/mod.ts";
import type { CardPatience } from "./card_patience.ts";
import type { CardReports } from "./card_reports.ts";
import { WaitTimeout } from "./condition.ts";
import { probe, type Probed } from "./probe.ts";

const ALL_SOURCES = 0xffff_ffff;

/** What was found. */
export interface Introduced {
  readonly probed: Probed;
  /** DOWNLOAD_INFO: is it ready, or is there an OS to adopt? */
  readonly downloadInfo: number;
}

/** Probes the card, lets it interrupt and tells it of the host page. @throws {ProtocolError} if it is none of ours */
export async function introduce(
  requester: Requester,
  hostPage: number,
  patience: CardPatience,
  signal: AbortSignal,
): Promise<Introduced> {
  return await patience.answered("answer the probe", signal, async (limited) => {
    const probed = await probe(requester, limited);
    const { registers } = probed;
    registers.write("interrupt_enable", ALL_SOURCES);
    // Here the card says why, if it cannot become ready.
    registers.write("host_page_low", hostPage % 2 ** 32);
    registers.write("host_page_high", Math.floor(hostPage / 2 ** 32));
    return { probed, downloadInfo: await registers.read("download_info", limited) };
  });
}

/** Resolves when the card has said that its OS goes on (then `adopted` holds), or has stopped; or when it says nothing. */
export async function adoption(
  reports: CardReports,
  patience: CardPatience,
  adopted: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  using deadline = patience.forReset(() => "Cannot adopt card OS: it says nothing");
  try {
    await reports.changed.until(
      () => adopted() || reports.page.cardState === "stopped" || undefined,
      { signal: AbortSignal.any([signal, deadline.signal]) },
    );
  } catch (error) {
    if (!(error instanceof WaitTimeout)) throw error;
  }
}
