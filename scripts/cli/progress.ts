/**
 * Progress for work that may take longer than two seconds: on a terminal one line that counts, elsewhere a plain line
 * now and then. Always on stderr, so that stdout stays the command's own.
 *
 * @module
 */
const encoder = new TextEncoder();

/** Runs `work` under `label`; `detail` is asked for what to show beside the elapsed time. */
export async function withProgress<T>(
  label: string,
  work: () => Promise<T>,
  detail: () => string = () => "",
): Promise<T> {
  const terminal = Deno.stderr.isTerminal();
  const started = performance.now();
  const seconds = () => ((performance.now() - started) / 1000).toFixed(1);
  const show = (text: string) => Deno.stderr.writeSync(encoder.encode(text));
  if (terminal) show(`  ${label} ...`);
  const timer = setInterval(() => {
    const rest = detail();
    const text = `${label} ... ${seconds()} s${rest ? `, ${rest}` : ""}`;
    show(terminal ? `\r\x1b[K  ${text}` : `  ${text}\n`);
  }, terminal ? 250 : 2500);
  try {
    const result = await work();
    const rest = detail();
    show(`${terminal ? "\r\x1b[K" : ""}  ${label}: ${seconds()} s${rest ? `, ${rest}` : ""}\n`);
    return result;
  } catch (error) {
    if (terminal) show("\n");
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** Bytes for people: `51.9 MB`. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
