/**
 * The scripted session over real connections through a proxy that cuts them.
 *
 * @module
 */
import {
  dialLink,
  dialTcp,
  dialTls,
  type Link,
  type LinkLimits,
  LinkServer,
  listenTcp,
  listenTls,
  shortIdentity,
  type TcpListener,
} from "../../protocol/mod.ts";
import { FrameWalker, type Place } from "./frame_walker.ts";
import { RecordingCompleter } from "./link_completer.ts";
import {
  BASE,
  type EndState,
  endState,
  lastWords,
  playSide,
  SCRIPT_MEMORY,
} from "./link_script.ts";
import { type Cut, type Direction, Proxy } from "./proxy.ts";
import { CARD, HOST, trusting } from "./tls_rig.ts";

export interface CutPlan {
  readonly direction: Direction;
  /** Bytes in `direction` before it, counted from the cut before. */
  readonly at: number;
  readonly how: Cut;
}

export interface CutOptions {
  readonly tls?: boolean;
  /** Who says goodbye at the end; the card if not given. */
  readonly closer?: "card" | "host";
}

/** What must be the same wherever the session was cut. */
export interface Outcome {
  readonly answers: { readonly card: readonly string[]; readonly host: readonly string[] };
  readonly card: EndState;
  readonly host: EndState;
}

export interface CutRun {
  readonly outcome: Outcome;
  /** Where the first cut fell; undefined if it was not reached, or under TLS. */
  readonly place: Place | undefined;
  /** Cuts that were reached. */
  readonly cuts: number;
  /** Bytes forwarded, over all connections. */
  readonly bytes: Readonly<Record<Direction, number>>;
  /** Of a run that was not cut: types of the frames that passed, and where they began. */
  readonly frames: Readonly<Record<Direction, readonly { type: number; at: number }[]>>;
  readonly reconnects: number;
}

/** Windows so small that the script has to wait for credit; a heartbeat so quick that it has some. */
const LIMITS: Partial<LinkLimits> = {
  maxPayload: 4096,
  postedBytes: 16_384,
  postedFrames: 4,
  nonPosted: 3,
  heartbeat: 100,
  silence: 300,
};
const ROUNDS = 2;
/** A session that takes so long hangs, ms. */
const HANG = 60_000;

/** Plays one session. @throws {Error} naming the cuts, if it fails or hangs */
export async function runCut(
  cuts: readonly CutPlan[],
  { tls = false, closer = "card" }: CutOptions = {},
): Promise<CutRun> {
  const begun = new AbortController();
  const hang = setTimeout(() => begun.abort(), HANG);
  try {
    return await play(cuts, tls, closer, begun.signal);
  } catch (cause) {
    const why = begun.signal.aborted ? "it hangs" : (cause as Error).message;
    throw new Error(`Cannot play session with cuts ${JSON.stringify(cuts)}: ${why}`, { cause });
  } finally {
    clearTimeout(hang);
  }
}

async function play(
  cuts: readonly CutPlan[],
  tls: boolean,
  closer: "card" | "host",
  hung: AbortSignal,
): Promise<CutRun> {
  await using owned = new AsyncDisposableStack();
  const host = owned.use(new HostEnd(tls));
  const walkers = { cardToHost: new FrameWalker(), hostToCard: new FrameWalker() };
  const frames = { cardToHost: [], hostToCard: [] } as Record<Direction, FrameStart[]>;
  for (const direction of ["cardToHost", "hostToCard"] as const) {
    walkers[direction] = new FrameWalker((type, whole) => {
      if (!whole) frames[direction].push({ type, at: proxy.forwarded[direction] });
    });
  }
  const proxy = owned.use(
    await Proxy.start(host.port, {
      onBytes: (direction, bytes) => {
        if (!tls && reached === 0) walkers[direction].push(bytes);
      },
    }),
  );
  let reached = 0;
  let place: Place | undefined;
  void (async () => {
    for (const { direction, at, how } of cuts) {
      await proxy.cutAfter(direction, at, how);
      place ??= tls ? undefined : walkers[direction].place;
      reached++;
    }
  })();
  const completer = new RecordingCompleter(SCRIPT_MEMORY);
  const { port } = proxy;
  const card = owned.use(dialLink(
    (signal) =>
      tls
        ? dialTls("127.0.0.1", port, { identity: CARD, trusts: trusting(HOST) }, signal)
        : dialTcp("127.0.0.1", port, signal),
    {
      role: "card",
      completer,
      identity: shortIdentity(CARD.fingerprint),
      limits: LIMITS,
    },
    hung,
  ));
  const answers = {
    card: await playSide(card, BASE.card, { rounds: ROUNDS, interval: () => pinged(card) }),
    host: await host.session.answers,
  };
  const { link, completer: hostCompleter } = host.session;
  await lastWords([{ link: card, completer }, { link, completer: hostCompleter }]);
  const outcome = { answers, card: endState(card, completer), host: endState(link, hostCompleter) };
  await (closer === "card" ? card : link).close("shutdown");
  await (closer === "card" ? link : card).close("shutdown");
  return {
    outcome,
    place,
    cuts: reached,
    bytes: proxy.forwarded,
    frames,
    reconnects: card.counters.reconnects,
  };
}

interface FrameStart {
  readonly type: number;
  readonly at: number;
}

interface HostSession {
  readonly link: Link;
  readonly completer: RecordingCompleter;
  readonly answers: Promise<readonly string[]>;
}

/** Listens, and plays its part in the session that the card has begun last. */
class HostEnd implements AsyncDisposable {
  session!: HostSession;
  readonly #listener: TcpListener;
  readonly #server: LinkServer;
  readonly #accepting: Promise<void>;

  constructor(tls: boolean) {
    this.#listener = tls
      ? listenTls("127.0.0.1", 0, { identity: HOST, trusts: trusting(CARD) })
      : listenTcp("127.0.0.1", 0);
    let completer: RecordingCompleter;
    this.#server = new LinkServer({
      epoch: 7n,
      identity: shortIdentity(HOST.fingerprint),
      limits: LIMITS,
      accept: () => ({ completer: completer = new RecordingCompleter(SCRIPT_MEMORY) }),
      onLink: (link) => {
        // The card has never heard of the one before.
        void (this.session as HostSession | undefined)?.link.close("busy");
        const answers = playSide(link, BASE.host, { rounds: ROUNDS, interval: () => pinged(link) });
        answers.catch(() => {});
        this.session = { link, completer, answers };
      },
    });
    this.#accepting = this.#acceptAll();
  }

  get port(): number {
    return this.#listener.port;
  }

  async #acceptAll(): Promise<void> {
    for (;;) {
      const transport = await this.#listener.accept();
      if (transport === undefined) return;
      void this.#server.serve(transport);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#server[Symbol.asyncDispose]();
    await this.#accepting;
  }
}

/** A heartbeat has gone there and back. Nobody tells of it; it is looked for turn by turn. */
async function pinged(link: Link): Promise<void> {
  while (link.counters.roundTrip === 0 && !link.signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
