/**
 * A command in a card OS as a body of JSON lines: `{"stdout": base64}` and `{"stderr": base64}` as they come, then
 * `{"status": number}`, or `{"error": sentence}` if its end is not known.
 *
 * - **Invariant:** a client that does not read holds up its own command, not our memory: the card's output waits until
 *   the line before is taken.
 *
 * @module
 */
import type { CardControl } from "../card_control.ts";
import type { ExecWriter } from "../exec.ts";
import type { Shape } from "./schemas.ts";

const encoder = new TextEncoder();

/** The body; `signal`, or a client that goes away, gives the command up. */
export function execStream(
  card: Pick<CardControl, "exec">,
  command: string,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  void write(card, command, signal, writable.getWriter());
  return readable;
}

async function write(
  card: Pick<CardControl, "exec">,
  command: string,
  signal: AbortSignal,
  out: WritableStreamDefaultWriter<Uint8Array>,
): Promise<void> {
  const left = new AbortController();
  // Rejects as soon as nobody reads, even while the command is silent.
  out.closed.catch((reason) => left.abort(reason));
  const line = (value: Shape<"ExecLine">) =>
    out.write(encoder.encode(`${JSON.stringify(value)}\n`));
  const writer = (which: "stdout" | "stderr"): ExecWriter => async (bytes) =>
    await line({ [which]: bytes.toBase64() } as { stdout: string });
  try {
    const status = await card.exec(command, {
      stdout: writer("stdout"),
      stderr: writer("stderr"),
      signal: AbortSignal.any([signal, left.signal]),
    });
    await line({ status });
    await out.close();
  } catch (error) {
    // Nobody may be there to be told.
    await line({ error: (error as Error).message }).then(() => out.close()).catch(() => {});
  }
}
