/**
 * What stands on the link, and what the link stands on.
 *
 * A {@linkcode Transport} is a byte pipe that may break at any byte; the link above it (sequence numbers, replay,
 * credits) outlives any number of them. A {@linkcode Completer} is the side that answers requests: the endpoint on
 * the card, the root port on the host.
 *
 * @module
 */

/** A byte pipe: TCP, TLS, or two ends in memory. Every method may throw LinkError when it breaks. */
export interface Transport extends AsyncDisposable {
  /** Name of the far end for people, such as `127.0.0.1:4310`. */
  readonly peer: string;
  /**
   * SHA-256 of the certificate whose key the far end proved to have, 64 hexadecimal digits; none where nothing was
   * proved. Its greeting must carry the identity that goes with it.
   */
  readonly fingerprint?: string;
  /** Reads at least one byte into `into`; null at the end of the stream. */
  read(into: Uint8Array): Promise<number | null>;
  /** Resolves when all of `bytes` is handed to the network; the caller keeps `bytes` unchanged until then. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Hands the network as many of `bytes` as it takes at once, and returns how many: 0 too where it is broken, since the
   * next {@linkcode write} says why. Not while one is under way. Where there is no such call, all goes by `write`.
   */
  writeNow?(bytes: Uint8Array): number;
  /** Closes both directions; idempotent, never throws. */
  close(): void;
}

export type Width = 1 | 2 | 4;

/** A span of the peer's address space: bus address and length, in bytes. */
export interface Span {
  readonly address: number;
  readonly length: number;
}

/**
 * Messages: posted, two 32-bit arguments. MSI is a message here (its capability still enables and masks it), power
 * management and error messages keep their PCI Express meaning, the rest are vendor-defined.
 */
export const MESSAGE = {
  /** a: vector. Card to host. */
  msi: 1,
  /** a: PM message (0x19 PME_Turn_Off, 0x1b PME_TO_Ack). */
  power: 2,
  /** A posted write was dropped as an unsupported request. a: 0x31 ERR_NONFATAL; b: low 32 bits of the address. */
  error: 3,
  /** The card's POST code register changed. a: the code. Card to host. */
  post_code: 4,
  /** The driver wrote device configuration space. a: slot | width << 8 | offset << 16; b: value. Card to host. */
  device_config_write: 5,
} as const;
export type MessageCode = (typeof MESSAGE)[keyof typeof MESSAGE];

/**
 * Answers the peer's requests. Every method is synchronous: what is asked for is local memory or a register.
 * A method throws UnsupportedRequest for what nobody claims; the link turns that into a completion status
 * (non-posted) or an error message (posted), counts it, and lives on.
 */
export interface Completer {
  /** `bytes` is a view of the receive buffer: copy what is kept. */
  memoryWrite(address: number, bytes: Uint8Array): void;
  /** Fills all of `into`. */
  memoryRead(address: number, into: Uint8Array): void;
  configRead(register: number, width: Width): number;
  configWrite(register: number, width: Width, value: number): void;
  ioRead(port: number, width: Width): number;
  ioWrite(port: number, width: Width, value: number): void;
  message(code: number, a: number, b: number): void;
  /** Called once after all frames of one received batch were applied, before anything is awaited. */
  batchEnd(): void;
}

/**
 * The sending half of a link, as drivers, devices and the mirror see it. Nothing here blocks: frames are encoded in
 * call order into the outgoing batch, which leaves in one transport write in the next microtask (or at
 * {@linkcode flush}). All of it is exactly once and in order, across any number of lost transports.
 */
export interface Requester {
  /** Largest total of bytes one posted write may carry; a multiple of 4096. Negotiated, at most 1 MiB. */
  readonly maxPayload: number;
  /** Posted memory write of one span; cut into frames as needed. Copies `bytes`. */
  postWrite(address: number, bytes: Uint8Array): void;
  /**
   * Opens one posted memory write of several spans, in order, at most {@linkcode maxPayload} bytes and 1024 spans in
   * total, and returns the place of its bytes, laid end to end, in the outgoing batch. The caller fills every byte
   * before it calls anything else here and before it awaits anything.
   * @throws {RangeError} over a limit
   */
  openWrite(spans: readonly Span[]): Uint8Array;
  /** Posted message. */
  message(code: MessageCode, a: number, b?: number): void;
  /** Non-posted memory read, cut into pieces of the negotiated read size, all in flight together. */
  memoryRead(address: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  configRead(register: number, width: Width, signal?: AbortSignal): Promise<number>;
  configWrite(
    register: number,
    width: Width,
    value: number,
    signal?: AbortSignal,
  ): Promise<void>;
  ioRead(port: number, width: Width, signal?: AbortSignal): Promise<number>;
  ioWrite(port: number, width: Width, value: number, signal?: AbortSignal): Promise<void>;
  /** Hands the batch to the transport now instead of in the next microtask. Cheap when there is nothing. */
  flush(): void;
  /**
   * Back-pressure: false while more than the high-water mark of bytes is unsent or unacknowledged, or others wait for
   * room and it is not the caller's turn. Posting still works then (a reply that is under way must go somewhere), but
   * who can wait must not take on new work.
   */
  readonly writable: boolean;
  /**
   * Calls `resume` once, when there is room and who waited before has had his turn: in a microtask at the earliest; never
   * after `signal` is aborted, and then holds it no more.
   */
  onWritable(resume: () => void, signal?: AbortSignal): void;
}
