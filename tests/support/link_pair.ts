/**
 * A card's and a host's link joined by memory transports, any number of them one after the other.
 *
 * @module
 */
import {
  dialLink,
  type Link,
  type LinkLimits,
  LinkServer,
  type LinkStatus,
  memoryTransportPair,
  type Transport,
} from "../../protocol/mod.ts";
import { RecordingCompleter } from "./link_completer.ts";

export interface LinkPair extends AsyncDisposable {
  readonly card: Link;
  readonly host: Link;
  readonly cardCompleter: RecordingCompleter;
  readonly hostCompleter: RecordingCompleter;
  readonly cardStatus: LinkStatus[];
  readonly hostStatus: LinkStatus[];
  readonly server: LinkServer;
}

export interface LinkPairOptions {
  readonly cardLimits?: Partial<LinkLimits>;
  readonly hostLimits?: Partial<LinkLimits>;
  /** Filters over both ends of the connection with this number, from 0. */
  readonly filter?: (
    connection: number,
    cardEnd: Transport,
    hostEnd: Transport,
  ) => [Transport, Transport];
  /** Bytes of memory at each end. */
  readonly memory?: number;
  /** What the host's program does with a fresh link, before anything is exchanged. */
  readonly onHost?: (host: Link) => void;
}

/** Resolves when the host has its link; the card's may not be up yet. */
export async function linkPair(options: LinkPairOptions = {}): Promise<LinkPair> {
  const cardCompleter = new RecordingCompleter(options.memory);
  const hostCompleter = new RecordingCompleter(options.memory);
  const cardStatus: LinkStatus[] = [];
  const hostStatus: LinkStatus[] = [];
  const made = Promise.withResolvers<Link>();
  const server = new LinkServer({
    epoch: 7n,
    identity: new Uint8Array(16).fill(0x40),
    limits: options.hostLimits ?? {},
    accept: () => ({ completer: hostCompleter, onStatus: (event) => hostStatus.push(event) }),
    onLink: (link) => {
      options.onHost?.(link);
      made.resolve(link);
    },
  });
  let connections = 0;
  const dial = () => {
    let [cardEnd, hostEnd] = memoryTransportPair();
    if (options.filter) [cardEnd, hostEnd] = options.filter(connections, cardEnd, hostEnd);
    connections++;
    void server.serve(hostEnd);
    return Promise.resolve(cardEnd);
  };
  const stop = new AbortController();
  const card = dialLink(dial, {
    role: "card",
    completer: cardCompleter,
    identity: new Uint8Array(16).fill(0xca),
    limits: options.cardLimits ?? {},
    onStatus: (event) => cardStatus.push(event),
  }, stop.signal);
  return {
    card,
    host: await made.promise,
    cardCompleter,
    hostCompleter,
    cardStatus,
    hostStatus,
    server,
    async [Symbol.asyncDispose]() {
      await card.close("shutdown");
      await server[Symbol.asyncDispose]();
    },
  };
}
