/**
 * The boots of one card, written down as they happen: steps with their times, POST codes, and how each ended.
 *
 *     connected, probed ──> reset ─ kernel ─ initrd ─ POST codes ─ driver … ─ online ──> shutdown asked ─ stopped ─ ready
 *     (kept for the next)   a new record begins with `booting`                           the record is ended, not closed
 *
 * A record takes steps until the next one begins: what comes of a boot after its end (the kernel's log, the reset)
 * belongs to it. A card OS that outlived its host goes on with the record that was open then.
 *
 * - **Invariant:** whatever a card does, a record stays bounded: steps and POST codes are counted, texts are cut.
 *
 * @module
 */
import type { ShutdownReason } from "../../protocol/mod.ts";
import type { BootRecord, BootStep } from "../control/card_control.ts";
import type { CardEvent } from "../driver/events.ts";
import type { LifeState } from "../driver/states.ts";
import type { CardHappening } from "./events.ts";

/** Records kept. */
export const KEPT_BOOTS = 50;
/** Of one record. */
const MAX_STEPS = 256;
const MAX_POST_CODES = 256;
/** Characters of a detail; the card wrote them. */
const MAX_DETAIL = 1024;
/** Characters of the kernel's log: its end. */
const MAX_KERNEL_LOG = 64 * 1024;

/** What is known of a card from hosts before this one. */
export interface SavedBoots {
  readonly bootCount: number;
  readonly crashCount: number;
  /** Oldest first. */
  readonly records: readonly BootRecord[];
}

export interface BootRecorderOptions {
  /** What it boots, in a word or two. */
  readonly os: () => string;
  /** `disk0`; undefined for a slot without a device. */
  readonly deviceName: (slot: number) => string | undefined;
  readonly saved?: SavedBoots | undefined;
  /** A step was added; synchronous, must not throw. */
  readonly onStep?: (boot: number, step: BootStep) => void;
  /** Something of a record, or a count, is not what it was: for whoever keeps them. */
  readonly onChange?: (record: BootRecord) => void;
  /** ms since 1970. */
  readonly now?: () => number;
}

type Open = { -readonly [K in keyof BootRecord]: BootRecord[K] } & {
  steps: BootStep[];
  postCodes: { readonly code: string; readonly time: number }[];
};

export class BootRecorder {
  readonly #options: BootRecorderOptions;
  readonly #now: () => number;
  readonly #records: Open[];
  #bootCount: number;
  #crashCount: number;
  /** Steps of the next record. */
  #before: BootStep[] = [];
  #state: LifeState | undefined;

