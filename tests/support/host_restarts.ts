/**
 * A card process, and one host process after the other on the same port; only for tests.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { isState } from "./lab.ts";
import { type LabEvent, LabProcess, type LabProcessOptions } from "./lab_process.ts";

export interface HostRestartsOptions extends LabProcessOptions {
  readonly os: "linux" | "diag";
  /** Arguments of every host: disks, network, security. */
  readonly host: readonly string[];
  /** Arguments of the first host alone: a command. */
  readonly first?: readonly string[];
  /** Further arguments of the card. */
  readonly card?: readonly string[];
  /** The port the card is to call, given the hosts': a proxy goes here. */
  readonly via?: (hostPort: number) => number | Promise<number>;
}

export class HostRestarts implements AsyncDisposable {
  /** The host of now. */
  host!: LabProcess;
  card!: LabProcess;
  /** Of hosts that were killed: times that a card came back to them with nothing lost. */
  #resumptions = 0;
  readonly #options: HostRestartsOptions;
  readonly #port = unusedPort();

  private constructor(options: HostRestartsOptions) {
    this.#options = options;
  }

  /** Resolves when the card process runs, and its OS is about to boot. */
  static async start(options: HostRestartsOptions): Promise<HostRestarts> {
    await using starting = new AsyncDisposableStack();
    const { os, first = [], card = [], via = (port) => port } = options;
    const restarts = new HostRestarts(options);
    await restarts.startHost(first);
    starting.use(restarts.host);
    const connect = ["--connect", `127.0.0.1:${await via(restarts.#port)}`, "--json"];
    const machine = ["--machine", os === "linux" ? "v86" : "diag"];
    restarts.card = await LabProcess.start("card", [...connect, ...machine, ...card], options);
    starting.move();
    return restarts;
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.host.kill("SIGKILL");
    assertEquals(await this.host.ended, "SIGKILL", this.host.transcript());
    await this.host[Symbol.asyncDispose]();
    this.#resumptions += resumptions(this.host.events);
  }

  /** The next host process; resolves when it listens. The one before is gone. */
  async startHost(args: readonly string[] = []): Promise<void> {
    const { os, host } = this.#options;
    const listen = ["--listen", `127.0.0.1:${this.#port}`, "--os", os, "--json"];
    this.host = await LabProcess.start("host", [...listen, ...host, ...args], this.#options);
    await this.host.event(({ type }) => type === "listening");
  }

  /** SIGKILL, and the next host process at once; resolves when the card OS is online with it. */
  async killHost(next: readonly string[] = []): Promise<void> {
    await this.kill();
    await this.startHost(next);
    await this.host.event(isState("online"));
  }

  /** Boots of the card OS. */
  get boots(): number {
    return this.card.events.filter(({ type }) => type === "machine_started").length;
  }

  /** Times that a host took the card OS over as it ran. */
  get adoptions(): number {
    return this.card.events.filter(({ type }) => type === "adopted").length;
  }

  /** Times that a host got its card back with nothing lost. */
  get resumptions(): number {
    return this.#resumptions + resumptions(this.host.events);
  }

  /** What the last host's command printed. */
  async result(): Promise<string> {
    const ended = await this.host.ended;
    if (ended !== 0) console.error(this.host.transcript(), this.card.transcript());
    assertEquals(ended, 0);
    return this.host.stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    await this.card[Symbol.asyncDispose]();
  }
}

/**
 * A port that nobody gets by chance while no host listens on it: below those that Linux gives to who asks for any, and
 * to who connects.
 */
function unusedPort(): number {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** Among the events of a host. */
export function resumptions(events: readonly LabEvent[]): number {
  const status = (event: LabEvent) => event["status"] as { type: string; resumed: boolean };
  return events.filter((e) => e.type === "link" && status(e).type === "up" && status(e).resumed)
    .length;
}
