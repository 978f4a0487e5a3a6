/**
 * `deno task host`: lends a card its disk, network and console, and boots it.
 *
 * @module
 */
import {
  BackendError,
  EventLimit,
  isLoopback,
  LinkError,
  listenTcp,
  listenTls,
  PairingOffer,
  ProtocolError,
  type Refusal,
  shortIdentity,
} from "../protocol/mod.ts";
import {
  cachedCardImage,
  CommandError,
  EXIT,
  hostAndPort,
  INSECURE,
  machineIdentity,
  type OptionValues,
  parseOptions,
  requirePaired,
  runMain,
  SECURITY_OPTIONS,
  tell,
  trustPeer,
  trusts,
  usesTls,
  wholeNumber,
} from "../scripts/cli/mod.ts";
import { CONSOLE_CHOICES } from "./backends/open_console.ts";
import { DISK_CHOICES } from "./backends/open_disk.ts";
import { NET_CHOICES } from "./backends/open_net.ts";
import { ADDRESS_FORM, parseAddress } from "./control/addresses.ts";
import type { ExecWriter } from "./control/exec.ts";
import { diagImages, linuxImages } from "./control/images.ts";
import { type OpenDevices, openDevices } from "./control/open_devices.ts";
import { pairOnce } from "./control/pair.ts";
import { RefusalLog } from "./control/refusals.ts";
import { jsonOf, lineOf, suppressedLine } from "./control/report.ts";
import { shutDown } from "./control/shut_down.ts";
import { BootError } from "./driver/boot_error.ts";
import type { BootImages } from "./driver/boot_image.ts";
import { Host, type HostEvent } from "./host.ts";

const COMMAND = {
  name: "deno task host",
  about: "lends a card its disk, network and console, and boots it.\n\n" +
    "Serves one card after the other. Ends when the card OS stops if the console is this terminal or a command\n" +
    "was given; else it stays for the next card.",
  options: {
    listen: { kind: "text", value: "ADDR:PORT", help: "Where the card connects (127.0.0.1:4310)." },
    pair: { kind: "flag", help: "Print a one-time code, wait for the card that gets it, and end." },
    ...SECURITY_OPTIONS,
    disk: {
      kind: "list",
      value: "CHOICE",
      help:
        `Disk: ${DISK_CHOICES}.\nOf mem: nothing is left when the host ends. As often as there are disks.`,
    },
    net: { kind: "text", value: "CHOICE", help: `Network: ${NET_CHOICES} (none).` },
    address: { kind: "text", value: "ADDRESS", help: `The card's: ${ADDRESS_FORM}.` },
    console: {
      kind: "list",
      value: "CHOICE",
      help: `Console: ${CONSOLE_CHOICES}.\nThis terminal if there is one; several share it.`,
    },
    "card-loss-timeout": {
      kind: "text",
      value: "SECONDS",
      help:
        "Give a card up whose connection is gone for so long, so that another may\ncome (never).",
    },
    os: { kind: "text", value: "linux|diag", help: "What to boot (linux)." },
    kernel: {
      kind: "text",
      value: "FILE",
      help: "ELF or bzImage instead of the card image's kernel.",
    },
    initrd: { kind: "text", value: "FILE", help: "Initial file system for it." },
    cmdline: { kind: "text", value: "TEXT", help: "Kernel command line, whole." },
    name: { kind: "text", value: "NAME", help: "The card's name (mic0)." },
    exec: {
      kind: "text",
      value: "COMMAND",
      help:
        "Run COMMAND in the card OS, shut the card down, and end with the\ncommand's exit status. A command of a host that was killed goes on in\nthe card OS, unheard; COMMAND waits for its end.",
    },
    json: { kind: "flag", help: "Events as JSON lines on stderr." },
  },
  examples: [
    "deno task host --listen 192.168.10.1:4310 --pair",
    "deno task host --listen 192.168.10.1:4310 --disk root.img --net tap:mic0 --console pty",
  ],
} as const;
type Options = OptionValues<typeof COMMAND["options"]>;

