/**
 * `deno task card`: runs a card on this machine and connects it to its host.
 *
 * @module
 */
import {
  dialTcp,
  dialTls,
  isLoopback,
  LinkError,
  pairAsCard,
  postText,
  ProtocolError,
  shortIdentity,
} from "../protocol/mod.ts";
import {
  CommandError,
  EXIT,
  hostAndPort,
  INSECURE,
  machineIdentity,
  parseOptions,
  plainIdentity,
  requirePaired,
  runMain,
  SECURITY_OPTIONS,
  tell,
  trustPeer,
  trusts,
  usesTls,
  wholeNumber,
} from "../scripts/cli/mod.ts";
import { type CardEvent, runCard } from "./card.ts";
import { machineFactory, type MachineName, MACHINES } from "./machine/factory.ts";

const COMMAND = {
  name: "deno task card",
  about: "runs an emulated coprocessor card and connects it to its host.\n\n" +
    "The card keeps trying until the host is there, boots what the host downloads to it, and comes back by\n" +
    "itself when the connection does.",
  options: {
    connect: { kind: "text", value: "HOST:PORT", help: "Where the host listens." },
    pair: {
      kind: "text",
      value: "CODE",
      help: "Pair with the host that printed CODE (host --pair), and end.",
    },
    ...SECURITY_OPTIONS,
    machine: { kind: "text", value: MACHINES.join("|"), help: "What runs the card's OS (v86)." },
    memory: { kind: "text", value: "MIB", help: "Card memory, 64 to 2047 (128)." },
    json: { kind: "flag", help: "Events as JSON lines on stderr." },
  },
  examples: ["deno task card --connect 192.168.10.1:4310"],
} as const;

/** One line for people, or nothing for what they need not know. */
function lineOf(event: CardEvent): string | undefined {
  switch (event.type) {
    case "link":
      switch (event.status.type) {
        case "retrying":
          return event.status.attempt === 1
            ? `${event.status.error.message}; trying again until it answers`
            : undefined;
        case "up":
          return `${event.status.resumed ? "back at" : "connected to"} ${event.status.peer}`;
        case "lost":
          return `connection lost (${event.status.error.message}); the card OS waits`;
        case "goodbye":
          return event.status.direction === "received"
            ? `the host said goodbye: ${event.status.reason}${
              event.status.text && `, ${event.status.text}`
            }`
            : `told the host goodbye: ${event.status.reason}, ${event.status.text}`;
        default:
          return undefined;
      }
    case "post_code":
      return `POST ${postText(event.code).replaceAll(/[^ -~]/g, ".")}`;
    case "suppressed":
      return `and ${event.count} more ${event.what}`;
    case "machine_started":
      return `the card OS runs on ${event.platform}`;
    case "machine_stopped":
      return `the card OS stopped: ${event.reason}${event.detail && ` (${event.detail})`}`;
    case "refused":
      return `boot refused, POST ${event.postCode}: ${event.text}`;
    case "parked":
      return "the host is gone; the card OS runs on, and waits for the next";
    case "adopted":
      return "a host has taken over the card OS as it runs";
    case "device_broken":
      return `the device in slot ${event.slot} needs a reset: ${event.text}`;
    case "dispose_failed":
      return `a machine did not end in good order: ${event.error}`;
    default:
      return undefined;
  }
}

/** Errors as text, so that JSON shows them. */
function json(event: CardEvent): string {
  return JSON.stringify(event, (_key, value) => value instanceof Error ? value.message : value);
}

/** Learns the host's fingerprint, and gives it this card's. */
async function pair(hostname: string, port: number, code: string): Promise<number> {
  const identity = await machineIdentity();
  const never = new AbortController().signal;
  try {
    const transport = await dialTls(hostname, port, { identity, trusts: () => true }, never);
    await pairAsCard(transport, identity.fingerprint, code);
    const { peer, fingerprint } = transport;
    await trustPeer({ role: "host", name: peer, fingerprint });
    tell(`card: paired with the host at ${peer}, ${fingerprint}`);
    return EXIT.ok;
  } catch (error) {
    if (error instanceof RangeError) throw new CommandError(EXIT.usage, error.message);
    if (error instanceof ProtocolError) throw new CommandError(EXIT.refused, error.message);
    if (error instanceof LinkError) throw new CommandError(EXIT.resource, error.message);
    throw error;
  }
}

/** What hosts know this card by where nothing is proved; a card that can keep none is a new one with each process. */
async function unprovenIdentity(): Promise<Uint8Array> {
  try {
    return await plainIdentity(await machineIdentity());
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    tell(
      `card: ${error.message}; if this process is killed, its host will not know the next one for the same card`,
    );
    return crypto.getRandomValues(new Uint8Array(16));
  }
}

await runMain("card", async () => {
  const options = parseOptions(COMMAND, Deno.args);
  if (!options) return EXIT.ok;
  if (options.connect === undefined) {
    throw new CommandError(EXIT.usage, "Cannot run a card without --connect HOST:PORT");
  }
  const { hostname, port } = hostAndPort("connect", options.connect, "127.0.0.1");
  if (options.pair !== undefined) return await pair(hostname, port, options.pair);
  const machine = options.machine ?? "v86";
  if (!(MACHINES as readonly string[]).includes(machine)) {
    throw new CommandError(
      EXIT.usage,
      `Cannot use --machine ${machine}: wanted ${MACHINES.join(" or ")}`,
    );
  }
  const memory = wholeNumber("memory", options.memory, { min: 64, max: 2047, default: 128 });

  const secure = usesTls(hostname, options);
  if (secure) await requirePaired(`connect to ${hostname}`, "host");
  const identity = secure ? await machineIdentity() : undefined;
  if (!secure && !isLoopback(hostname)) {
    tell(options.json ? JSON.stringify({ type: "insecure", text: INSECURE }) : `card: ${INSECURE}`);
  }

  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  try {
    await runCard({
      dial: (signal) =>
        identity
          ? dialTls(hostname, port, { identity, trusts: trusts("host") }, signal)
          : dialTcp(hostname, port, signal),
      machine: await machineFactory(machine as MachineName),
      memoryBytes: memory * 1024 * 1024,
      identity: identity ? shortIdentity(identity.fingerprint) : await unprovenIdentity(),
      signal: stop.signal,
      onEvent(event) {
        const line = options.json ? json(event) : lineOf(event);
        if (line !== undefined) tell(options.json ? line : `card: ${line}`);
      },
    });
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof LinkError) {
      throw new CommandError(EXIT.refused, error.message, { cause: error });
    }
    throw error;
  }
  return EXIT.ok;
});
