/**
 * Serves cards until the host is told to end, or until what it was started for is done.
 *
 * Two ways: one card of the command line, whose troubles are the host's and end it; or the cards of a configuration,
 * where a card that cannot be served is told of, and refuses card processes, while the others have theirs.
 *
 * @module
 */
import {
  BackendError,
  isLoopback,
  listenTcp,
  listenTls,
  ProtocolError,
  type Refusal,
  shortIdentity,
  type TcpListener,
} from "../../protocol/mod.ts";
import {
  CommandError,
  EXIT,
  hostAndPort,
  INSECURE,
  machineIdentity,
  requirePaired,
  trusts,
  usesTls,
  VERSION,
} from "../../scripts/cli/mod.ts";
import type { Card } from "../cards/card.ts";
import type { ControlledCardOptions } from "../cards/controlled_card.ts";
import { ControlledHost } from "../cards/controlled_host.ts";
import { pollConnections } from "../backends/link_socket.ts";
import type { HostConfig } from "../config/schema.ts";
import { RefusalLog } from "../control/refusals.ts";
import { lineOf } from "../control/report.ts";
import { shutDown } from "../control/shut_down.ts";
import { BootError } from "../driver/boot_error.ts";
import type { Host, HostEvent } from "../host.ts";
import { serveControl } from "./control.ts";
import { traceHost } from "../metrics/tracing.ts";
import { execute } from "./exec.ts";
import { Leaving } from "./leaving.ts";
import { lend, type Lent, policyOf } from "./lend.ts";
import { openHubs } from "./networks.ts";
import { Voice } from "./voice.ts";

/** A card OS that was asked to stop gets this long, ms; then the card is reset. */
const SHUTDOWN_TIMEOUT = 10_000;

export interface ServeOptions {
  readonly config: HostConfig;
  /** The cards are a configuration's: the host goes on whatever becomes of one. */
  readonly daemon: boolean;
  /** A command for the only card; the host ends with it. */
  readonly exec: string | undefined;
  readonly json: boolean;
}

