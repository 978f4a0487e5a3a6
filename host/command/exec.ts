/**
 * `host --exec`: one command in the card OS, its output on this process's own.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";
import type { ExecChannel, ExecWriter } from "../control/exec.ts";

/** A card that takes no command after this time may never do so, ms. */
const EXEC_PATIENCE = 30_000;
/** What is said then. */
const WAITS_FOR = {
  "card": "the card OS takes no commands yet: it has not opened its exec port",
  "earlier-command": "the card OS still works on a command that an earlier host gave it",
} as const;

/** Exit status of the command. `remind` is given what it waits for, if that takes long. */
export async function execute(
  channel: ExecChannel,
  command: string,
  remind: (text: string) => void,
): Promise<number> {
  const reminder = setTimeout(() => {
    if (channel.waitsFor !== undefined) remind(WAITS_FOR[channel.waitsFor]);
  }, EXEC_PATIENCE);
  try {
    return await channel.run(command, {
      stdout: writer(Deno.stdout, "stdout"),
      stderr: writer(Deno.stderr, "stderr"),
    });
  } finally {
    clearTimeout(reminder);
  }
}

/** Whoever reads our output may leave before its end (`| head`): then the command is given up. */
function writer(stream: typeof Deno.stdout, name: string): ExecWriter {
  return async (bytes) => {
    try {
      for (let at = 0; at < bytes.length;) at += await stream.write(bytes.subarray(at));
    } catch (cause) {
      const reason = cause instanceof Deno.errors.BrokenPipe ? "nobody reads it" : `${cause}`;
      throw new BackendError(`Cannot write the command's output to ${name}: ${reason}`, { cause });
    }
  };
}
