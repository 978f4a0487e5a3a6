/**
 * A card: endpoint, bootstrap and link joined, from power on until it is told to stop.
 *
 * The card outlives its links. A lost connection is the link's own affair: it dials again and resumes, and nothing here
 * hears of it. A link that ended for good means that the host which set the card up is gone; the card then dials for a
 * new session. A card OS that is online runs on and waits for the next host to adopt it; else the card gives itself a
 * hot reset, so that the next host finds it as after power on.
 *
 * @module
 */
import {
  dialLink,
  type LinkStatus,
  pause,
  ProtocolError,
  type Transport,
} from "../protocol/mod.ts";
import { Bootstrap, type BootstrapEvent } from "./endpoint/bootstrap.ts";
import { BusMaster } from "./endpoint/bus_master.ts";
import { Endpoint } from "./endpoint/endpoint.ts";
import { type CardIdentity, DEFAULT_IDENTITY } from "./endpoint/function.ts";
import type { MachineFactory } from "./machine/types.ts";

/** What happens on a card, for people and for tests. */
export type CardEvent = { readonly type: "link"; readonly status: LinkStatus } | BootstrapEvent;

export interface CardOptions {
  /** Connects to the host, once; the link calls it again as often as it must. */
  dial(signal: AbortSignal): Promise<Transport>;
  readonly machine: MachineFactory;
  /** Bytes of card memory, a multiple of 1 MiB up to 2 GiB. */
  readonly memoryBytes: number;
  /** 16 bytes by which hosts know this card again. */
  readonly identity: Uint8Array;
  /** PCI device and stepping; a 225c of stepping B1 if not given. */
  readonly model?: CardIdentity;
  /** Called synchronously; must not throw. */
  onEvent?(event: CardEvent): void;
}

/** Time before the card asks a host again that sent it away, ms. */
const REDIAL_DELAY = 1000;

/** The goodbye that ended a link. */
type Goodbye = Extract<LinkStatus, { readonly type: "goodbye" }>;

/**
 * Runs a card until `signal` is aborted, then says goodbye and disposes the machine.
 * @throws {ProtocolError} `version`: the host speaks a wire version that this card does not; `identity`: the host does not
 * trust this card
 */
export async function runCard(
  options: CardOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const { signal } = options;
  const requester = new BusMaster();
  const endpoint = new Endpoint({
    memoryBytes: options.memoryBytes,
    identity: options.model ?? DEFAULT_IDENTITY,
    requester,
  });
  await using bootstrap = new Bootstrap({
    endpoint,
    requester,
    machine: options.machine,
    memoryBytes: options.memoryBytes,
    onEvent: (event) => options.onEvent?.(event),
  });
  let goodbye: Goodbye | undefined;
  let parked = false;
  const onStatus = (status: LinkStatus): void => {
    if (status.type === "goodbye") goodbye = status;
    options.onEvent?.({ type: "link", status });
  };
  const link = { role: "card", completer: endpoint, identity: options.identity, onStatus } as const;
  for (let session = 1; !signal.aborted; session++) {
    goodbye = undefined;
    const current = dialLink((stop) => options.dial(stop), link, signal);
    requester.setRequester(current);
    // Not awaited: the host sees by registers and POST codes how far the card is.
    if (session === 1) void bootstrap.powerOn();
    else if (!parked) void bootstrap.hotReset();
    await current.closed;
    parked = !signal.aborted && bootstrap.park();
    await mayDialAgain(goodbye, current.wasUp, signal);
  }
}

/** Waits as long as a host that ended the session wants to be left alone. @throws {ProtocolError} if for ever */
async function mayDialAgain(
  goodbye: Goodbye | undefined,
  wasUp: boolean,
  signal: AbortSignal,
): Promise<void> {
  if (goodbye?.reason === "version" || goodbye?.reason === "identity") {
    throw new ProtocolError(goodbye.reason, goodbye.text, { cause: goodbye.error });
  }
  // A host that does not know a session that was has restarted, and waits for a new one.
  if (!(wasUp && goodbye?.reason === "session")) await pause(REDIAL_DELAY, signal);
}