  constructor(options: BootRecorderOptions) {
    const { saved } = options;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#records = (saved?.records ?? []).slice(-KEPT_BOOTS).map((record) => ({
      ...record,
      steps: [...record.steps],
      postCodes: [...record.postCodes],
    }));
    this.#bootCount = Math.max(saved?.bootCount ?? 0, this.#last?.number ?? 0);
    this.#crashCount = saved?.crashCount ?? 0;
  }

  /** Newest last. */
  get records(): readonly BootRecord[] {
    return this.#records;
  }
  get last(): BootRecord | undefined {
    return this.#last;
  }
  /** Since the card was first configured. */
  get bootCount(): number {
    return this.#bootCount;
  }
  get crashCount(): number {
    return this.#crashCount;
  }

  /** Feed it everything that happens to the card, in order. */
  happened(happening: CardHappening): void {
    switch (happening.type) {
      case "connected":
        this.#state = undefined;
        this.#before = [];
        return this.#step("connected", happening.peer, "next");
      case "card":
        return this.#card(happening.event);
      case "failed":
        return this.#failed(happening.error.message);
      case "gone": {
        this.#state = undefined;
        const record = this.#last;
        if (record && record.ended === undefined && happening.reason === "crashed") {
          this.#end(record, "crashed", false);
        }
        if (record?.reason === "crashed" && record.ended !== undefined) {
          this.#detail(record, "the card process is gone");
        }
        return;
      }
    }
  }

  /** A step that the driver does not tell of; kept for the next record while none is open. */
  step(step: string, detail?: string): void {
    this.#step(step, detail, "open");
  }

  get #last(): Open | undefined {
    return this.#records.at(-1);
  }

  #card(event: CardEvent): void {
    switch (event.type) {
      case "found":
        return this.#step("probed", `${event.info.platform}, ${event.info.memoryMib} MiB`, "next");
      case "state":
        this.#moved(this.#state, event.state, event.reason);
        this.#state = event.state;
        return;
      case "progress":
        if (event.done < event.total) return;
        return this.#step(event.part, sizeText(event.total), "last");
      case "post_code":
        return this.#postCode(event.text, event.time);
      case "ended":
        return this.#told(event.reason, event.detail);
      case "kernel_log":
        return this.#kernelLog(event.text);
      case "device_started": {
        const name = this.#options.deviceName(event.slot) ?? `slot ${event.slot}`;
        return this.#step(`driver ${name}`, event.device, "last");
      }
      case "fault":
        return this.#step(
          `fault ${this.#options.deviceName(event.slot) ?? `slot ${event.slot}`}`,
          event.error.message,
          "last",
        );
    }
  }

  /** The card's word on the end, which its change of state follows; but for an end that no host saw. */
  #told(reason: ShutdownReason, detail: string): void {
    const record = this.#last;
    if (record === undefined || record.ended !== undefined) return;
    this.#detail(record, detail);
    if (this.#state === undefined) this.#end(record, reason, record.asked ?? false);
  }

  #moved(from: LifeState | undefined, to: LifeState, reason: ShutdownReason): void {
    const record = this.#last;
    const open = record !== undefined && record.ended === undefined;
    switch (to) {
      case "booting":
        return this.#begin();
      case "online":
        return from === "booting" ? this.#online() : this.#adopted();
      case "shutting_down":
      case "suspending": {
        // Told twice if it was asked for: when it was, and when the card OS has stopped.
        const asked = open && from === "online" && reason === "nop";
        if (asked) return this.#asked(to === "suspending" ? "suspend asked" : "shutdown asked");
        if (open) this.#end(record, reason, record.asked ?? false);
        return;
      }
      case "resetting":
        // Nobody has heard of its end: somebody reset it.
        if (open) this.#end(record, "nop", true, "reset");
        if (record) this.#step("reset", undefined, "last");
        return;
      case "ready":
        if (from === "booting" && open) this.#end(record, "nop", false);
        return this.#step("ready", undefined, from === undefined ? "next" : "last");
      case "suspended":
      case "reset_failed":
        return this.#step(to, undefined, from === undefined ? "next" : "last");
    }
  }

  #begin(): void {
    const before = this.#last;
    // The host that began it was gone before its end, and so was the card OS when this one came.
    if (before && before.ended === undefined) {
      this.#end(before, "nop", false, "no host saw its end");
    }
    const record: Open = {
      number: ++this.#bootCount,
      os: this.#options.os(),
      begun: this.#now(),
      steps: this.#before,
      postCodes: [],
    };
    this.#before = [];
    this.#records.push(record);
    if (this.#records.length > KEPT_BOOTS) this.#records.shift();
    this.#step("booting", undefined, "last");
  }

  #online(): void {
    this.#last!.online = this.#now();
    this.#step("online", undefined, "last");
  }

  #adopted(): void {
    const record = this.#last;
    if (record === undefined || record.ended !== undefined) this.#begin();
    const { steps } = this.#last!;
    steps.push(...this.#before);
    this.#before = [];
    this.#last!.online ??= this.#now();
    this.#step("adopted", undefined, "last");
  }

  #asked(step: string): void {
    const record = this.#last;
    if (record) record.asked = true;
    this.#step(step, undefined, "last");
  }

  #end(record: Open, reason: ShutdownReason, asked: boolean, detail?: string): void {
    record.ended = this.#now();
    record.reason = reason;
    record.asked = asked;
    if (detail !== undefined) record.detail = detail;
    if (reason === "crashed") this.#crashCount++;
    this.#step("stopped", [reason, record.detail].filter((text) => text).join(": "), "last");
  }

  /** A boot that failed before the card OS could say anything ends with the host's sentence. */
  #failed(text: string): void {
    const record = this.#last;
    // What fails before a card was found has nothing to do with the boot of the one before.
    if (this.#state === undefined || record?.ended === undefined || record.online !== undefined) {
      return;
    }
    this.#detail(record, text);
  }

  /** The first one stays: what the card said comes before what others make of it. */
  #detail(record: Open, text: string): void {
    if (record.detail !== undefined || text === "") return;
    record.detail = text.slice(0, MAX_DETAIL);
    this.#options.onChange?.(record);
  }

  /** Of the boot that ended last. */
  #kernelLog(text: string): void {
    const record = this.#last;
    if (record === undefined) return;
    record.kernelLog = text.slice(-MAX_KERNEL_LOG);
    this.#options.onChange?.(record);
  }

  #postCode(code: string, time: number): void {
    const record = this.#last;
    // Those of a reset are the old machine's end, not the new one's beginning.
    if (record === undefined) return;
    if (record.postCodes.length < MAX_POST_CODES) record.postCodes.push({ code, time });
    const meaning = record.ended === undefined ? POST_STEPS[code] : undefined;
    if (meaning !== undefined) this.#step(meaning, `POST ${code}`, "last");
    else this.#options.onChange?.(record);
  }

  #step(step: string, detail: string | undefined, into: "next" | "last" | "open"): void {
    const time = this.#now();
    const entry = {
      step,
      time,
      ...(detail !== undefined && { detail: detail.slice(0, MAX_DETAIL) }),
    };
    const record = this.#last;
    const none = record === undefined || into === "next" ||
      (into === "open" && record.ended !== undefined);
    const steps = none ? this.#before : record.steps;
    if (steps.length >= MAX_STEPS) return;
    steps.push(entry);
    if (!none) this.#options.onChange?.(record);
    const boot = record && (!none || record.ended === undefined)
      ? record.number
      : this.#bootCount + 1;
    this.#options.onStep?.(boot, entry);
  }
}

/** POST codes that are a step of their own. */
const POST_STEPS: Readonly<Record<string, string>> = {
  "13": "bootstrap",
  "15": "verified",
  "17": "plugged",
  "FF": "os",
};

function sizeText(bytes: number): string {
  if (bytes < 2 ** 20) return `${Math.ceil(bytes / 1024)} KiB`;
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
