/**
 * A real NBD server as a process, to be killed and started again; only for tests.
 *
 * @module
 */
import { NbdBackend, type NbdBackendOptions } from "../../host/backends/nbd/backend.ts";
import { parseNbdUri } from "../../host/backends/nbd/uri.ts";

/** A server that is not there after so long never will be, ms. */
const LIMIT = 10_000;

export class NbdProcess implements AsyncDisposable {
  readonly uri: string;
  readonly #words: readonly string[];
  #child: Deno.ChildProcess;

  private constructor(uri: string, words: readonly string[]) {
    this.uri = uri;
    this.#words = words;
    this.#child = this.#spawn();
  }

  /** Starts `words`, which serves `uri` and does not fork. */
  static start(uri: string, ...words: readonly string[]): NbdProcess {
    return new NbdProcess(uri, words);
  }

  /** nbdkit on a UNIX socket in `folder`. */
  static nbdkit(folder: string, ...words: readonly string[]): NbdProcess {
    const socket = `${folder}/nbdkit.sock`;
    return NbdProcess.start(
      `nbd+unix:///?socket=${socket}`,
      "nbdkit",
      "-f",
      "-U",
      socket,
      ...words,
    );
  }

  /** Opens the disk, as soon as it can be had: servers have no common way to say that they listen. */
  async open(options?: NbdBackendOptions): Promise<NbdBackend> {
    const end = Date.now() + LIMIT;
    for (;;) {
      try {
        return await NbdBackend.open(parseNbdUri(this.uri), options);
      } catch (error) {
        if (Date.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  /** Resolves when others can open it. */
  async ready(): Promise<void> {
    await using _disk = await this.open();
  }

  /** Ends it with `signal` and starts it again. */
  async restart(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#child.kill(signal);
    await this.#child.status;
    const address = parseNbdUri(this.uri);
    if (address.transport === "unix") await Deno.remove(address.path).catch(() => {});
    this.#child = this.#spawn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#child.status;
  }

  #spawn(): Deno.ChildProcess {
    const [program, ...args] = this.#words;
    return new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "null" })
      .spawn();
  }
}

/** Taken by nobody a moment ago. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
