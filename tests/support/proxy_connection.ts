/**
 * One connection through a proxy: two sockets and a lane each way between them.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { Direction } from "./proxy.ts";
import { Lane, type LaneOptions } from "./proxy_lane.ts";

export interface ProxyConnectionOptions extends LaneOptions {
  /** Passes bytes on; how many, where a cut came between them. */
  forward(direction: Direction, bytes: Uint8Array): Promise<number>;
}

export class ProxyConnection {
  readonly lanes: Readonly<Record<Direction, Lane>>;
  readonly #card: Socket;
  readonly #host: Socket;
  readonly #gone: Promise<unknown>;
  readonly #over = new AbortController();

  /** Owns both sockets. */
  constructor(card: Socket, host: Socket, options: ProxyConnectionOptions) {
    this.#card = card;
    this.#host = host;
    // One end that is gone without a word ends the other: it finds out as it would without us.
    this.#gone = Promise.all([card, host].map((socket) =>
      new Promise<void>((resolve) => {
        socket.on("error", () => this.end("close"));
        socket.once("close", () => resolve());
      })
    ));
    const { signal } = this.#over;
    const { forward } = options;
    this.lanes = {
      cardToHost: new Lane(card, options, (bytes) => forward("cardToHost", bytes), signal),
      hostToCard: new Lane(host, options, (bytes) => forward("hostToCard", bytes), signal),
    };
  }

  /** Forwards both ways until both have ended. Never rejects. */
  async run(): Promise<void> {
    await Promise.all([
      this.lanes.cardToHost.run().then((whole) => this.#ended(this.#host, whole)),
      this.lanes.hostToCard.run().then((whole) => this.#ended(this.#card, whole)),
    ]);
    this.end("close");
    await this.#gone;
  }

  /** Resolves when the kernel has all of `bytes`. */
  write(direction: Direction, bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return Promise.resolve();
    const to = direction === "cardToHost" ? this.#host : this.#card;
    return new Promise((resolve, reject) => {
      this.#over.signal.addEventListener("abort", reject, { once: true });
      to.write(bytes, (error) => {
        this.#over.signal.removeEventListener("abort", reject);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** Ends both sides at once. */
  end(how: "close" | "reset"): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    for (const socket of [this.#card, this.#host]) {
      if (how === "reset") socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  /** One lane came to its end: `to` hears of it, and may still talk. */
  #ended(to: Socket, whole: boolean): void {
    if (whole) to.end();
    else this.end("close");
  }
}
