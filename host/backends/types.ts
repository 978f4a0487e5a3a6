/**
 * What stands behind a device: disks, networks, terminals of the host. Small, symmetric, disposable; an ability that a
 * backend may lack is an optional method.
 *
 * @module
 */

/** Sectors of 512 bytes. Until a call is done (returns, or resolves) the backend owns the buffer. */
export interface BlockBackend extends AsyncDisposable {
  readonly name: string;
  /** Capacity; another one after `resize`. */
  readonly sectors: number;
  readonly readOnly: boolean;
  /** Preferred I/O size in bytes: logical block size of the store, 512 or more. */
  readonly blockSize: number;
  /** What requests wait for, while the store cannot serve them: a sentence's end. */
  readonly waiting?: string | undefined;
  /** True: `read` is always done when it returns, so it may fill the outgoing batch itself. */
  readonly synchronous?: boolean;
  /** Returns undefined when done at once (a local file), else a promise. @throws {BackendError} */
  read(sector: number, into: Uint8Array, signal: AbortSignal): void | Promise<void>;
  write(sector: number, from: Uint8Array, signal: AbortSignal): void | Promise<void>;
  /** What was written and acknowledged is on stable storage when it resolves. */
  flush(signal: AbortSignal): Promise<void>;
  /** Gives the range back to the store; contents undefined afterwards. */
  discard?(sector: number, count: number, signal: AbortSignal): void | Promise<void>;
  /** The range reads as zeros afterwards; with `unmap` the store may free it. */
  writeZeroes?(
    sector: number,
    count: number,
    unmap: boolean,
    signal: AbortSignal,
  ): void | Promise<void>;
  /**
   * Gives the disk so many sectors, or sees that its store has so many by now; never fewer than the store has. Absent
   * where only opening it anew tells. @throws {BackendError}
   */
  resize?(sectors: number): void;
}

/** Offloads that a network backend takes and gives: the virtio-net header's meaning end to end. */
export interface NetOffloads {
  /** Frames with partial checksums, both ways. */
  readonly checksum: boolean;
  /** TCP segments of up to 64 KiB (TSO, IPv4 and IPv6), both ways. */
  readonly segmentation: boolean;
}

/**
 * Ethernet frames, no FCS, each behind a 12-byte virtio-net header (virtio 1.3 §5.1.6; `num_buffers` is 1 or 0). A
 * backend without offloads gets and gives an all-zero header.
 */
export interface NetBackend extends AsyncDisposable {
  readonly name: string;
  /** Address for the card's interface. */
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly offloads: NetOffloads;
  /**
   * Sends one frame (header + Ethernet frame), valid only during the call. False: not taken, the backend is full; try
   * the same frame again after the next `writable` event.
   */
  send(frame: Uint8Array): boolean;
  /**
   * Starts delivery. `receive` gets one frame (valid only during the call) and returns false if it has no room: the
   * backend keeps that frame, stops reading and offers it again after `resume()`. Events come once at a time.
   */
  open(events: NetEvents): void;
  /** The device can take frames again. */
  resume(): void;
  /**
   * What the driver on the card accepted of `offloads`: the backend gives no frame that needs more (a TAP sets its
   * offload flags). Called when a driver starts; with all of it false when it is gone.
   */
  accepted?(offloads: NetOffloads): void;
}
export interface NetEvents {
  receive(frame: Uint8Array): boolean;
  /** One call a batch, after the last `receive` of it: time to publish. */
  received(): void;
  /** After a `send` that returned false: there is room again. */
  writable(): void;
  /** Carrier of the thing behind. */
  link(up: boolean): void;
}

/** A terminal or byte stream behind a console port. */
export interface ConsoleBackend extends AsyncDisposable {
  readonly name: string;
  /** Columns and rows, or undefined where there is no terminal. */
  readonly size: { readonly columns: number; readonly rows: number } | undefined;
  /** Bytes from the card; resolves when there is room for more. Until then the backend owns `bytes`. */
  write(bytes: Uint8Array): void | Promise<void>;
  /**
   * Starts delivery of input and of size changes. The backend stops reading while the card takes no more.
   */
  open(events: ConsoleEvents): void;
  resume(): void;
  /**
   * The card opened the port, or closed it (a card that is reset closes it too). `assumed`: nobody said so; its driver
   * was served by another host before, and may have opened it then. If it really opens it now, this is called again.
   */
  opened?(open: boolean, assumed: boolean): void;
  /**
   * Whether the card waits for this one at all (it does unless told otherwise). If not, `write` is done when it returns,
   * also one that is still waiting, and who reads too slowly loses what he has not read.
   */
  paced?(on: boolean): void;
  /** Something that is not the card's to say, for whoever reads; without this it is written among the output. */
  notice?(text: string): void;
}
export interface ConsoleEvents {
  /** Returns how many of `bytes` were taken; fewer than all means stop until `resume()`, then offer the rest. */
  input(bytes: Uint8Array): number;
  resized(columns: number, rows: number): void;
}