/** Exit status. */
export async function serve(options: ServeOptions): Promise<number> {
  const { config, daemon, json } = options;
  const listen = hostAndPort("listen", config.listen, "127.0.0.1");
  const secure = usesTls(listen.hostname, config);
  if (secure) await requirePaired(`listen on ${listen.hostname}`, "card", config.identity);
  const voice = new Voice({ json, several: Object.keys(config.cards).length > 1 });
  // Before anybody is told that we are there, and may end us.
  const leaving = new Leaving();
  await using hubs = await openHubs(config.networks, (error) => {
    voice.say({ type: "backend", error }, error.message);
  });
  await using lent = new AsyncDisposableStack();
  const cards = new Map<string, Lent>();
  const offered: ControlledCardOptions[] = [];
  for (const name of Object.keys(config.cards)) {
    const say = voice.of(name);
    const open = async (): Promise<Lent> => {
      const one = await lend(config, name, hubs, { detach: () => leaving.leave(EXIT.ok), say });
      cards.set(name, lent.use(one));
      return one;
    };
    try {
      const one = await open();
      // A command of this command line has the channel to itself, and what becomes of it is decided here.
      offered.push(options.exec === undefined ? one.options : { ...one.options, exec: undefined });
    } catch (error) {
      if (!daemon || !isResource(error)) throw error;
      const again = async () => {
        const one = await open().catch(unavailable);
        announceConsoles(name, one);
        return one.options;
      };
      const fault = { text: error.message, lend: again };
      offered.push({ ...policyOf(name, config.cards[name]!), devices: [], fault });
      say({ type: "failed", error }, `${fault.text}; put it right, then "ctl boot ${name}"`);
    }
  }
  const refusals = new RefusalLog(voice.say);
  const identity = secure ? await machineIdentity(config.identity) : undefined;
  const onRefused = (refusal: Refusal) => refusals.note(refusal);
  const listener: TcpListener = identity
    ? listenTls(listen.hostname, listen.port, {
      identity,
      trusts: trusts("card", config.identity),
      onRefused,
    })
    : pollConnections(listenTcp(listen.hostname, listen.port));
  let ending = false;
  /** Of cards that cannot be heard any more. */
  const unheard = new Map<string, AbortController>();
  await using control = new ControlledHost({
    version: VERSION,
    listener,
    cards: offered,
    hubs,
    state: config.state,
    onEvent,
    ...(identity && { identity: shortIdentity(identity.fingerprint) }),
  });
  const { host } = control;
  using _traces = traceHost(control);
  announce(host.address);
  const { control: choice, insecure } = config;
  await using _api = await serveControl({ host: control, choice, insecure, voice });
  if (options.exec !== undefined) {
    const [only] = cards.values();
    const remind = (text: string) => voice.say({ type: "waiting", text }, text);
    void execute(only!.exec, options.exec, remind)
      .then((status) => leaving.end(status), (error) => leaving.fail(error));
  }
  const status = await leaving.asked;
  refusals.sumUp();
  ending = true;
  await Promise.all([...host.cards.values()].map(stop));
  return status;

  function announce({ hostname, port }: Host["address"]): void {
    voice.say(
      { type: "listening", hostname, port, secure },
      `listening on ${hostname}:${port}${secure ? ", encrypted, for paired cards" : ""}`,
    );
    if (!secure && !isLoopback(hostname)) voice.say({ type: "insecure", text: INSECURE }, INSECURE);
    for (const [card, lent] of cards) announceConsoles(card, lent);
  }

  function announceConsoles(card: string, { consoles }: Lent): void {
    for (const name of consoles) voice.of(card)({ type: "console", name }, `console on ${name}`);
  }

  async function stop(card: Card): Promise<void> {
    if (card.driver?.state !== "online" || !card.linkUp) return;
    const given = new AbortController();
    unheard.set(card.name, given);
    await shutDown(card.driver, {
      timeout: SHUTDOWN_TIMEOUT,
      signal: AbortSignal.any([leaving.hurry, given.signal]),
    });
  }

  function onEvent(event: HostEvent): void {
    if (event.type === "refused") {
      return refusals.note({ ...event, fingerprint: undefined }, event.reason);
    }
    if (!("card" in event)) return voice.say(event, lineOf(event));
    const { card } = event;
    voice.of(card)(event, lineOf(event));
    // Nobody waits for a card OS that cannot be heard: a host that ends, ends.
    if (event.type === "link" && event.status.type === "lost" && ending) {
      unheard.get(card)?.abort(new DOMException("The card cannot be heard", "AbortError"));
    }
    const terminal = config.cards[card]!.console.includes("stdio");
    if (terminal && isState(event, "online")) voice.raw = Deno.stdin.isTerminal();
    // A peer that is no card was sent away; the card may still come.
    const failed = event.type === "failed" && !(event.error instanceof ProtocolError);
    if (daemon) return;
    if (event.type === "stopped" || failed) {
      const error = new BackendError("Cannot run command: the card OS has stopped");
      cards.get(card)?.exec.fail(error);
    }
    if (failed) {
      leaving.fail(new CommandError(EXIT.boot, event.error.message, { cause: event.error }));
    }
    if (event.type === "stopped" && (terminal || options.exec !== undefined)) {
      leaving.end(event.reason === "crashed" ? EXIT.boot : EXIT.ok);
    }
    // The next boot knows nothing of the command.
    if (isRestart(event) && options.exec !== undefined) leaving.end(EXIT.ok);
  }
}

/** Something of this machine that one card was to have. */
function isResource(error: unknown): error is Error {
  return error instanceof BackendError || error instanceof BootError || error instanceof RangeError;
}

/** @throws {BackendError} with the sentence of `error`, if it is of a resource */
function unavailable(error: unknown): never {
  if (!isResource(error)) throw error;
  throw new BackendError(error.message, { cause: error });
}

function isState(event: HostEvent, state: string): boolean {
  return event.type === "card" && event.event.type === "state" && event.event.state === state;
}

/** The card OS wanted a restart, and the card is on its way to the next boot. */
function isRestart(event: HostEvent): boolean {
  if (event.type !== "card" || event.event.type !== "state") return false;
  return event.event.state === "resetting" && event.event.reason === "restart";
}
