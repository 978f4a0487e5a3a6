/**
 * A host process and a card process on loopback, each as its user has it, and commands in the card; one boot for all of
 * them.
 *
 * @module
 */
import { cardImage } from "../../scripts/card_os/build.ts";
import { ControlClient } from "../../scripts/ctl/client.ts";
import { LabProcess } from "../support/lab_process.ts";
import { pairedEnvironment } from "../support/paired.ts";

export interface BenchCardOptions {
  readonly os: "linux" | "diag";
  readonly disk: string;
  /** `none` if not given. */
  readonly net?: string;
  /** `CARD/PREFIX,HOST`. */
  readonly address?: string;
  /** Puts something between card and host: gets the host's port, resolves to the port to connect to. */
  readonly through?: (port: number) => Promise<number>;
  /** Over TLS. */
  readonly secure?: boolean;
  /** For both processes' JavaScript engines. */
  readonly v8Flags?: string;
}

/** The two processes. */
export type End = "host" | "card";

/** Nothing that is measured here lives as long, ms. */
const LIMIT = 3_600_000;

export class BenchCard implements AsyncDisposable {
  readonly #owned: AsyncDisposableStack;
  readonly #client: ControlClient;
  readonly #processes: Readonly<Record<End, LabProcess>>;
  /** Rejects when the card's process ends. */
  readonly #lost: Promise<never>;

  private constructor(
    owned: AsyncDisposableStack,
    client: ControlClient,
    processes: Readonly<Record<End, LabProcess>>,
  ) {
    this.#owned = owned;
    this.#client = client;
    this.#processes = processes;
    this.#lost = processes.card.ended.then((status) => {
      throw new Error(`Cannot go on: the card ended with ${status}`);
    });
    this.#lost.catch(() => {}); // Who waits for it hears of it.
  }

  /** Resolves when the card OS is online. */
  static async start(options: BenchCardOptions): Promise<BenchCard> {
    const { os, disk, net = "none", address, through, secure = false, v8Flags } = options;
    await using owned = new AsyncDisposableStack();
    if (os === "linux") await cardImage();
    const folder = await Deno.makeTempDir({ prefix: "knightsbridge-bench-" });
    owned.defer(() => Deno.remove(folder, { recursive: true }));
    const env = {
      ...(secure && await pairedEnvironment(folder)),
      ...(v8Flags !== undefined && { DENO_V8_FLAGS: v8Flags }),
    };
    const security = secure ? ["--secure"] : [];
    const control = `${folder}/host.sock`;
    const host = owned.use(
      await LabProcess.start("host", [
        ...["--listen", "127.0.0.1:0", "--control", control, "--json", ...security],
        ...["--os", os, "--disk", disk, "--net", net, "--console", "none"],
        ...(address === undefined ? [] : ["--address", address]),
      ], { env, limit: LIMIT }),
    );
    const port = Number((await host.event(({ type }) => type === "listening")).port);
    const card = owned.use(
      await LabProcess.start("card", [
        ...["--connect", `127.0.0.1:${await through?.(port) ?? port}`, ...security],
        ...["--machine", os === "diag" ? "diag" : "v86"],
      ], { env, limit: LIMIT }),
    );
    // Its OS has nothing to lose, and a host that has no card ends at once.
    owned.defer(() => card.kill("SIGKILL"));
    const client = owned.use(await ControlClient.open({ transport: "unix", path: control }));
    await host.event(({ event }) => (event as { state?: string } | undefined)?.state === "online");
    return new BenchCard(owned.move(), client, { host, card });
  }

  /** What a process has written on its standard output. */
  stdout(end: End): string {
    return this.#processes[end].stdout;
  }

  /** Output of `command`, both streams. @throws {Error} if its exit status is not 0 */
  async run(command: string): Promise<string> {
    const { status, output } = await Promise.race([this.#exec(command), this.#lost]);
    if (status !== 0) throw new Error(`Cannot run "${command}": status ${status}, ${output}`);
    return output;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync();
  }

  async #exec(command: string): Promise<{ readonly status: number; readonly output: string }> {
    const decoder = new TextDecoder();
    let output = "";
    const request = { method: "POST", body: { command } } as const;
    for await (const text of this.#client.lines("/v1/cards/mic0/exec", request)) {
      const { stdout, stderr, status, error } = JSON.parse(text);
      if (error !== undefined) throw new Error(`Cannot run "${command}": ${error}`);
      if (status !== undefined) return { status, output };
      output += decoder.decode(Uint8Array.fromBase64(stdout ?? stderr), { stream: true });
    }
    throw new Error(`Cannot run "${command}": the host has gone`);
  }
}

/** What `bench --json` of the diagnostic OS says. */
export interface DiskResult {
  readonly iops: number;
  readonly mb_s: number;
  readonly latency_us: Readonly<Record<"mean" | "p50" | "p90" | "p99" | "p999" | "max", number>>;
}

/** Runs the diagnostic OS's load generator on its first disk. */
export async function diskBench(card: BenchCard, pairs: string): Promise<DiskResult> {
  return JSON.parse(await card.run(`bench vda ${pairs} --json`));
}
