/**
 * The passt process: started on one end of a socket pair, watched, and always reaped.
 *
 * A socket pair and not a path: passt binds a path only after it has become "nobody", so it would have to lie in a
 * folder that everyone may write to, and everyone could connect. passt ends by itself when our end is closed, so it
 * does not outlive a host process that is killed.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";
import { checked } from "./_errno.ts";
import type { Libc } from "./_libc.ts";

/** What passt says it will tell the card by DHCP; for IPv6-only hosts of NDP. */
export interface PasstNetwork {
  address?: string;
  netmask?: string;
  /** Stands for this host: what the card sends there, passt sends to the host's loopback. */
  gateway?: string;
  readonly nameservers: string[];
}

/** A passt that printed nothing of a network by then but lives is taken as started. */
const START_MS = 1000;
const KEPT_LINES = 8;
/**
 * What is no reason for an end: values (indented) and headings of the network, how passt gives up root, and its
 * complaint after each line where there is no system logger.
 */
const NO_REASON =
  /^\s|:$|^Template interface|^Don't run as root|^Failed to send \d+ bytes to syslog$/;

/** A running passt. */
export class PasstChild implements AsyncDisposable {
  readonly network: PasstNetwork = { nameservers: [] };
  /** Resolves with a sentence when passt ended, however it did. */
  readonly ended: Promise<string>;
  readonly #child: Deno.ChildProcess;
  readonly #lines: string[] = [];
  readonly #started = Promise.withResolvers<void>();
  #section = "";

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.ended = this.#watch();
  }

  /** Starts `program` on descriptor `theirs`, which stays the caller's to close. @throws {BackendError} */
  static async start(
    libc: Libc,
    program: string,
    theirs: number,
    mtu: number,
  ): Promise<PasstChild> {
    checked(libc.setInheritable(theirs, true), "hand a socket to passt");
    const child = new PasstChild(spawn(program, theirs, mtu));
    checked(libc.setInheritable(theirs, false), "hand a socket to passt");
    const timer = setTimeout(child.#started.resolve, START_MS);
    const failed = await Promise.race([child.#started.promise, child.ended]);
    clearTimeout(timer);
    if (failed !== undefined) throw new BackendError(`Cannot start passt: ${failed}`);
    return child;
  }

  async #watch(): Promise<string> {
    const lines = this.#child.stderr.pipeThrough(new TextDecoderStream());
    let rest = "";
    for await (const text of lines) {
      const parts = (rest + text).split("\n");
      rest = parts.pop()!.slice(-1024);
      for (const line of parts) this.#line(line);
    }
    if (rest !== "") this.#line(rest);
    const { code, signal } = await this.#child.status;
    const how = signal === null ? `it ended with status ${code}` : `it was ended by ${signal}`;
    return this.#lines.length === 0 ? how : `${how}, saying "${this.#lines.join("; ")}"`;
  }

  #line(line: string): void {
    const text = line.trim();
    if (text !== "" && !NO_REASON.test(line)) this.#lines.push(text);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    if (/^[^\s].*:$/.test(line)) this.#section = text;
    const [, key, value] = /^(assign|mask|router): (\S+)$/.exec(text) ?? [];
    if (key === "assign") this.network.address ??= value!;
    if (key === "mask") this.network.netmask ??= value!;
    if (key === "router") {
      this.network.gateway ??= value!;
      this.#started.resolve();
    }
    if (this.#section === "DNS:" && /^[0-9a-f.:]+$/.test(text)) this.network.nameservers.push(text);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Ends passt if it still runs; it has nothing to save. */
  kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It ended before: that is what was wanted.
    }
  }

  /** Ends passt and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.ended;
  }
}

function spawn(program: string, fd: number, mtu: number): Deno.ChildProcess {
  // deno-fmt-ignore
  const args = [
    "--foreground", "--stderr", "--fd", `${fd}`, "--mtu", `${mtu}`,
    "--tcp-ports", "none", "--udp-ports", "none",
  ];
  try {
    return new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "piped" })
      .spawn();
  } catch (cause) {
    throw spawnError(program, cause);
  }
}

function spawnError(program: string, cause: unknown): BackendError {
  const act = `Cannot start ${program}`;
  if (cause instanceof Deno.errors.NotFound) {
    return new BackendError(
      `${act}: it is not installed; on Debian or Ubuntu, "apt install passt", or choose tap:NAME or none`,
      { cause },
    );
  }
  if (cause instanceof Deno.errors.NotCapable) {
    return new BackendError(`${act}: run Deno with --allow-run=${program}`, { cause });
  }
  return new BackendError(`${act}: ${cause instanceof Error ? cause.message : cause}`, { cause });
}
