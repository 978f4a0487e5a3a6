/**
 * What may be in `knightsbridge.jsonc`: names, forms, defaults, and what they mean. The JSON schema that editors read is
 * made of it.
 *
 * Texts have the forms of the command line, and are checked by the parsers of those. Nothing here is a secret, and no
 * key exists for one: keys and certificates are named by the folder they are in.
 *
 * @module
 */
import { z } from "zod";
import { CONSOLE_CHOICES, parseConsole } from "../backends/open_console.ts";
import { DISK_CHOICES, parseDisk } from "../backends/open_disk.ts";
import { HUB_NAME, NET_CHOICES, parseNet } from "../backends/open_net.ts";
import { RESTART_POLICIES } from "../cards/restart.ts";
import { ADDRESS_FORM, parseAddress } from "../control/addresses.ts";
import { IDENTITY, parseDuration, parseNetwork } from "./values.ts";

/** Slots of a card are 31; one is for its network and one for its console. */
const DISKS_MAX = 29;

/** A text that `parse` takes; what it throws is the sentence that the reader gets. */
function text(parse: (text: string) => unknown): z.ZodString {
  return z.string().check((context) => {
    try {
      parse(context.value);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      context.issues.push({ code: "custom", message: error.message, input: context.value });
    }
  });
}

const oneLine = (text: string): string => text.replaceAll("\n", " ");

const CARD = z.strictObject({
  identity: z.string().regex(IDENTITY, "wanted 32 or 64 hexadecimal digits").optional().describe(
    "The only machine that may be this card: the fingerprint that `deno task keygen` shows on it. " +
      "Without it the card is for whoever comes first.",
  ),
  os: z.enum(["linux", "diag"]).default("linux").describe("What it boots."),
  kernel: z.string().min(1).optional().describe(
    "ELF or bzImage instead of the card image's kernel.",
  ),
  initrd: z.string().min(1).optional().describe("Initial file system for that kernel."),
  cmdline: z.string().optional().describe("Kernel command line, whole."),
  disks: z.array(text(parseDisk)).max(DISKS_MAX).default([]).describe(
    `Each ${oneLine(DISK_CHOICES)}; vda, vdb, … in this order.`,
  ),
  net: text(parseNet).default("none").describe(`${NET_CHOICES}.`),
  address: text(parseAddress).optional().describe(
    `The card's: ${ADDRESS_FORM}. By default card N has 172.31.N+1.1 behind a TAP, and 172.31.0.N+1 on a hub.`,
  ),
  console: z.array(text(parseConsole)).min(1).default(["none"]).describe(
    `Each ${CONSOLE_CHOICES}; several share it.`,
  ),
  autoboot: z.boolean().default(true).describe("Boot it when its process comes."),
  restart: z.enum(RESTART_POLICIES).default("never").describe(
    "Boot it again when its OS stops without having been asked to.",
  ),
  lossTimeout: text(parseDuration).optional().describe(
    "Give its process up when the connection is gone for so long, as in 30s; never by default.",
  ),
});

const NETWORK = z.strictObject({
  uplink: text((text) => {
    if (parseNet(text).kind === "tap") return;
    throw new RangeError(`Cannot use uplink "${text}": wanted tap:NAME`);
  }).optional().describe("tap:NAME, by which the hub reaches the host; without it, it does not."),
  address: text(parseNetwork).optional().describe(
    "The host's in it, as in 172.31.0.254/24: given to the TAP (by root), and the cards' gateway.",
  ),
});

/** Of a card or a hub. */
const name = z.string().regex(
  HUB_NAME,
  "wanted lower-case letters, digits and dashes, at most 32",
);

export const HOST_CONFIG = z.strictObject({
  $schema: z.string().optional().describe("Where an editor finds this schema."),
  listen: z.string().regex(
    /^(?:(?:\[[^\]]+\]|[^:[\]]+):)?\d{1,5}$/,
    "wanted ADDRESS:PORT, such as 192.168.10.1:4310",
  ).default("127.0.0.1:4310").describe("ADDRESS:PORT where cards connect."),
  secure: z.boolean().default(false).describe("Encrypt on loopback too."),
  insecure: z.boolean().default(false).describe(
    "Do not encrypt, wherever the cards are: for a cable of your own.",
  ),
  identity: z.string().min(1).optional().describe(
    "Folder with this host's key and its list of paired cards; by default the user's own.",
  ),
  state: z.string().min(1).optional().describe(
    "Folder for what outlives the host: the cards' boots and console logs, and what was suspended; by default " +
      "$XDG_STATE_HOME/knightsbridge.",
  ),
  control: z.string().min(1).optional().describe(
    "Where ctl reaches this host: a path, tcp:ADDR:PORT or none; by default a socket in the user's runtime folder.",
  ),
  networks: z.record(name, NETWORK).default({}).describe(
    'Hubs by name: cards with "net": "hub:NAME" reach each other.',
  ),
  cards: z.record(name, CARD).refine(
    (cards) => Object.keys(cards).length > 0,
    'wanted a card at least, as in {"mic0": {}}',
  ).describe("By name: mic0, mic1, …"),
}).describe("Configuration of a knightsbridge host.");

export type HostConfig = z.output<typeof HOST_CONFIG>;
export type CardConfig = HostConfig["cards"][string];
