/**
 * `deno task config`: looks at a host's configuration file before a host does, with no more than the permission to read.
 *
 * @module
 */
import { EXIT, runMain } from "./cli/mod.ts";
import { HELP, look } from "./config/look.ts";

await runMain("config", async () => {
  const help = Deno.args[0] === "--help" || Deno.args[0] === "-h";
  const text = help
    ? `deno task config: looks at a host's configuration file before a host does.\n${HELP}`
    : await look(Deno.args);
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
  return EXIT.ok;
});
