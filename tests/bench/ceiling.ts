/**
 * The bare link: the same frames as a disk's requests, between two processes, with no virtio and no disk. It is what the
 * bridge can reach at most.
 *
 * @module
 */
import type { CardQuestion, CeilingResult } from "./ceiling_card.ts";
import type { Load } from "./ceiling_frames.ts";
import type { HostQuestion } from "./ceiling_host.ts";
import { Conversation } from "./conversation.ts";

const PERMISSIONS = ["--allow-net=127.0.0.1"];

export class Ceiling implements AsyncDisposable {
  readonly #host: Conversation;
  readonly #card: Conversation;

  private constructor(host: Conversation, card: Conversation) {
    this.#host = host;
    this.#card = card;
  }

  static async start(): Promise<Ceiling> {
    await using starting = new AsyncDisposableStack();
    const host = starting.use(new Conversation("ceiling_host.ts", PERMISSIONS));
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
