/**
 * What `deno task host` takes.
 *
 * @module
 */
import { type OptionValues, SECURITY_OPTIONS } from "../../scripts/cli/mod.ts";
import { CONSOLE_CHOICES } from "../backends/open_console.ts";
import { DISK_CHOICES } from "../backends/open_disk.ts";
import { NET_CHOICES } from "../backends/open_net.ts";
import { ADDRESS_FORM } from "../control/addresses.ts";
import { CONTROL_CHOICES } from "./control.ts";

export const COMMAND = {
  name: "deno task host",
  about: "lends a card its disk, network and console, and boots it.\n\n" +
    "Serves one card after the other. Ends when the card OS stops if the console is this terminal or a command\n" +
    "was given; else it stays for the next card.\n\n" +
    "With --config it serves all cards of that file until it is told to end. Options beside it come before what\n" +
    "the file says; those of a card are for the one that --name names, or the only one.",
  options: {
    config: {
      kind: "text",
      value: "FILE",
      help: "knightsbridge.jsonc, with one card or many (see deno task config).",
    },
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
    control: {
      kind: "text",
      value: CONTROL_CHOICES,
      help:
        "Where ctl reaches this host (a socket in the user's runtime folder, if no\nother host has it). TCP wants the token that is made for it.",
    },
    json: { kind: "flag", help: "Events as JSON lines on stderr." },
  },
  examples: [
    "deno task host --listen 192.168.10.1:4310 --pair",
    "deno task host --listen 192.168.10.1:4310 --disk root.img --net tap:mic0 --console pty",
    "deno task host --config knightsbridge.jsonc",
  ],
} as const;

export type Options = OptionValues<typeof COMMAND["options"]>;
