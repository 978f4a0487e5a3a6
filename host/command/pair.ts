/**
 * `host --pair`: shows a code, and waits for the one card that gets it.
 *
 * @module
 */
import { listenTls, PairingOffer, ProtocolError, type Refusal } from "../../protocol/mod.ts";
import { CommandError, EXIT, machineIdentity, tell, trustPeer } from "../../scripts/cli/mod.ts";
import { pairOnce } from "../control/pair.ts";
import { RefusalLog } from "../control/refusals.ts";
import { jsonOf } from "../control/report.ts";

/** A pairing code is good for this long, ms. */
const PAIRING_TIMEOUT = 5 * 60_000;

export interface PairOptions {
  readonly hostname: string;
  readonly port: number;
  /** Folder of the host's identity; the user's own when left out. */
  readonly folder: string | undefined;
  readonly json: boolean;
}

/** Exit status. */
export async function pair({ hostname, port, folder, json }: PairOptions): Promise<number> {
  const identity = await machineIdentity(folder);
  const offer = new PairingOffer(identity.fingerprint, PAIRING_TIMEOUT);
  const say = (event: object, line: string) => tell(json ? jsonOf(event) : `host: ${line}`);
  const refusals = new RefusalLog(say);
  const onRefused = (refusal: Refusal) => refusals.note(refusal);
  await using listener = listenTls(hostname, port, { identity, trusts: () => true, onRefused });
  const { code } = offer;
  // Nobody connects to "all addresses".
  const where = /^[0.:]+$/.test(listener.hostname) ? "HOST" : listener.hostname;
  const address = `${where.includes(":") ? `[${where}]` : where}:${listener.port}`;
  say(
    { type: "pairing", hostname: listener.hostname, port: listener.port, code },
    `to pair, within ${PAIRING_TIMEOUT / 60_000} minutes on the card: ` +
      `deno task card --connect ${address} --pair ${code}`,
  );
  try {
    const { peer, fingerprint } = await pairOnce({
      listener,
      offer,
      timeout: PAIRING_TIMEOUT,
      store: ({ peer, fingerprint }) =>
        trustPeer({ role: "card", name: peer, fingerprint }, folder),
      onPassed: (card, error) => onRefused({ ...card, text: error.message }),
    });
    say({ type: "paired", peer, fingerprint }, `paired with the card at ${peer}, ${fingerprint}`);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new CommandError(EXIT.refused, `${error.message}; start again for a new code`, {
      cause: error,
    });
  } finally {
    refusals.sumUp();
  }
}
