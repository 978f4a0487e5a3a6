/**
 * The errors of the house, sorted by what dies of them (never matched by text):
 *
 * | class | at fault | what dies | what the far side sees |
 * | --- | --- | --- | --- |
 * | {@linkcode BackendError} | a host resource | one request | an I/O error status in its used buffer |
 * | {@linkcode DriverError} | the card OS's driver | one device | DEVICE_NEEDS_RESET |
 * | {@linkcode ProtocolError} | the peer process | the link | a goodbye frame with a reason |
 * | {@linkcode LinkError} | the network | nothing: the session is resumed | a pause |
 * | {@linkcode UnsupportedRequest} | an access | that access | a completion with status "unsupported request" |
 *
 * What our own caller got wrong stays a RangeError or TypeError. Text: *Cannot ‹act›: ‹found, wanted›*, no full stop.
 *
 * @module
 */
import type { GoodbyeReason } from "./link/goodbye.ts";
import type { DriverFault } from "./virtio/faults.ts";

/** A disk, TAP, terminal or other resource of the host failed; one request fails with it. */
export class BackendError extends Error {
  override readonly name = "BackendError";
}

/** The card OS's driver broke the virtio rules; its device stops until it is reset. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  readonly fault: DriverFault;
  constructor(fault: DriverFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/** The peer process broke the link protocol; the link says goodbye with `reason`. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly reason: GoodbyeReason;
  constructor(reason: GoodbyeReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The network failed, or the link was closed while something waited on it. */
export class LinkError extends Error {
  override readonly name = "LinkError";
}

/** A request that no function claims or that leaves its window: PCI Express "unsupported request". */
export class UnsupportedRequest extends Error {
  override readonly name = "UnsupportedRequest";
}
