/**
 * `deno task host`: lends a card, or several, their disks, networks and consoles, and boots them.
 *
 * @module
 */
import { BackendError, LinkError } from "../protocol/mod.ts";
import { CommandError, EXIT, hostAndPort, parseOptions, runMain } from "../scripts/cli/mod.ts";
import { COMMAND, type Options } from "./command/options.ts";
import { pair } from "./command/pair.ts";
import { serve } from "./command/serve.ts";
import { settings } from "./command/settings.ts";
import { BootError } from "./driver/boot_error.ts";

await runMain("host", async () => {
  const options = parseOptions(COMMAND, Deno.args);
  return options ? await refusable(() => run(options)) : EXIT.ok;
});

async function run(options: Options): Promise<number> {
  const { exec, json } = options;
  const daemon = options.config !== undefined;
  const config = await settings(options);
  if (options.pair) {
    const listen = hostAndPort("listen", config.listen, "127.0.0.1");
    return await pair({ ...listen, folder: config.identity, json });
  }
  return await serve({ config, daemon, exec, json });
}

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
