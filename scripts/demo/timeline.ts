/**
 * The boot of a card as a person sees it: the steps as they come, each with its time, and a summary of the tour.
 *
 * @module
 */
import { tell } from "../cli/mod.ts";
import type { PairEvent } from "./pair.ts";

export interface TimelineOptions {
  /** Show only what goes wrong. */
  readonly quiet: boolean;
  /** Show every event. */
  readonly verbose: boolean;
  /** Where lines go; stderr by default. */
  readonly say?: (line: string) => void;
}

/** What is told of the card OS's life, by name of the state. */
const STATES: Readonly<Record<string, string>> = {
  booting: "downloading the card OS",
  online: "the card OS is up",
  shutting_down: "the card OS is shutting down",
};

export class Timeline {
  readonly #options: TimelineOptions;
  readonly #line: (line: string) => void;
  /** The steps of this boot. */
  readonly #told = new Set<string>();
  /** Times of the steps, ms since this process started. */
  readonly #steps: { readonly what: string; readonly at: number }[] = [];

  constructor(options: TimelineOptions) {
    this.#options = options;
    this.#line = options.say ?? tell;
  }

  add(event: PairEvent): void {
    const step = stepOf(event);
    if (step === STATES["booting"]) this.#told.clear();
    // A state comes again when its reason is known, and a card OS may repeat the bootstrap's last POST code.
    const what = step === undefined || this.#told.has(step) ? undefined : step;
    const problem = problemOf(event);
    if (what !== undefined) {
      this.#told.add(what);
      this.#steps.push({ what, at: performance.now() });
    }
    if (problem !== undefined) this.#say(problem);
    else if (this.#options.verbose) {
      this.#say(`${event.end}: ${JSON.stringify({ ...event, end: undefined })}`);
    } else if (what !== undefined && !this.#options.quiet) this.#say(what);
  }

  /** The steps with their times, and how it ended. */
  summary(status: number): void {
    this.#line("\nSummary, seconds from the start:");
    for (const { what, at } of this.#steps) {
      this.#line(`  ${(at / 1000).toFixed(2).padStart(7)}  ${what}`);
    }
    this.#line(status === 0 ? "  all went well" : `  the tour ended with status ${status}`);
  }

  #say(text: string): void {
    // The host may have put the terminal into raw mode by now.
    this.#line(`  ${(performance.now() / 1000).toFixed(2).padStart(6)} s  ${text}\r`);
  }
}

function stepOf(event: PairEvent): string | undefined {
  if (event.end === "card") return undefined;
  if (event.type === "listening") return "host is listening";
  if (event.type === "console" && event["name"] === "stdio") {
    return "console on this terminal, Ctrl-] leaves";
  }
  if (event.type === "stopped") return `card OS stopped: ${event["reason"]}`;
  if (event.type !== "card") return undefined;
  const inner = event["event"] as PairEvent & Record<string, unknown>;
  switch (inner.type) {
    case "found":
      return "card found, waiting for its OS";
    case "state":
      return STATES[inner["state"] as string];
    case "post_code":
      return inner["text"] === "FF" ? "bootstrap done, the kernel starts" : undefined;
    case "device_started":
      return `driver ready: ${inner["device"]}`;
    default:
      return undefined;
  }
}

function problemOf(event: PairEvent): string | undefined {
  if (event.type === "failed" || event.type === "backend") return `${event.end}: ${event["error"]}`;
  if (event.type === "stopped" && event["reason"] === "crashed") return "host: the card OS crashed";
  if (event.type === "refused") return `${event.end}: ${event["text"]}`;
  const inner = event["event"] as { type?: string; error?: string } | undefined;
  return inner?.type === "fault" ? `device fault: ${inner.error}` : undefined;
}
