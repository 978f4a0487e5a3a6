/**
 * The limits of a link: what each side announces in its greeting, and what follows from both.
 *
 * Every buffer of the link is sized from these, so they are the bound on what a hostile peer can make us hold.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import { MAX_SPANS } from "./span_list.ts";

/** What one side can take. Sizes in bytes, times in milliseconds. */
export interface LinkLimits {
  /** Total of bytes one memory write may carry: a multiple of 4096, 4 KiB to 1 MiB. The smaller of both holds. */
  readonly maxPayload: number;
  /** Bytes one memory read may ask for: a multiple of 4096, 4 KiB to 1 MiB. The smaller of both holds. */
  readonly maxReadRequest: number;
  /** Receive credit for posted frames: bytes of their bodies, and their count. */
  readonly postedBytes: number;
  readonly postedFrames: number;
  /** Receive credit for non-posted requests. */
  readonly nonPosted: number;
  /** Time between two pings. The smaller of both holds. */
  readonly heartbeat: number;
  /** Nothing heard for so long means that the transport is dead. The smaller of both holds. */
  readonly silence: number;
}

export const DEFAULT_LIMITS: LinkLimits = {
  maxPayload: 128 * 1024,
  maxReadRequest: 128 * 1024,
  postedBytes: 16 * 1024 * 1024,
  postedFrames: 8192,
  nonPosted: 256,
  heartbeat: 2_000,
  silence: 10_000,
};

export const MIN_PAYLOAD = 4096;
const MAX_PAYLOAD = 1024 * 1024;
/** No credit window is larger: differences of the 32-bit counters must stay well below 2^31. */
export const MAX_WINDOW = 2 ** 30;
/** Bytes of the span table of a memory write at its largest. */
const SPAN_TABLE = MAX_SPANS * 12;

/** Bytes of the largest frame body under `limits`. */
export const largestBody = (limits: LinkLimits): number =>
  Math.max(limits.maxPayload + SPAN_TABLE, limits.maxReadRequest);

/** Fills in the defaults. @throws {RangeError} naming the limit that is out of its range */
export function limitsOf(given: Partial<LinkLimits> = {}): LinkLimits {
  const limits = { ...DEFAULT_LIMITS, ...given };
  const fault = faultOf(limits);
  if (fault) throw new RangeError(`Cannot open link: ${fault}`);
  return limits;
}

/** What holds on a link between `ours` and `theirs`. The windows stay each side's own. */
export function agree(ours: LinkLimits, theirs: LinkLimits): LinkLimits {
  return {
    ...ours,
    maxPayload: Math.min(ours.maxPayload, theirs.maxPayload),
    maxReadRequest: Math.min(ours.maxReadRequest, theirs.maxReadRequest),
    heartbeat: Math.min(ours.heartbeat, theirs.heartbeat),
    silence: Math.min(ours.silence, theirs.silence),
  };
}

/** Checks what a peer announced. @throws {ProtocolError} malformed */
export function checkPeerLimits(limits: LinkLimits): void {
  const fault = faultOf(limits);
  if (fault) throw new ProtocolError("malformed", `Cannot accept greeting: ${fault}`);
}

function faultOf(limits: LinkLimits): string | undefined {
  const ranges: readonly [keyof LinkLimits, number, number][] = [
    ["maxPayload", MIN_PAYLOAD, MAX_PAYLOAD],
    ["maxReadRequest", MIN_PAYLOAD, MAX_PAYLOAD],
    ["postedBytes", limits.maxPayload + SPAN_TABLE, MAX_WINDOW],
    ["postedFrames", 1, 2 ** 20],
    ["nonPosted", 1, 2 ** 16],
    ["heartbeat", 100, 600_000],
    ["silence", 2 * limits.heartbeat, 3_600_000],
  ];
  for (const [name, low, high] of ranges) {
    const value = limits[name];
    if (!(Number.isInteger(value) && value >= low && value <= high)) {
      return `${name} is ${value}, wanted ${low} to ${high}`;
    }
  }
  for (const name of ["maxPayload", "maxReadRequest"] as const) {
    if (limits[name] % 4096 !== 0) return `${name} is ${limits[name]}, wanted a multiple of 4096`;
  }
}
