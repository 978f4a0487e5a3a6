/**
 * What `deno task config` and `ctl config` do: look at a host's configuration file before a host does.
 *
 * @module
 */
import { jsonSchema } from "../../host/config/json_schema.ts";
import { loadConfig } from "../../host/config/load.ts";
import { printConfig } from "../../host/config/print.ts";
import { ConfigError } from "../../host/config/problems.ts";
import { BackendError } from "../../protocol/mod.ts";
import { CommandError, EXIT } from "../cli/errors.ts";

export const HELP = `
  check FILE   Every mistake in it, with its line and column.
  print FILE   The configuration in effect: with its defaults, and with each card's address.
  schema       Its JSON schema, for an editor.
`;

/** What there is to see. @throws {CommandError} naming every mistake of the file, or what else was wanted */
export async function look(words: readonly string[]): Promise<string> {
  const [verb, file, ...more] = words;
  if (verb === "schema" && file === undefined) return jsonSchema();
  if ((verb !== "check" && verb !== "print") || file === undefined || more.length > 0) {
    throw new CommandError(EXIT.usage, `Cannot tell what to do; wanted\n${HELP.trimEnd()}`);
  }
  try {
    const config = await loadConfig(file);
    if (verb === "print") return printConfig(config);
    return `${file}: ${Object.keys(config.cards).join(", ")}: all is well\n`;
  } catch (error) {
    const status = error instanceof ConfigError
      ? EXIT.usage
      : error instanceof BackendError
      ? EXIT.resource
      : undefined;
    if (status === undefined) throw error;
    throw new CommandError(status, (error as Error).message, { cause: error });
  }
}
