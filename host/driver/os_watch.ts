/**
 * Watches over the card OS while it runs: its heartbeat, and at a crash what its kernel had to say.
 *
 * The heartbeat is that of the OS, which the card counts while the OS takes interrupts. One that does not come is missed
 * only while the card can be reached: a lost link, a host that was stopped or a card that waits for its host is no hang.
 *
 * @module
 */
import { LinkError, ProtocolError } from "../../protocol/mod.ts";
import type { CardPatience } from "./card_patience.ts";
import { logText, readKernelLog } from "./kernel_log.ts";
import type { Probed } from "./probe.ts";

/** How often the heartbeat is looked at, ms. A process that was stopped meanwhile has looked once. */
const STEP = 1000;

export interface OsWatchOptions {
  readonly patience: CardPatience;
  /** The heartbeat as the card wrote it last. */
  heartbeat(): number;
  /** No heartbeat for `patience.hangTimeout`: called once. */
  hung(): void;
  /** What `kernelLog` found after a crash. */
  logged(text: string): void;
}

export class OsWatch implements Disposable {
  readonly #options: OsWatchOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  #log: Promise<void> = Promise.resolve();

  constructor(options: OsWatchOptions) {
    this.#options = options;
  }

  /** A card OS was started, or adopted. */
  begin(): void {
    const { patience, heartbeat, hung } = this.#options;
    const step = Math.min(STEP, patience.hangTimeout);
    let last = heartbeat();
    let missed = 0;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      const now = heartbeat();
      if (now !== last) missed = 0;
      else if (patience.reachable) missed += step;
      last = now;
      if (missed < patience.hangTimeout) return;
      this[Symbol.dispose]();
      hung();
    }, step);
  }

  /** The card OS crashed: takes its log. `taken` tells when that is done. */
  crashed(probed: Probed, signal: AbortSignal): void {
    this.#log = this.#takeLog(probed, signal);
  }

  /** Resolves when nothing more is to be had of a crashed OS, and the card may be reset. */
  get taken(): Promise<void> {
    return this.#log;
  }

  /** Its log as lines that no terminal obeys, empty from a card that keeps none. @throws {ProtocolError} */
  async kernelLog(probed: Probed, signal: AbortSignal): Promise<string> {
    const bytes = await readKernelLog(probed, this.#options.patience, signal);
    return bytes === undefined ? "" : logText(bytes);
  }

  /** The card OS is not watched any more. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #takeLog(probed: Probed, signal: AbortSignal): Promise<void> {
    try {
      const text = await this.kernelLog(probed, signal);
      if (text !== "") this.#options.logged(text);
    } catch (error) {
      // The card that does not answer will not answer its reset either, which is told.
      if (!(error instanceof ProtocolError || error instanceof LinkError)) throw error;
    }
  }
}