/** A pairing code is good for this long, ms. */
const PAIRING_TIMEOUT = 5 * 60_000;
/** A card OS that was asked to stop gets this long, ms; then the card is reset. */
const SHUTDOWN_TIMEOUT = 10_000;
/** A terminal and whoever started us may both pass one Ctrl-C on: what comes within this time is one, ms. */
const ONE_SIGNAL = 500;
/** Errors of backends that are told in one second: a card OS repeats a request that fails as fast as it can. */
const REPORTS_A_SECOND = 20;
/** A card that takes no command after this time may never do so, ms. */
const EXEC_PATIENCE = 30_000;
/** What is said then. */
const WAITS_FOR = {
  "card": "the card OS takes no commands yet: it has not opened its exec port",
  "earlier-command": "the card OS still works on a command that an earlier host gave it",
} as const;

await runMain("host", async () => {
  const options = parseOptions(COMMAND, Deno.args);
  return options ? await refusable(() => run(options)) : EXIT.ok;
});

/** Gives the errors of what was asked for their exit statuses. */
async function refusable(work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    const status = error instanceof RangeError
      ? EXIT.usage
      : error instanceof BackendError || error instanceof LinkError
      ? EXIT.resource
      : error instanceof BootError
      ? EXIT.boot
      : undefined;
    if (status === undefined) throw error;
    throw new CommandError(status, (error as Error).message, { cause: error });
  }
}

async function run(options: Options): Promise<number> {
  const listen = hostAndPort("listen", options.listen ?? "4310", "127.0.0.1");
  if (options.pair) return await pair(listen, options.json);
  const secure = usesTls(listen.hostname, options);
  if (secure) await requirePaired(`listen on ${listen.hostname}`, "card");
  const terminal = Deno.stdin.isTerminal() && options.exec === undefined;
  const consoles = options.console.length > 0 ? options.console : [terminal ? "stdio" : "none"];
  const interactive = consoles.includes("stdio");
  const say = (event: object, line: string | undefined) => {
    if (options.json) tell(jsonOf(event));
    else if (line !== undefined) tell(`host: ${line}${raw ? "\r" : ""}`);
  };
  let raw = false;
  const end = Promise.withResolvers<number>();
  const hurry = new AbortController();
  let left = -Infinity;
  let leaving = false;
  /** Once: in good order. Again: without waiting for the card OS. A third time: at once. */
  const leave = (status: number) => {
    const again = left !== -Infinity;
    if (performance.now() - left < ONE_SIGNAL) return;
    left = performance.now();
    if (hurry.signal.aborted) Deno.exit(status);
    if (again) hurry.abort(new DOMException("The card is left as it is", "AbortError"));
    end.resolve(status);
  };
  // Before anybody is told that we are there, and may end us.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => leave(EXIT.interrupted));
  }

  using reports = new EventLimit(REPORTS_A_SECOND, (what, count) => {
    const event = { type: "suppressed", what, count };
    say(event, suppressedLine(event));
  });
  await using opened = await openDevices({
    disks: options.disk,
    net: options.net ?? "none",
    consoles,
    address: options.address === undefined ? undefined : parseAddress(options.address),
    name: cardName(options.name),
    configureTap: Deno.uid() === 0,
    insecure: options.insecure,
  }, {
    detach: () => leave(EXIT.ok),
    report: (error) => {
      if (!reports.admits("backend errors")) return;
      say({ type: "backend", error }, String((error as Error).message ?? error));
    },
  });
  const images = await chooseImages(options, opened);
  const refusals = new RefusalLog(say);
  const onRefused = (refusal: Refusal) => refusals.note(refusal);
  const identity = secure ? await machineIdentity() : undefined;
  const listener = identity
    ? listenTls(listen.hostname, listen.port, { identity, trusts: trusts("card"), onRefused })
    : listenTcp(listen.hostname, listen.port);
  await using host = new Host({
    listener,
    cards: [{
      name: cardName(options.name),
      devices: opened.devices,
      images,
      lossTimeout: cardLossTimeout(options["card-loss-timeout"]),
    }],
    onEvent,
    ...(identity && { identity: shortIdentity(identity.fingerprint) }),
  });
  const { hostname, port } = host.address;
  say(
    { type: "listening", hostname, port, secure },
    `listening on ${hostname}:${port}${secure ? ", encrypted, for paired cards" : ""}`,
  );
  if (!secure && !isLoopback(hostname)) say({ type: "insecure", text: INSECURE }, INSECURE);
  for (const name of opened.consoles) say({ type: "console", name }, `console on ${name}`);
  if (options.exec !== undefined) {
    void exec(opened, options.exec, (text) => say({ type: "waiting", text }, text))
      .then(end.resolve, end.reject);
  }
  const status = await end.promise;
  refusals.sumUp();
  leaving = true;
  const [card] = host.cards.values();
  if (card?.driver?.state === "online" && card.linkUp) {
    await shutDown(card.driver, { timeout: SHUTDOWN_TIMEOUT, signal: hurry.signal });
  }
  return status;

  function onEvent(event: HostEvent): void {
    if (event.type === "refused") {
      return refusals.note({ ...event, fingerprint: undefined }, event.reason);
    }
    say(event, lineOf(event));
    // Nobody waits for a card OS that cannot be heard: a host that ends, ends.
    if (event.type === "link" && event.status.type === "lost" && leaving) hurry.abort();
    if (event.type === "card" && event.event.type === "state" && event.event.state === "online") {
      raw = interactive && Deno.stdin.isTerminal();
    }
    // A peer that is no card was sent away; the card may still come.
    const failed = event.type === "failed" && !(event.error instanceof ProtocolError);
    if (failed) {
      end.reject(new CommandError(EXIT.boot, event.error.message, { cause: event.error }));
    }
    if (event.type === "stopped" || failed) {
      opened.exec.fail(new BackendError("Cannot run command: the card OS has stopped"));
    }
    if (event.type === "stopped" && (interactive || options.exec !== undefined)) {
      end.resolve(event.reason === "crashed" ? EXIT.boot : EXIT.ok);
    }
    // The next boot knows nothing of the command.
    if (isRestart(event) && options.exec !== undefined) end.resolve(EXIT.ok);
  }
}

