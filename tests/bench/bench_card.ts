/**
 * A host in this process and a card in another, on loopback; commands in the card, one boot for all of them.
 *
 * @module
 */
import {
  diagImages,
  Host,
  linuxImages,
  listenTcp,
  type OpenDevices,
  openDevices,
} from "../../mod.ts";
import { parseAddress } from "../../host/control/addresses.ts";
import { cardImage } from "../../scripts/card_os/build.ts";
import { spawnTask } from "../../scripts/cli/mod.ts";
import { endProcess } from "./processes.ts";

export interface BenchCardOptions {
  readonly os: "linux" | "diag";
  readonly disk: string;
  /** `none` if not given. */
  readonly net?: string;
  /** `CARD/PREFIX,HOST`. */
  readonly address?: string;
  /** Puts something between card and host: gets the host's port, resolves to the port to connect to. */
  readonly through?: (port: number) => Promise<number>;
}

export class BenchCard implements AsyncDisposable {
  readonly #opened: OpenDevices;
  readonly #owned: AsyncDisposableStack;
  /** Rejects when the card's process ends. */
  readonly #lost: Promise<never>;

  private constructor(opened: OpenDevices, owned: AsyncDisposableStack, card: Deno.ChildProcess) {
    this.#opened = opened;
    this.#owned = owned;
    this.#lost = card.status.then(({ code }) => {
      throw new Error(`Cannot go on: the card ended with status ${code}`);
    });
    this.#lost.catch(() => {}); // Who waits for it hears of it.
  }

  static async start(options: BenchCardOptions): Promise<BenchCard> {
    const { os, disk, net = "none", through } = options;
    await using owned = new AsyncDisposableStack();
    const opened = owned.use(
      await openDevices({
        disks: [disk],
        net,
        consoles: ["none"],
        address: options.address === undefined ? undefined : parseAddress(options.address),
        name: "mic0",
        configureTap: true,
        insecure: false,
      }, { detach() {}, report: (error) => console.error(error) }),
    );
    const { address } = opened;
    const choices = {
      ...{ kernel: undefined, initrd: undefined, cmdline: undefined },
      ...{ name: "mic0", address },
    };
    const host = owned.use(
      new Host({
        listener: listenTcp("127.0.0.1", 0),
        cards: [{
          name: "mic0",
          devices: opened.devices,
          images: os === "diag" ? diagImages(choices) : await linuxBoot(choices),
        }],
      }),
    );
    const { port } = host.address;
    const card = await spawnTask("card", [
      ...["--connect", `127.0.0.1:${await through?.(port) ?? port}`, "--json"],
      ...["--machine", os === "diag" ? "diag" : "v86"],
    ], { stdin: "null", stdout: "null", stderr: "null" });
    owned.defer(() => endProcess(card));
    return new BenchCard(opened, owned.move(), card);
  }

  /** Output of `command`, both streams. @throws if its exit status is not 0 */
  async run(command: string): Promise<string> {
    let output = "";
    const decoder = new TextDecoder();
    const take = (bytes: Uint8Array) => {
      output += decoder.decode(bytes, { stream: true });
    };
    const done = this.#opened.exec.run(command, { stdout: take, stderr: take });
    const status = await Promise.race([done, this.#lost]);
    if (status !== 0) throw new Error(`Cannot run "${command}": status ${status}, ${output}`);
    return output;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync();
  }
}

async function linuxBoot(choices: Parameters<typeof linuxImages>[0]) {
  const { folder, manifest } = await cardImage();
  return await linuxImages(choices, {
    kernel: `${folder}/vmlinux`,
    initrd: `${folder}/initrd.img`,
    cmdline: manifest.cmdline,
  });
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
