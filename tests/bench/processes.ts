/**
 * Processes that the benchmarks start.
 *
 * @module
 */
import { TextLineStream } from "@std/streams";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** Starts a program of this repository; the caller ends it. */
export function startProgram(
  file: URL,
  permissions: readonly string[],
  args: readonly string[],
): Deno.ChildProcess {
  return new Deno.Command("deno", {
    args: ["run", "--config", CONFIG, ...permissions, file.pathname, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

export function linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<string> {
  return stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
}

/** Ends a process at once. */
export async function endProcess(process: Deno.ChildProcess): Promise<void> {
  try {
    process.kill("SIGKILL");
  } catch {
    // It has ended by itself.
  }
  await process.status;
}

/**
 * Awaits all of `starting` even if one of them fails, so that whoever owns what they start can end it.
 * @throws what the first that failed threw
 */
export async function together<T extends readonly unknown[] | []>(
  starting: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(starting);
  return await Promise.all(starting);
}

/** The port in a host's event `listening`; what it says besides is read and thrown away. */
export async function listeningPort(host: Deno.ChildProcess): Promise<number> {
  const found = Promise.withResolvers<number>();
  void (async () => {
    for await (const line of linesOf(host.stderr)) {
      if (!line.startsWith("{")) console.error(line);
      else if (JSON.parse(line).type === "listening") found.resolve(JSON.parse(line).port);
    }
    found.reject(new Error("Cannot start host: it ended"));
  })();
  return await found.promise;
}

/** A TCP port that was free a moment ago, for programs that cannot choose one. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Where packages put programs; an ordinary user's PATH may lack some of it. */
const FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Whether `program` is in a folder of PATH, or one where packages put programs. */
export async function isInstalled(program: string): Promise<boolean> {
  const path = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  for (const folder of [...path, ...FOLDERS]) {
    if (await Deno.stat(`${folder}/${program}`).then(() => true, () => false)) return true;
  }
  return false;
}

/** True if `program` is there; else says what is missing. */
export async function installed(program: string, note: (text: string) => void): Promise<boolean> {
  if (await isInstalled(program)) return true;
  note(`${program} is not installed, so what it would show is missing: deno task bench --setup`);
  return false;
}
