/**
 * `deno task ctl`: the operator's hands on the cards of a running host.
 *
 *     ctl [--control PLACE] VERB [OPTIONS] [CARD...]
 *
 * A verb is a file in `verbs/`; what is here finds it, or says what there is.
 *
 * @module
 */
import { CONTROL_FORM, parseControl } from "../cli/control_place.ts";
import { CommandError, EXIT, runMain } from "../cli/errors.ts";
import { type OptionValues, parseCommandLine } from "../cli/options.ts";
import { ControlClient } from "./client.ts";
import { OUTPUT } from "./output.ts";
import { COMMON_OPTIONS, type Verb } from "./verb.ts";
import { VERBS } from "./verbs/mod.ts";

await runMain("ctl", () => ctl(Deno.args));

async function ctl(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = withControlBehind(argv);
  if (first === undefined || ["--help", "-h", "help"].includes(first)) {
    console.log(help());
    return first === undefined ? EXIT.usage : EXIT.ok;
  }
  const verb = VERBS.find(({ name, short }) => name === first || `-${short}` === first);
  if (!verb) {
    const names = VERBS.map(({ name }) => name).join(", ");
    throw new CommandError(EXIT.usage, `Cannot use verb "${first}": wanted ${names}`);
  }
  return await run(verb, rest);
}

async function run(verb: Verb, argv: readonly string[]): Promise<number> {
  const line = parseCommandLine({
    name: `ctl ${verb.name}`,
    about: verb.short ? `${verb.about} (-${verb.short})` : verb.about,
    options: { ...verb.options, ...COMMON_OPTIONS },
    ...(verb.operands && { operands: verb.operands }),
    ...(verb.examples && { examples: verb.examples }),
  }, argv);
  if (!line) return EXIT.ok;
  const { operands } = line;
  // The verb's own are checked where its table is known; these every verb has.
  const options = line.options as OptionValues<typeof COMMON_OPTIONS>;
  const stop = new AbortController();
  const interrupt = () => stop.abort(new CommandError(EXIT.interrupted, "Interrupted"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, interrupt);
  using client = await ControlClient.open(parseControl(options.control));
  try {
    const { signal } = stop;
    return await verb.run({ client, options, operands, signal, out: OUTPUT, verbs: VERBS });
  } catch (error) {
    if (stop.signal.aborted) return EXIT.interrupted;
    throw error;
  }
}

/** `--control` may stand before the verb, too. */
function withControlBehind(argv: readonly string[]): readonly string[] {
  const [first, second, ...rest] = argv;
  if (first?.startsWith("--control=")) return [...argv.slice(1, 2), first, ...argv.slice(2)];
  if (first !== "--control" || second === undefined) return argv;
  return [...rest.slice(0, 1), first, second, ...rest.slice(1)];
}

function help(): string {
  const left = VERBS.map(({ name, short, operands }) =>
    `  ${short ? `-${short}, ` : "    "}${name}${operands ? ` ${operands.value}` : ""}`
  );
  const width = Math.max(...left.map((text) => text.length)) + 2;
  const lines = VERBS.map(({ about }, at) => `${left[at]!.padEnd(width)}${about}`);
  return [
    "ctl: commands the cards of a running host.",
    "",
    `Usage: ctl [--control ${CONTROL_FORM}] VERB [OPTIONS] [CARD...]`,
    "",
    "Without a card's name a verb is for all of them. `ctl VERB --help` lists its options.",
    "",
    "Verbs:",
    ...lines,
  ].join("\n");
}
