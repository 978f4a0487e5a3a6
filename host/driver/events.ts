/**
 * What happens to a card, for people, logs and metrics. One union: a listener switches on `type`.
 *
 * @module
 */
import type { DriverFault, ShutdownReason } from "../../protocol/mod.ts";
import type { CardInfo } from "./card_info.ts";
import type { DownloadProgress } from "./download.ts";
import type { LifeState } from "./states.ts";

export type CardEvent =
  /** The probe is done. */
  | { readonly type: "found"; readonly info: CardInfo }
  | { readonly type: "state"; readonly state: LifeState; readonly reason: ShutdownReason }
  | ({ readonly type: "post_code" } & PostCode)
  | ({ readonly type: "progress" } & DownloadProgress)
  /** A driver of the card OS is ready: DRIVER_OK. */
  | { readonly type: "device_started"; readonly slot: number; readonly device: string }
  | ({ readonly type: "fault" } & DeviceFault)
  /** The card OS has ended; `detail` is the card's sentence on it, or ours if it hangs, and may be empty. */
  | { readonly type: "ended"; readonly reason: ShutdownReason; readonly detail: string }
  /** What the kernel logged last, up to 64 KiB, after it crashed: lines without control characters. */
  | { readonly type: "kernel_log"; readonly text: string }
  /** A card that repeats itself: so many more within a second than are told one by one. */
  | { readonly type: "suppressed"; readonly what: string; readonly count: number };

export interface PostCode {
  readonly code: number;
  /** Two characters; those that cannot be shown are dots. */
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** A device that needs a reset by its driver. */
export interface DeviceFault {
  readonly slot: number;
  readonly device: string;
  /** `internal`: a fault of this program, not of the driver. */
  readonly fault: DriverFault | "internal";
  readonly error: Error;
}
