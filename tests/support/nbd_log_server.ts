/**
 * nbd-server with its transaction and data log, for one client after another; only for tests.
 *
 * @module
 */
import { wholeEntries } from "./nbd_log.ts";

/** A server that does not listen after so long never will, ms. */
const LIMIT = 10_000;

export class NbdLogServer implements AsyncDisposable {
  readonly uri: string;
  readonly #folder: string;
  #child: Deno.ChildProcess;
  #clients = 1;

  private constructor(folder: string) {
    this.#folder = folder;
    this.uri = `nbd+unix:///disk?socket=${folder}/nbd.sock`;
    this.#child = this.#spawn();
  }

  /** Serves `image` to the first client that comes. */
  static async start(folder: string, image: string): Promise<NbdLogServer> {
    const lines = [
      "[generic]",
      `unixsock = ${folder}/nbd.sock`,
      "[disk]",
      `exportname = ${image}`,
      "flush = true",
      "trim = true",
      `transactionlog = ${folder}/nbd.log`,
      "datalog = true",
    ];
    await Deno.writeTextFile(`${folder}/nbd.conf`, lines.join("\n") + "\n");
    const server = new NbdLogServer(folder);
    await server.#listening();
    return server;
  }

  /** Waits for the client to leave, and serves the next one. */
  async again(): Promise<void> {
    await this.#keepLog();
    this.#clients++;
    await Deno.remove(`${this.#folder}/nbd.sock`);
    this.#child = this.#spawn();
    await this.#listening();
  }

  /** Waits for the client to leave. The log of all clients, one behind the other. */
  async log(): Promise<Uint8Array<ArrayBuffer>> {
    await this.#keepLog();
    const parts: Blob[] = [];
    for (let client = 1; client <= this.#clients; client++) {
      parts.push(new Blob([await Deno.readFile(this.#logOf(client))]));
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // Its client has left.
    }
    await this.#child.status;
  }

  async #keepLog(): Promise<void> {
    await this.#child.status;
    const log = `${this.#folder}/nbd.log`;
    await Deno.truncate(log, wholeEntries(await Deno.readFile(log)));
    await Deno.rename(log, this.#logOf(this.#clients));
  }

  #logOf(client: number): string {
    return `${this.#folder}/nbd.${client}.log`;
  }

  /** As it is told not to fork, it ends with its client. */
  #spawn(): Deno.ChildProcess {
    const args = ["-d", "-C", `${this.#folder}/nbd.conf`, "-p", `${this.#folder}/nbd.pid`];
    return new Deno.Command("nbd-server", { args, stdin: "null", stdout: "null", stderr: "null" })
      .spawn();
  }

  /** It has no way to say so, and one who asks would be its client. */
  async #listening(): Promise<void> {
    const end = Date.now() + LIMIT;
    while (!await Deno.stat(`${this.#folder}/nbd.sock`).then(() => true, () => false)) {
      if (Date.now() > end) throw new Error("nbd-server does not listen");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
