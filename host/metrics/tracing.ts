/**
 * Spans of what takes a card time: boots with their parts, resets, shutdowns, suspensions, lost connections. For
 * OpenTelemetry, through Deno's own support (`OTEL_DENO=true`).
 *
 * Made from what the control plane is told, when it is over: nothing on the way of a boot waits for a trace, and where
 * nobody records any, nobody listens.
 *
 *     boot ─┬─ probe, reset: before the order, as this process was found
 *           ├─ kernel, initrd, …: one for each part that was downloaded
 *           ├─ bootstrap: from the last part until the card OS had its processor
 *           └─ online: until its drivers had their devices
 *
 * @module
 */
import { context, type Span, SpanStatusCode, trace, type Tracer } from "@opentelemetry/api";
import type { BootRecord, BootStep, CardStatus, HostControl } from "../control/card_control.ts";

/** States that are spans, and the span's name. */
const SPANS: Readonly<Partial<Record<CardStatus["state"], string>>> = {
  resetting: "reset",
  shutting_down: "shutdown",
  suspending: "suspend",
};

/** Steps of a boot that end a part of it, and the part's name; others only happen. */
const PARTS: Readonly<Record<string, string>> = {
  probed: "probe",
  kernel: "download kernel",
  initrd: "download initrd",
  os: "bootstrap",
  online: "online",
};

/** Traces `host` until disposed of; does nothing where no spans are recorded. */
export function traceHost(host: HostControl): Disposable {
  const tracer = trace.getTracer("knightsbridge", host.version);
  // Never ended, and so never sent.
  if (!tracer.startSpan("").isRecording()) return { [Symbol.dispose]() {} };
  const cards = new Map<string, CardTrace>();
  const end = host.subscribe((event) => {
    if (event.type === "log") return;
    let card = cards.get(event.card);
    if (card === undefined) cards.set(event.card, card = new CardTrace(tracer, event.card));
    if (event.type === "card") return card.now(event.status);
    const { step } = event.step;
    if (step !== "online" && step !== "stopped") return;
    const records = host.cards.get(event.card)?.boots() ?? [];
    const record = records.find(({ number }) => number === event.boot);
    if (record) card.booted(record, step === "online");
  });
  return {
    [Symbol.dispose]() {
      end();
      for (const card of cards.values()) card.end();
    },
  };
}

class CardTrace {
  readonly #tracer: Tracer;
  readonly #name: string;
  #state: CardStatus["state"] | undefined;
  #link: CardStatus["link"] | undefined;
  /** Of the state that it is in. */
  #inState: Span | undefined;
  /** While the connection is lost. */
  #lost: Span | undefined;
  /** Number of the last boot whose span was made. */
  #boot = 0;

  constructor(tracer: Tracer, name: string) {
    this.#tracer = tracer;
    this.#name = name;
  }

  /** What the card is now. */
  now({ state, link, reason, boot }: CardStatus): void {
    if (state !== this.#state) {
      this.#inState?.setAttribute("knightsbridge.reason", reason);
      this.#inState?.end();
      const name = SPANS[state];
      this.#inState = name === undefined ? undefined : this.#start(name, { boot });
      this.#state = state;
    }
    if (link === this.#link) return;
    this.#link = link;
    if (link === "down") this.#lost ??= this.#start("reconnect", { boot });
    else {
      if (link === "none") this.#lost?.setStatus({ code: SpanStatusCode.ERROR });
      this.#lost?.end();
      this.#lost = undefined;
    }
  }

  /** A boot has come to its end, one way or the other: the card OS is `online`, or never was. */
  booted(record: BootRecord, online: boolean): void {
    if (record.number === this.#boot || (!online && record.online !== undefined)) return;
    this.#boot = record.number;
    const { steps } = record;
    // A process that was found for this boot was found before the order came.
    const begun = Math.min(record.begun, steps[0]?.time ?? record.begun);
    const end = steps.at(-1)?.time ?? record.begun;
    const boot = this.#start("boot", { boot: record.number, os: record.os }, begun);
    if (!online) boot.setStatus({ code: SpanStatusCode.ERROR, message: record.detail ?? "" });
    for (const [name, from, step] of parts(steps)) {
      const attributes = { ...step.detail && { detail: step.detail } };
      this.#start(name, attributes, from, boot).end(step.time);
    }
    boot.end(end);
  }

  /** What is under way is not heard of any more. */
  end(): void {
    this.#inState?.end();
    this.#lost?.end();
  }

  #start(
    name: string,
    attributes: Readonly<Record<string, string | number>>,
    startTime?: number,
    parent?: Span,
  ): Span {
    const named = Object.entries({ card: this.#name, ...attributes })
      .map(([key, value]) => [`knightsbridge.${key}`, value]);
    return this.#tracer.startSpan(
      name,
      { attributes: Object.fromEntries(named), ...(startTime !== undefined && { startTime }) },
      parent && trace.setSpan(context.active(), parent),
    );
  }
}

/** Each part with its beginning, the step before it, and the step that ended it. */
function* parts(steps: readonly BootStep[]): Generator<readonly [string, number, BootStep]> {
  let from = steps[0]?.time ?? 0;
  for (const step of steps) {
    const name = PARTS[step.step];
    if (name !== undefined) yield [name, from, step];
    from = step.time;
  }
}
