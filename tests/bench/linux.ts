/**
 * Starts a Linux card with or without the bridge, from the same kernel, initrd, command line and disk, and waits for
 * what it says on its serial port. Times are taken here, by one clock.
 *
 * @module
 */
import type { CardImage } from "../../scripts/cli/mod.ts";
import { taskArguments } from "../../scripts/cli/tasks.ts";
import type { Namespace } from "../support/namespace.ts";
import { endProcess, linesOf, listeningPort } from "./processes.ts";

export type Variant = "bridge" | "bare";

export interface LinuxOptions {
  readonly image: CardImage;
  /** Image of its root disk; written to. */
  readonly disk: string;
  /** Where its processes run, with a TAP for its network; without it there is none. */
  readonly namespace: Namespace | undefined;
}

/** Of the card in its namespace. */
export const CARD_ADDRESS = "10.97.1.1";
const GATEWAY = "10.97.1.254";
const TAP = "card";

const CHILD = new URL("linux_child.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
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
    const { image, disk, namespace } = options;
    const within = namespace?.within ?? [];
    const net = namespace === undefined ? "" : ` knightsbridge.net=${CARD_ADDRESS}/24,${GATEWAY}`;
    const boot = [
      ...["--kernel", `${image.folder}/vmlinux`, "--initrd", `${image.folder}/initrd.img`],
      ...["--cmdline", `${image.manifest.cmdline} knightsbridge.name=mic0${net}`, "--disk", disk],
    ];
    const started = performance.now();
    if (variant === "bare") {
      const tap = namespace === undefined ? [] : ["--tap", TAP, "--gateway", GATEWAY];
      const ffi = namespace === undefined ? [] : ["--allow-ffi"];
      const child = spawn([...within, ...childWords(ffi), ...boot, ...tap], "inherit");
      return new Linux(started, [child]);
    }
    const tap = namespace === undefined
      ? []
      : ["--net", `tap:${TAP}`, "--address", `${CARD_ADDRESS}/24,${GATEWAY}`];
    const host = spawn([
      ...[...within, "deno", ...await taskArguments("host"), "--listen", "127.0.0.1:0"],
      ...["--console", "none", "--control", "none", "--json", ...boot, ...tap],
    ], "piped");
    const port = await listeningPort(host);
    await host.stdout.cancel();
    const card = spawn([...within, ...childWords([]), "--connect", String(port)], "inherit");
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

const childWords = (
  more: readonly string[],
): string[] => ["deno", "run", "--config", CONFIG, ...PERMISSIONS, ...more, CHILD];

function spawn([program, ...args]: string[], stderr: "piped" | "inherit"): Deno.ChildProcess {
  return new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr }).spawn();
}
