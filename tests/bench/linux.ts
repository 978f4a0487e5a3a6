/**
 * Starts a Linux card with or without the bridge, from the same kernel, initrd, command line and disk, and waits for
 * what it says on its serial port. Times are taken here, by one clock.
 *
 * @module
 */
import { type CardImage, spawnTask } from "../../scripts/cli/mod.ts";
import { copyDisk } from "../../scripts/demo/disk.ts";
import { endProcess, linesOf, listeningPort, startProgram } from "./processes.ts";

export type Variant = "bridge" | "bare";

export interface LinuxOptions {
  readonly image: CardImage;
  /** Instead of the image's own. */
  readonly initrd?: string;
  /** Folder for the disk's copy. */
  readonly folder: string;
}

const CHILD = new URL("linux_child.ts", import.meta.url);
const PERMISSIONS = ["--allow-net=127.0.0.1", "--allow-read", "--allow-write"];

/** A card that boots; ended, with its host, when disposed. */
export class Linux implements AsyncDisposable {
  /** When its first process was started, by `performance.now()`. */
  readonly started: number;
  readonly #children: Deno.ChildProcess[];
  readonly #lines: ReadableStreamDefaultReader<string>;

  private constructor(started: number, children: Deno.ChildProcess[]) {
    this.started = started;
    this.#children = children;
    this.#lines = linesOf(children.at(-1)!.stdout).getReader();
  }

  static async start(variant: Variant, options: LinuxOptions): Promise<Linux> {
    const { image, folder, initrd = `${image.folder}/initrd.img` } = options;
    const disk = `${folder}/${variant}.img`;
    await copyDisk(`${image.folder}/root.img`, disk);
    const boot = [
      ...["--kernel", `${image.folder}/vmlinux`, "--initrd", initrd],
      ...["--cmdline", image.manifest.cmdline, "--disk", disk],
    ];
    const started = performance.now();
    if (variant === "bare") return new Linux(started, [startProgram(CHILD, PERMISSIONS, boot)]);
    const host = await spawnTask(
      "host",
      ["--listen", "127.0.0.1:0", "--console", "none", "--control", "none", "--json", ...boot],
      { stdin: "null", stdout: "null", stderr: "piped" },
    );
    const port = await listeningPort(host);
    const card = startProgram(CHILD, PERMISSIONS, ["--connect", String(port)]);
    return new Linux(started, [host, card]);
  }

  /** When a line came that has `text` in it, by `performance.now()`. */
  async seen(text: string): Promise<number> {
    for (;;) {
      const { value, done } = await this.#lines.read();
      if (done) throw new Error(`Cannot see "${text}": the card ended`);
      if (value.includes(text)) return performance.now();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map(endProcess));
    await this.#lines.cancel();
  }
}
