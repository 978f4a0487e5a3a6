/**
 * A host and a card as two processes on loopback, as on two machines; only for tests.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { assertEquals } from "@std/assert";
import { cachedCardImage, type Manifest } from "../../scripts/cli/mod.ts";
import { copyDisk } from "../../scripts/demo/disk.ts";
import { findTool } from "../../scripts/tools.ts";
import { type LabEvent, LabProcess, type LabProcessOptions } from "./lab_process.ts";

export interface LabOptions extends LabProcessOptions {
  readonly os: "linux" | "diag";
  /** Further arguments of the host: disks, network, consoles, a command. */
  readonly host?: readonly string[];
  /** Further arguments of the card. */
  readonly card?: readonly string[];
  /** The port the card is to call, given the host's: a proxy goes here. */
  readonly via?: (hostPort: number) => number | Promise<number>;
}

export class Lab implements AsyncDisposable {
  readonly host: LabProcess;
  readonly card: LabProcess;

  private constructor(host: LabProcess, card: LabProcess) {
    this.host = host;
    this.card = card;
  }

  /** Starts both; resolves when the card process runs. Its OS boots from now on. */
  static async start(options: LabOptions): Promise<Lab> {
    const { os, host = [], card = [], via = (port) => port, ...process } = options;
    await using starting = new AsyncDisposableStack();
    const listen = ["--listen", "127.0.0.1:0", "--os", os, "--json"];
    const hostProcess = starting.use(
      await LabProcess.start("host", [...listen, ...host], process),
    );
    const { port } = await hostProcess.event(({ type }) => type === "listening");
    const connect = ["--connect", `127.0.0.1:${await via(port as number)}`, "--json"];
    const machine = ["--machine", os === "linux" ? "v86" : "diag"];
    const cardProcess = await LabProcess.start("card", [...connect, ...machine, ...card], process);
    starting.move();
    return new Lab(hostProcess, cardProcess);
  }

  /** Resolves when the card OS has its drivers bound; `from` is an index into the host's events. */
  async online(from = 0): Promise<void> {
    await this.host.event(isState("online"), from);
  }

  /** What the host's command printed, once it has ended; fails unless it ended with `status`. */
  async result(status = 0): Promise<string> {
    const ended = await this.host.ended;
    if (ended !== status) console.error(this.host.transcript(), this.card.transcript());
    assertEquals(ended, status);
    return this.host.stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The host first: it shuts the card OS down, which needs its card.
    await this.host[Symbol.asyncDispose]();
    await this.card[Symbol.asyncDispose]();
  }
}

/** Events of the host driver, unwrapped. */
export const isState = (state: string) => ({ type, event }: LabEvent): boolean => {
  const inner = event as LabEvent | undefined;
  return type === "card" && inner?.type === "state" && inner["state"] === state;
};

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "kb-e2e-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** A copy of the card image's root disk, and what the image is made of. `deno task test` has built it. */
export async function rootDisk(
  folder: string,
): Promise<{ readonly path: string; readonly manifest: Manifest }> {
  const image = await cachedCardImage();
  if (image === undefined) throw new Error("No card image: run deno task card-os");
  const path = `${folder}/root.img`;
  await copyDisk(`${image.folder}/root.img`, path);
  return { path, manifest: image.manifest };
}

/** An empty disk of `mib` MiB. */
export async function emptyDisk(folder: string, mib = 64): Promise<string> {
  const path = `${folder}/disk.img`;
  using file = await Deno.open(path, { write: true, createNew: true });
  await file.truncate(mib * 1024 * 1024);
  return path;
}

/** Environment in which a host finds passt; undefined, with the reason printed, where it cannot be had. */
export async function passtEnvironment(): Promise<Record<string, string> | undefined> {
  const tool = await findTool("passt", (reason) => console.error(reason));
  if (tool === undefined) {
    console.error("skipped here: no passt");
    return undefined;
  }
  const folder = tool.path.slice(0, tool.path.lastIndexOf("/"));
  return { PATH: `${folder}:${Deno.env.get("PATH") ?? ""}`, ...tool.env };
}

/** Runs a program of this machine. @throws {Error} with its words, if it fails */
export async function onHost(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const text = new TextDecoder();
  if (!success) {
    throw new Error(`${program} ${args.join(" ")}: ${text.decode(stdout)}${text.decode(stderr)}`);
  }
  return text.decode(stdout);
}

/** As {@linkcode onHost}, with a tool that Debian keeps where an ordinary user's PATH does not look. */
export async function sbin(program: string, ...args: string[]): Promise<string> {
  return await onHost("sh", "-c", 'PATH=$PATH:/usr/sbin:/sbin exec "$@"', "-", program, ...args);
}

export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

/** As `sha256sum` and `md5sum` print it. */
export const digest = (name: "sha256" | "md5", bytes: Uint8Array): string =>
  createHash(name).update(bytes).digest("hex");