/** Waits for the one card that gets the code. */
async function pair(
  { hostname, port }: { readonly hostname: string; readonly port: number },
  json: boolean,
): Promise<number> {
  const identity = await machineIdentity();
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
      store: ({ peer, fingerprint }) => trustPeer({ role: "card", name: peer, fingerprint }),
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

/** ms. @throws {CommandError} */
function cardLossTimeout(seconds: string | undefined): number | undefined {
  if (seconds === undefined) return undefined;
  // A timer has 31 bits of ms.
  const range = { min: 1, max: 2_000_000, default: 0 };
  return wholeNumber("card-loss-timeout", seconds, range) * 1000;
}

/** The card OS wanted a restart, and the card is on its way to the next boot. */
function isRestart(event: HostEvent): boolean {
  if (event.type !== "card" || event.event.type !== "state") return false;
  return event.event.state === "resetting" && event.event.reason === "restart";
}

function cardName(name: string | undefined): string {
  if (name === undefined) return "mic0";
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(name)) return name;
  throw new CommandError(
    EXIT.usage,
    `Cannot name a card "${name}": wanted lower-case letters, digits and dashes, at most 32`,
  );
}

async function chooseImages(options: Options, { address }: OpenDevices): Promise<BootImages> {
  const { kernel, initrd, cmdline } = options;
  const choices = { kernel, initrd, cmdline, name: cardName(options.name), address };
  switch (options.os ?? "linux") {
    case "diag":
      return diagImages(choices);
    case "linux": {
      const image = kernel === undefined ? await cachedCardImage() : undefined;
      return await linuxImages(
        choices,
        image && {
          kernel: `${image.folder}/vmlinux`,
          initrd: `${image.folder}/initrd.img`,
          cmdline: image.manifest.cmdline,
        },
      );
    }
    default:
      throw new CommandError(EXIT.usage, `Cannot use --os ${options.os}: wanted linux or diag`);
  }
}

async function exec(
  { exec }: OpenDevices,
  command: string,
  remind: (text: string) => void,
): Promise<number> {
  const reminder = setTimeout(() => {
    if (exec.waitsFor !== undefined) remind(WAITS_FOR[exec.waitsFor]);
  }, EXEC_PATIENCE);
  try {
    return await exec.run(command, {
      stdout: writer(Deno.stdout, "stdout"),
      stderr: writer(Deno.stderr, "stderr"),
    });
  } finally {
    clearTimeout(reminder);
  }
}

/** Whoever reads our output may leave before its end (`| head`): then the command is given up. */
function writer(stream: typeof Deno.stdout, name: string): ExecWriter {
  return async (bytes) => {
    try {
      for (let at = 0; at < bytes.length;) at += await stream.write(bytes.subarray(at));
    } catch (cause) {
      const reason = cause instanceof Deno.errors.BrokenPipe ? "nobody reads it" : `${cause}`;
      throw new BackendError(`Cannot write the command's output to ${name}: ${reason}`, { cause });
    }
  };
}
