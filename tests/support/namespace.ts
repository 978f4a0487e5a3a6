/**
 * A network namespace of its own, so that no address of this machine is in the way and nothing is left behind. Root only.
 *
 * @module
 */
import { onHost } from "./lab.ts";

export class Namespace implements AsyncDisposable {
  /** Words before a program that is to run in it. */
  readonly within: readonly string[];
  readonly #name: string;

  private constructor(name: string) {
    this.#name = name;
    // "ip netns exec" would make a mount namespace too, and what is mounted there may differ.
    this.within = ["nsenter", `--net=/run/netns/${name}`];
  }

  static async make(): Promise<Namespace> {
    const namespace = new Namespace(`kb${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`);
    await onHost("ip", "netns", "add", namespace.#name);
    await namespace.run("ip", "link", "set", "lo", "up");
    return namespace;
  }

  async run(...words: string[]): Promise<string> {
    const [program, ...args] = [...this.within, ...words];
    return await onHost(program!, ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await onHost("ip", "netns", "del", this.#name);
  }
}

/** False, with the reason printed, where root may not make a network namespace, as in many containers. */
export async function namespaces(): Promise<boolean> {
  const name = `kb${Deno.pid}-try`;
  try {
    await onHost("ip", "netns", "add", name);
    await onHost("ip", "netns", "del", name);
    return true;
  } catch (error) {
    console.error(`skipped here: ${(error as Error).message.trim()}`);
    return false;
  }
}
