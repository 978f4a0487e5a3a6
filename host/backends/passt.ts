/**
 * Network backend without root: a passt process turns the card's frames into ordinary sockets of this host. The card
 * gets the host's own address by DHCP; what it sends to the gateway arrives on the host's loopback.
 *
 * Ping of the gateway is answered here. The gateway is this host in another name, and passt could answer for it only
 * where `net.ipv4.ping_group_range` lets unprivileged processes ping; farther pings do go through passt, and so
 * depend on that setting.
 *
 * Invariant: one frame at most is half written; while it is, `send` takes no other. Frames leave one a write:
 * passt's TCP was measured to collapse at times under large batches.
 *
 * Spec: passt(1), QEMU's stream framing. Needs `--allow-ffi --allow-run=passt`.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";
import { echoReply } from "./_echo.ts";
import { checked, ERRNO } from "./_errno.ts";
import { FRAME, FrameReader, HEADER, LENGTH, putFrame } from "./_frame_stream.ts";
import { ipv4Bytes } from "./_interface.ts";
import { type Libc, openLibc, POLL } from "./_libc.ts";
import { checkedMac, randomMac } from "./_mac.ts";
import { PasstChild, type PasstNetwork } from "./_passt_child.ts";
import { Readiness } from "./_readiness.ts";
import type { NetBackend, NetEvents } from "./types.ts";

/** passt's default: TCP through it is several times as fast as with 1500. */
const MTU = 65520;
/** One turn of the event loop reads no more bytes than about this. */
const TURN_BYTES = 1 << 20;
/** Answers to pings that wait for room in the card; more are lost, as pings may be. */
const REPLIES_MAX = 16;

/** Options of {@linkcode PasstBackend.open}. */
export interface PasstOptions {
  /** Address for the card's interface; random when left out. */
  readonly mac?: Uint8Array;
  /** The program, if not `passt` on the PATH. */
  readonly program?: string;
  /** Largest Ethernet payload, bytes: 1280 to 65520. */
  readonly mtu?: number;
  /** Called once if passt ends after it was started. */
  readonly report?: (error: BackendError) => void;
}

/** A passt process and the socket to it. */
export class PasstBackend implements NetBackend {
  readonly name = "passt";
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly offloads = { checksum: false, segmentation: false };
  /** Frames from the card of a length that no frame has. */
  dropped = 0;
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #child: PasstChild;
  readonly #gateway: readonly number[] | undefined;
  readonly #report: ((error: BackendError) => void) | undefined;
  readonly #readiness: Readiness;
  readonly #reader = new FrameReader();
  readonly #out = new Uint8Array(LENGTH + FRAME.max);
  #outStart = 0;
  #outEnd = 0;
  /** A `send` returned false. */
  #full = false;
  readonly #replies: Uint8Array[] = [];
  #events: NetEvents | undefined;
  /** The card refused a frame. */
  #stalled = false;
  #scheduled = false;
  /** The socket is of no more use; what passt said will follow. */
  #cut = false;
  #over = false;
  #disposed = false;

