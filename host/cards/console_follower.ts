/**
 * A card's console and its boots: the console is told which boot it shows, and a crash without a kernel's log gets what
 * the console showed last.
 *
 * @module
 */
import type { ConsoleHub } from "../console/hub.ts";
import { logText } from "../driver/kernel_log.ts";
import type { BootRecorder } from "./boot_recorder.ts";
import type { CardHappening } from "./events.ts";

/** Bytes of the console that stand for the kernel's log. */
const LAST_WORDS = 16 * 1024;

export class ConsoleFollower {
  readonly #console: ConsoleHub;
  readonly #recorder: BootRecorder;
  #boot: number | undefined;

  constructor(console: ConsoleHub, recorder: BootRecorder) {
    this.#console = console;
    this.#recorder = recorder;
  }

  /** Feed it what happens to the card, after the recorder. */
  happened(happening: CardHappening): void {
    const { last } = this.#recorder;
    if (last === undefined) return;
    const running = last.ended === undefined;
    const event = happening.type === "card" ? happening.event : undefined;
    // It outlived its host, and ended before this one came: what it had still to say is to come.
    if (!running && event?.type === "ended" && last.number !== this.#boot) {
      this.#boot = last.number;
      return this.#console.beginBoot(last.number, true);
    }
    if (running && last.number !== this.#boot) {
      const state = event?.type === "state" ? event.state : undefined;
      // Of a card OS that outlived its host a record may be open before anybody knows whether it still runs.
      if (state !== "booting" && state !== "online") return;
      this.#boot = last.number;
      this.#console.beginBoot(last.number, state === "online");
    }
    const silent = last.reason === "crashed" && last.kernelLog === undefined;
    if (running || !silent || last.number !== this.#boot) return;
    const text = logText(this.#console.bootTail(LAST_WORDS));
    // One of the card's own that comes later takes its place.
    if (text !== "") this.#recorder.happened({ type: "card", event: { type: "kernel_log", text } });
  }
}
