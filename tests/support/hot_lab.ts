/**
 * A host in this process, and a card process that boots Linux: for tests that change what the card is lent while it runs.
 *
 * @module
 */
import { cachedCardImage } from "../../scripts/cli/mod.ts";
import type { Card } from "../../host/cards/card.ts";
import { linuxImages } from "../../host/control/images.ts";
import { type OpenDevices, openDevices } from "../../host/control/open_devices.ts";
import { Host } from "../../host/host.ts";
import { listenTcp } from "../../protocol/mod.ts";
import { emptyDisk, rootDisk, temporaryFolder } from "./lab.ts";
import { LabProcess } from "./lab_process.ts";

/** The card process does not live longer, ms: a busy machine takes its time. */
const LIMIT = 240_000;

export class HotLab implements AsyncDisposable {
  readonly folder: string;
  /** What backends reported. */
  readonly reports: unknown[] = [];
  readonly #host: Host;
  readonly #opened: OpenDevices;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    folder: string,
    opened: OpenDevices,
    host: Host,
    reports: unknown[],
    stack: AsyncDisposableStack,
  ) {
    this.folder = folder;
    this.reports = reports;
    this.#opened = opened;
    this.#host = host;
    this.#stack = stack;
  }

  /**
   * `disks` come behind the root disk; `FOLDER` in them is the lab's own, where `disk.img` is an empty one of 16 MiB.
   * Resolves when the card takes commands.
   */
  static async start(
    { disks = [], net = "none" }: { disks?: readonly string[]; net?: string } = {},
  ): Promise<HotLab> {
    await using starting = new AsyncDisposableStack();
    const folder = starting.use(await temporaryFolder()).path;
    const root = await rootDisk(folder);
    await emptyDisk(folder, 16);
    const image = (await cachedCardImage())!;
    const reports: unknown[] = [];
    const opened = starting.use(
      await openDevices({
        disks: [root.path, ...disks.map((disk) => disk.replace("FOLDER", folder))],
        net,
        consoles: ["none"],
        address: undefined,
        name: "mic0",
        configureTap: false,
        insecure: false,
      }, { detach: () => {}, report: (error) => reports.push(error) }),
    );
    const choices = { kernel: undefined, initrd: undefined, cmdline: undefined, name: "mic0" };
    const images = await linuxImages({ ...choices, address: opened.address }, {
      kernel: `${image.folder}/vmlinux`,
      initrd: `${image.folder}/initrd.img`,
      cmdline: image.manifest.cmdline,
    });
    const listener = listenTcp("127.0.0.1", 0);
    const { port } = listener;
    const host = starting.use(
      new Host({ listener, cards: [{ name: "mic0", devices: opened.devices, images }] }),
    );
    starting.use(
      await LabProcess.start("card", ["--connect", `127.0.0.1:${port}`, "--machine", "v86"], {
        limit: LIMIT,
      }),
    );
    const lab = new HotLab(folder, opened, host, reports, starting.move());
    await lab.run("true");
    return lab;
  }

  get card(): Card {
    return this.#host.cards.get("mic0")!;
  }

  /** What `command` writes in the card, both outputs; fails unless it ends with 0. */
  async run(command: string): Promise<string> {
    const { output, status } = await this.try(command);
    if (status !== 0) throw new Error(`"${command}" ended with ${status}: ${output}`);
    return output;
  }

  /** The same, however it ends. */
  async try(command: string): Promise<{ readonly output: string; readonly status: number }> {
    let output = "";
    const text = new TextDecoder();
    const write = (bytes: Uint8Array): Promise<void> => {
      output += text.decode(bytes, { stream: true });
      return Promise.resolve();
    };
    const status = await this.#opened.exec.run(command, { stdout: write, stderr: write });
    return { output, status };
  }

  /**
   * Does `change` while a shell in the card waits until `condition` holds there; how long after the change it did, ms.
   * Fails if it does not within half a minute.
   */
  async seen(condition: string, change: () => void | Promise<void>): Promise<number> {
    const watching = Promise.withResolvers<void>();
    const text = new TextDecoder();
    const command =
      `echo watching; for i in $(seq 3000); do ${condition} && exit 0; usleep 10000; done; exit 1`;
    const ended = this.#opened.exec.run(command, {
      stdout: (bytes) => {
        if (text.decode(bytes).includes("watching")) watching.resolve();
        return Promise.resolve();
      },
      stderr: () => Promise.resolve(),
    });
    await watching.promise;
    const begun = performance.now();
    await change();
    const status = await ended;
    if (status !== 0) throw new Error(`The card does not see it: ${condition}`);
    return Math.round(performance.now() - begun);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
