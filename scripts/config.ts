/**
 * `deno task config`: looks at a host's configuration file before a host does.
 *
 * @module
 */
import { loadConfig } from "../host/config/load.ts";
import { ConfigError } from "../host/config/problems.ts";
import { jsonSchema } from "../host/config/json_schema.ts";
import { printConfig } from "../host/config/print.ts";
import { BackendError } from "../protocol/mod.ts";
import { CommandError, EXIT, runMain } from "./cli/mod.ts";

const HELP = `deno task config: looks at a host's configuration file before a host does.

  check FILE   Every mistake in it, with its line and column.
  print FILE   The configuration in effect: with its defaults, and with each card's address.
  schema       Its JSON schema, for an editor.
`;

await runMain("config", async () => {
  const [verb, file, ...more] = Deno.args;
  if (verb === "schema" && file === undefined) {
    await write(jsonSchema());
    return EXIT.ok;
  }
  if (verb === "--help" || verb === "-h") {
    await write(HELP);
    return EXIT.ok;
  }
  if ((verb !== "check" && verb !== "print") || file === undefined || more.length > 0) {
    throw new CommandError(EXIT.usage, `Cannot tell what to do; wanted\n\n${HELP.trimEnd()}`);
  }
  try {
    const config = await loadConfig(file);
    if (verb === "print") await write(printConfig(config));
    else await write(`${file}: ${Object.keys(config.cards).join(", ")}: all is well\n`);
    return EXIT.ok;
  } catch (error) {
    const status = error instanceof ConfigError
      ? EXIT.usage
      : error instanceof BackendError
      ? EXIT.resource
      : undefined;
    if (status === undefined) throw error;
    throw new CommandError(status, (error as Error).message, { cause: error });
  }
});

async function write(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}
