/**
 * Where answers go: stdout, until nobody reads it.
 *
 * @module
 */
import { EXIT } from "../cli/errors.ts";
import type { Output } from "./verb.ts";

export const OUTPUT: Output = {
  terminal: Deno.stdout.isTerminal(),
  line: (text) => write(`${text}\n`),
  json: (value) => write(`${JSON.stringify(value)}\n`),
  write,
};

function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  } catch (error) {
    // As if it had been told by SIGPIPE: nobody reads the rest.
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(EXIT.ok);
    throw error;
  }
}
