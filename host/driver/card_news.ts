/**
 * What a host driver tells of its card. What the card can repeat as fast as the link carries it is told so many times a
 * second, and the rest as a number; faults of devices are all counted.
 *
 * @module
 */
import { EventLimit } from "../../protocol/mod.ts";
import type { CardEvent, DeviceFault } from "./events.ts";

/** POST codes, starts and faults of each device that are told in one second. */
const EVENTS_A_SECOND = 20;

export class CardNews implements Disposable {
  readonly #onEvent: ((event: CardEvent) => void) | undefined;
  readonly #limit: EventLimit;
  readonly #faults: Partial<Record<DeviceFault["fault"], number>> = {};

  /** `onEvent` is called synchronously, also while frames are applied: it must not throw. */
  constructor(onEvent: ((event: CardEvent) => void) | undefined) {
    this.#onEvent = onEvent;
    this.#limit = new EventLimit(
      EVENTS_A_SECOND,
      (what, count) => this.tell({ type: "suppressed", what, count }),
    );
  }

  /** Faults of devices, by code. */
  get faults(): Readonly<Partial<Record<DeviceFault["fault"], number>>> {
    return this.#faults;
  }

  tell(event: CardEvent): void {
    this.#onEvent?.(event);
  }

  /** `what` names the kind of event for the sum of those that are not told. */
  tellSome(what: string, event: CardEvent): void {
    if (this.#limit.admits(what)) this.tell(event);
  }

  started(slot: number, device: string): void {
    this.tellSome(`starts of ${device}`, { type: "device_started", slot, device });
  }

  faulted(fault: DeviceFault): void {
    this.#faults[fault.fault] = (this.#faults[fault.fault] ?? 0) + 1;
    this.tellSome(`faults of ${fault.device}`, { type: "fault", ...fault });
  }

  [Symbol.dispose](): void {
    this.#limit[Symbol.dispose]();
  }
}