  private constructor(libc: Libc, fd: number, child: PasstChild, options: PasstOptions) {
    this.mac = checkedMac(options.mac ?? randomMac());
    this.mtu = options.mtu ?? MTU;
    this.#libc = libc;
    this.#fd = fd;
    this.#child = child;
    const gateway = child.network.gateway;
    this.#gateway = gateway?.includes(".") ? ipv4Bytes(gateway) : undefined;
    this.#report = options.report;
    this.#readiness = new Readiness([fd], (_, events) => {
      if (events & POLL.OUT) this.#flush();
      if (events & ~POLL.OUT) this.#drain();
    });
    child.ended.then((how) => this.#lost(how));
  }

  /**
   * Starts passt and waits until it says which network it offers.
   *
   * @throws {BackendError} with passt's own words, or how to install it
   */
  static async open(options: PasstOptions = {}): Promise<PasstBackend> {
    if (options.mac !== undefined) checkedMac(options.mac);
    const mtu = options.mtu ?? MTU;
    if (!(Number.isInteger(mtu) && mtu >= 1280 && mtu <= MTU)) {
      throw new RangeError(`Cannot use MTU ${mtu} with passt: wanted 1280 to ${MTU}`);
    }
    await using cleanup = new AsyncDisposableStack();
    const libc = cleanup.use(openLibc());
    const pair = new Int32Array(2);
    checked(libc.socketpair(pair), "make a socket pair for passt");
    const [ours, theirs] = pair as unknown as [number, number];
    cleanup.defer(() => void libc.close(ours));
    checked(libc.setNonblocking(ours), "make a socket pair for passt");
    let child: PasstChild;
    try {
      child = cleanup.use(
        await PasstChild.start(libc, options.program ?? "passt", theirs, mtu),
      );
    } finally {
      libc.close(theirs);
    }
    const backend = new PasstBackend(libc, ours, child, options);
    cleanup.move();
    return backend;
  }

  /** For logs: addresses that the card gets. */
  get network(): PasstNetwork {
    return this.#child.network;
  }

  /** Process id of passt. */
  get pid(): number {
    return this.#child.pid;
  }

  open(events: NetEvents): void {
    this.#events = events;
    queueMicrotask(() => {
      this.#events?.link(!this.#over);
      this.#want();
    });
  }

  send(frame: Uint8Array): boolean {
    if (this.#over || this.#cut) return true;
    const reply = this.#gateway && echoReply(frame, this.#gateway);
    if (reply !== undefined) {
      if (this.#replies.length < REPLIES_MAX) this.#replies.push(reply);
      this.#deliverSoon();
      return true;
    }
    if (this.#outStart < this.#outEnd) {
      this.#full = true;
      return false;
    }
    const length = frame.length - HEADER;
    if (length < FRAME.min || length > FRAME.max) {
      this.dropped++;
      return true;
    }
    this.#outStart = 0;
    this.#outEnd = putFrame(frame, this.#out);
    this.#flush();
    return true;
  }

  resume(): void {
    if (this.#stalled) this.#deliverSoon();
  }

  #deliverSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#stalled = false;
      this.#drain();
    });
  }

  /** Writes what is left of the frame under way. */
  #flush(): void {
    if (this.#over || this.#cut) return;
    if (this.#outStart < this.#outEnd) {
      const rest = this.#out.subarray(this.#outStart, this.#outEnd);
      const written = this.#libc.write(this.#fd, rest);
      if (written > 0) this.#outStart += written;
      else if (written !== -ERRNO.EAGAIN) this.#disconnected();
    }
    this.#want();
    if (this.#full && this.#outStart === this.#outEnd) {
      this.#full = false;
      this.#events?.writable();
    }
  }

  /** Reads and delivers until dry, until the card is full, or until the turn's budget is used up. */
  #drain(): void {
    const events = this.#events;
    if (this.#over || events === undefined) return;
    let taken = 0;
    while (this.#replies.length > 0 && !this.#stalled) {
      if (events.receive(this.#replies[0]!)) taken += this.#replies.shift()!.length;
      else this.#stalled = true;
    }
    try {
      while (!this.#stalled && !this.#over && !this.#cut && taken < TURN_BYTES) {
        const frame = this.#reader.next();
        if (frame === undefined) {
          if (!this.#fill()) break;
        } else if (events.receive(frame)) {
          taken += frame.length;
          this.#reader.taken();
        } else {
          this.#stalled = true;
        }
      }
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      this.#lost(error.message);
    }
    if (taken > 0) events.received();
    this.#want();
  }

  /** False when there is nothing to read now. */
  #fill(): boolean {
    const read = this.#libc.read(this.#fd, this.#reader.space);
    if (read > 0) {
      this.#reader.filled(read);
      return true;
    }
    if (read !== -ERRNO.EAGAIN) this.#disconnected();
    return false;
  }

  /** passt closed its end: it is about to tell why, and to end. */
  #disconnected(): void {
    this.#cut = true;
    this.#outStart = this.#outEnd;
    this.#child.kill();
  }

  #want(): void {
    const input = this.#events !== undefined && !this.#stalled ? POLL.IN : 0;
    const output = this.#outStart < this.#outEnd ? POLL.OUT : 0;
    this.#readiness.want(0, this.#over || this.#cut ? 0 : input | output);
  }

  #lost(how: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#want();
    this.#events?.link(false);
    this.#report?.(new BackendError(`Cannot go on with passt: ${how}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#over = true;
    this.#events = undefined;
    await this.#readiness[Symbol.asyncDispose]();
    this.#libc.close(this.#fd);
    this.#libc[Symbol.dispose]();
    await this.#child[Symbol.asyncDispose]();
  }
}
