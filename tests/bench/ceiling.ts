/**
 * The bare link: the same frames as a disk's requests, between two processes, and the same I/O on the same image at the
 * host's end, but no virtio and no device. It is what the bridge can reach at most; without an image, what the link can.
 *
 * @module
 */
import type { CardQuestion, CeilingResult } from "./ceiling_card.ts";
import type { Load } from "./ceiling_layout.ts";
import type { HostQuestion } from "./ceiling_host.ts";
import { Conversation } from "./conversation.ts";

const PERMISSIONS = ["--allow-net=127.0.0.1"];
const HOST_PERMISSIONS = [...PERMISSIONS, "--allow-ffi"];

export class Ceiling implements AsyncDisposable {
  readonly #host: Conversation;
  readonly #card: Conversation;

  private constructor(host: Conversation, card: Conversation) {
    this.#host = host;
    this.#card = card;
  }

  /** Without `image` no request has any I/O. */
  static async start(image?: string): Promise<Ceiling> {
    await using starting = new AsyncDisposableStack();
    const [permissions, args] = image === undefined
      ? [HOST_PERMISSIONS, []]
      : [[...HOST_PERMISSIONS, `--allow-read=${image}`, `--allow-write=${image}`], [image]];
    const host = starting.use(new Conversation("ceiling_host.ts", permissions, args));
    const port = await host.ask<number>({ type: "listen" } satisfies HostQuestion);
    const card = new Conversation("ceiling_card.ts", PERMISSIONS, [String(port)]);
    starting.move();
    return new Ceiling(host, card);
  }

  async run(load: Load, seconds: number): Promise<CeilingResult> {
    await this.#host.ask({ type: "load", load } satisfies HostQuestion);
    return await this.#card.ask({ ...load, seconds } satisfies CardQuestion);
  }

  /** Seconds until `bytes`, posted `piece` by `piece`, are with the card. */
  async download(bytes: number, piece: number): Promise<number> {
    return await this.#host.ask({ type: "download", bytes, piece } satisfies HostQuestion);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#card[Symbol.asyncDispose]();
    await this.#host[Symbol.asyncDispose]();
  }
}
