/**
 * `ctl exec`: a command in a card's OS: its output as it comes, its exit status as ours.
 *
 * @module
 */
import { CommandError, EXIT } from "../../cli/errors.ts";
import { cardPath } from "../cards.ts";
import { verb } from "../verb.ts";

type Line =
  & Partial<Record<"stdout" | "stderr" | "error", string>>
  & { readonly status?: number };

export const EXEC = verb({
  name: "exec",
  about: "Run a command in a card's OS; ends with its exit status",
  operands: {
    value: "CARD COMMAND...",
    completes: ["cards", []],
    least: 2,
    last: true,
  },
  options: {},
  examples: ["ctl exec mic0 uname -a", "ctl exec mic0 'dmesg | tail -3'"],
  async run({ client, operands: [card, ...words], options, signal, out }) {
    const request = { method: "POST", body: { command: words.join(" ") }, signal } as const;
    for await (const text of client.lines(cardPath(card!, "/exec"), request)) {
      const line: Line = JSON.parse(text);
      if (options.json) out.line(text);
      if (line.error !== undefined) throw new CommandError(EXIT.card, line.error);
      if (line.status !== undefined) return line.status;
      if (options.json) continue;
      if (line.stdout !== undefined) await all(Deno.stdout, Uint8Array.fromBase64(line.stdout));
      if (line.stderr !== undefined) await all(Deno.stderr, Uint8Array.fromBase64(line.stderr));
    }
    throw new CommandError(EXIT.resource, `Cannot tell the end of the command: the host has gone`);
  },
});

async function all(stream: typeof Deno.stdout, bytes: Uint8Array): Promise<void> {
  try {
    for (let at = 0; at < bytes.length;) at += await stream.write(bytes.subarray(at));
  } catch (cause) {
    if (!(cause instanceof Deno.errors.BrokenPipe)) throw cause;
    throw new CommandError(
      EXIT.resource,
      "Cannot write the command's output: nobody reads it; the command was given up",
      { cause },
    );
  }
}
