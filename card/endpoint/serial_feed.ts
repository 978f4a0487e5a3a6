/**
 * Serial output on its way to the host: a piece at a time into the host page, each when the host has asked for it.
 *
 *     card OS ── port ── SerialLog ── piece n ──> host page       header, MSI 0
 *                                  <── request n + 1 ── card page, doorbell 0     "n is taken; the next, please"
 *
 * The host so says how fast it takes them. The card OS waits for nobody: what is not asked for in time is overwritten, and
 * the next piece begins behind what is missing.
 *
 * A piece is whole lines, so that none is divided between two hosts; but for a line that is longer than a piece, was not
 * ended for a second, or was the card OS's last.
 *
 * - **Invariant:** one piece at most is under way. A piece that no host has taken goes to the next host, once.
 *
 * @module
 */
import { page, viewOf } from "../../protocol/mod.ts";
import type { HostPage } from "../driver/host_page.ts";
import type { SerialLog } from "./serial_log.ts";

const { CARD_HEADER, SERIAL_SIZE } = page;
const NEWLINE = 10;
/** A line that is not ended is waited for so long, ms. */
const LINE_PATIENCE = 1000;

export interface SerialFeedOptions {
  readonly log: SerialLog;
  /** The live one: where the host asks. */
  readonly cardPage: Uint8Array;
  readonly hostPage: HostPage;
}

export class SerialFeed {
  readonly #options: SerialFeedOptions;
  /** What the host asked for last, and the request that was answered last; 0 for none. */
  #request = 0;
  #answered = 0;
  /** Bytes that hosts have taken, or lost, and the end of the piece that is under way. */
  #taken = 0;
  #sent = 0;
  #offering = false;
  /** Runs while all there is to say is a line that is not ended. */
  #unfinished: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(options: SerialFeedOptions) {
    this.#options = options;
  }

  /** From within the CPU: many bytes make one piece. */
  add(byte: number): void {
    this.#options.log.add(byte);
    if (this.#offering || !this.#wanted) return;
    this.#offering = true;
    queueMicrotask(() => {
      this.#offering = false;
      this.#offer();
    });
  }

  /** The host may have asked for a piece. */
  asked(): void {
    const { cardPage } = this.#options;
    const { serial_request } = CARD_HEADER.read(viewOf(cardPage));
    if (serial_request === this.#request) return;
    this.#request = serial_request;
    this.#taken = this.#sent;
    this.#offer();
  }

  /** The host is gone, and has not taken what it has not said it took. */
  park(): void {
    this.#stopTimer();
    this.#sent = this.#taken;
    this.#request = this.#answered = 0;
    this.#options.hostPage.setSerial({ piece: 0, position: 0, waiting: 0 });
  }

  /** The card OS has stopped: the host page is to say how much is still to come, at its next publish. */
  ended(): void {
    const { log, hostPage } = this.#options;
    this.#ended = true;
    this.#offer();
    hostPage.setHeader({ serial_waiting: log.written - this.#sent });
  }

  get #wanted(): boolean {
    return this.#request !== this.#answered && this.#request !== 0;
  }

  #offer(late = false): void {
    const { log, hostPage } = this.#options;
    if (!this.#wanted || log.written === this.#taken) return;
    const from = Math.max(this.#taken, log.kept);
    const bytes = log.slice(from, Math.min(from + SERIAL_SIZE, log.written));
    const lines = bytes.lastIndexOf(NEWLINE) + 1;
    if (lines === 0 && bytes.length < SERIAL_SIZE && !late && !this.#ended) {
      this.#unfinished ??= setTimeout(() => this.#offer(true), LINE_PATIENCE);
      return;
    }
    this.#stopTimer();
    const piece = lines > 0 ? bytes.subarray(0, lines) : bytes;
    this.#sent = from + piece.length;
    this.#answered = this.#request;
    hostPage.setSerial({
      piece: this.#request,
      position: from % 2 ** 32,
      waiting: log.written - this.#sent,
    }, piece);
    hostPage.publish();
  }

  #stopTimer(): void {
    clearTimeout(this.#unfinished);
    this.#unfinished = undefined;
  }
}
