/**
 * `deno task demo`: a host and a card on loopback, Linux on the card, and you on its console.
 *
 * The two ends are real processes with the permissions of their own tasks. The demo prepares what they need, follows the
 * host's events, and adds nothing to the path between them.
 *
 * @module
 */
import {
  cachedCardImage,
  CommandError,
  EXIT,
  type OptionValues,
  parseOptions,
  runMain,
  spawnTask,
  wholeNumber,
} from "./cli/mod.ts";
import { demoDisk } from "./demo/disk.ts";
import { Pair } from "./demo/pair.ts";
import { Timeline } from "./demo/timeline.ts";
import { TOURS } from "./demo/tour.ts";
import { findTool } from "./tools.ts";

const COMMAND = {
  name: "deno task demo",
  about: "boots a card on this machine and puts you on its console.\n\n" +
    "Without a terminal it boots, shows the card round, and shuts it down. Ctrl-] leaves the console.",
  options: {
    exec: {
      kind: "text",
      value: "COMMAND",
      help:
        "Run COMMAND in the card OS, print its output and nothing else on stdout,\nand end with its exit status.",
    },
    os: {
      kind: "text",
      value: "linux|diag",
      help: "Linux, or the built-in diagnostic OS (linux).",
    },
    disk: {
      kind: "text",
      value: "PATH",
      help: "Raw image instead of the demo's own, which is kept from run to run.",
    },
    net: {
      kind: "text",
      value: "CHOICE",
      help: "tap:NAME, passt or none (passt where it can be had).",
    },
    memory: { kind: "text", value: "MIB", help: "Card memory, 64 to 2047 (128)." },
    verbose: { kind: "flag", help: "Show every event of the boot." },
  },
} as const;
type Options = OptionValues<typeof COMMAND["options"]>;

await runMain("demo", async () => {
  const options = parseOptions(COMMAND, Deno.args);
  return options ? await demo(options) : EXIT.ok;
});

async function demo(options: Options): Promise<number> {
  const memory = wholeNumber("memory", options.memory, { min: 64, max: 2047, default: 128 });
  const os = await chooseOs(options);
  const disk = options.disk ?? await demoDisk(os);
  const net = await chooseNetwork(options.net);
  const tour = options.exec === undefined && !Deno.stdin.isTerminal();
  const command = options.exec ?? (tour ? TOURS[os] : undefined);
  const timeline = new Timeline({
    quiet: options.exec !== undefined && !options.verbose,
    verbose: options.verbose,
  });
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  await using pair = await Pair.start({
    host: [
      ...[
        "--listen",
        "127.0.0.1:0",
        "--os",
        os,
        "--disk",
        disk,
        "--net",
        net.choice,
        "--control",
        "none",
      ],
      ...(command === undefined
        ? ["--console", "stdio"]
        : ["--console", "none", "--exec", command]),
    ],
    card: ["--machine", os === "linux" ? "v86" : "diag", "--memory", String(memory)],
    env: net.env,
    stdin: command === undefined ? "inherit" : "null",
    signal: stop.signal,
    onEvent: (event) => timeline.add(event),
  });
  const status = await pair.ended();
  if (tour) timeline.summary(status);
  return status;
}

/** Linux where its image is or can be built; else the diagnostic OS, unless Linux was asked for by name. */
async function chooseOs({ os, exec }: Options): Promise<"linux" | "diag"> {
  if (os !== undefined && os !== "linux" && os !== "diag") {
    throw new CommandError(EXIT.usage, `Cannot use --os ${os}: wanted linux or diag`);
  }
  if (os === "diag") return os;
  try {
    await needCardImage();
    return "linux";
  } catch (error) {
    // A command was written for the OS it expects; it must not meet another.
    if (!(error instanceof CommandError) || os === "linux" || exec !== undefined) throw error;
    console.error(`demo: ${error.message}`);
    console.error(
      "demo: no Linux image can be had here, starting the built-in diagnostic OS instead",
    );
    return "diag";
  }
}

/** Builds the card image if there is none, in a process that may do what that takes. @throws {CommandError} */
async function needCardImage(): Promise<void> {
  if (await cachedCardImage()) return;
  const builder = await spawnTask("card-os", [], { stdin: "null", stdout: "null" });
  const { code } = await builder.status;
  if (code !== 0) {
    throw new CommandError(code, "Cannot boot Linux: its card image could not be built, see above");
  }
}

async function chooseNetwork(
  choice: string | undefined,
): Promise<{ readonly choice: string; readonly env: Readonly<Record<string, string>> }> {
  if (choice !== undefined && choice !== "passt") return { choice, env: {} };
  const tool = await findTool("passt", (reason) => console.error(`demo: ${reason}`));
  if (tool === undefined) {
    if (choice === "passt") throw new CommandError(EXIT.resource, "Cannot find program passt");
    console.error("demo: program passt cannot be had, so the card has no network");
    return { choice: "none", env: {} };
  }
  const folder = tool.path.slice(0, tool.path.lastIndexOf("/"));
  return { choice: "passt", env: { PATH: `${folder}:${Deno.env.get("PATH") ?? ""}`, ...tool.env } };
}
