/**
 * Network backend on a TAP interface of the host: frames go to and from the kernel's network stack with their
 * virtio-net header, so checksums and segmentation pass through unsplit.
 *
 * Invariant: reads are nonblocking, a bounded number a turn; a frame that the card has no room for stays in the one
 * receive buffer and nothing more is read, so the kernel queues and drops as it would for a busy interface.
 *
 * Spec: Linux Documentation/networking/tuntap; virtio 1.3 §5.1.6. Needs `--allow-ffi`, and root or an interface that is
 * the user's own.
 *
 * @module
 */
import { BackendError, le16, le32, viewOf } from "../../protocol/mod.ts";
import { checked, ERRNO, errorText } from "./_errno.ts";
import { IFREQ, ifreq, type Ipv4Network, NetworkInterface, watchInterfaces } from "./_interface.ts";
import { type Libc, O, openLibc, POLL } from "./_libc.ts";
import { checkedMac, randomMac } from "./_mac.ts";
import { Readiness } from "./_readiness.ts";
import type { NetBackend, NetEvents, NetOffloads } from "./types.ts";

const TUNSETIFF = 0x4004_54ca;
const TUNSETOFFLOAD = 0x4004_54d0;
const TUNSETVNETHDRSZ = 0x4004_54d8;
const IFF = { TAP: 0x2, NO_PI: 0x1000, VNET_HDR: 0x4000 } as const;
const TUN_F = { CSUM: 1, TSO4: 2, TSO6: 4 } as const;

/** virtio-net header with `num_buffers`. */
const HEADER = 12;
/** The largest frame: header, Ethernet header with two VLAN tags, 64 KiB segment. */
const FRAME_MAX = HEADER + 22 + 65536;
/** One turn of the event loop reads no more than this. */
const TURN = { frames: 256, bytes: 1 << 20 } as const;
/** More than a TAP's queue holds (500 frames unless it was told otherwise). */
const STALE_FRAMES = 1024;
/** Indices in the poll set. */
const FRAMES = 0;
const CHANGES = 1;

/** Options of {@linkcode TapBackend.open}. */
export interface TapOptions {
  /** Address for the card's interface; random when left out. Not the TAP's own. */
  readonly mac?: Uint8Array;
  /** Address for the host's end, which is brought up too; root only. Left alone when left out. */
  readonly network?: Ipv4Network;
  /** Called once if the interface is lost after it was opened. */
  readonly report?: (error: BackendError) => void;
}

/** A TAP interface. */
export class TapBackend implements NetBackend {
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly offloads: NetOffloads;
  /** Frames from the card that the kernel refused: interface down, or an impossible header. */
  dropped = 0;
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #interface: NetworkInterface;
  readonly #changes: number;
  readonly #report: ((error: BackendError) => void) | undefined;
  readonly #readiness: Readiness;
  readonly #buffer = new Uint8Array(FRAME_MAX);
  readonly #notice = new Uint8Array(4096);
  #events: NetEvents | undefined;
  /** Bytes in the buffer that the card has not taken. */
  #kept = 0;
  #resuming = false;
  #full = false;
  #up: boolean | undefined;
  #over = false;
  #disposed = false;

  /** Takes over the descriptors. */
  private constructor(
    libc: Libc,
    fd: number,
    tap: NetworkInterface,
    changes: number,
    options: TapOptions,
  ) {
    this.name = `tap:${tap.name}`;
    this.mac = checkedMac(options.mac ?? randomMac());
    this.mtu = tap.mtu;
    this.#libc = libc;
    this.#fd = fd;
    this.#interface = tap;
    this.#changes = changes;
    this.#report = options.report;
    this.offloads = bestOffloads(libc, fd);
    this.#readiness = new Readiness([fd, changes], (index, events) => {
      if (index === CHANGES) return this.#linkChanged();
      if (events & POLL.OUT) this.#writable();
      if (events & ~POLL.OUT) this.#drain();
    });
  }

  /**
   * Attaches to the TAP interface `name`, which root's call makes if it is not there (and which is gone again when such
   * a one is closed).
   *
   * @throws {BackendError} naming the interface and what to do
   * @throws {RangeError} for a name, address or prefix that cannot be
   */
  static open(name: string, options: TapOptions = {}): TapBackend {
    const request = ifreq(name);
    if (options.mac !== undefined) checkedMac(options.mac);
    using cleanup = new DisposableStack();
    const libc = cleanup.use(openLibc());
    const fd = openTun(libc, name);
    cleanup.defer(() => libc.close(fd));
    le16.set(viewOf(request), IFREQ.data, IFF.TAP | IFF.NO_PI | IFF.VNET_HDR);
    const attached = libc.ioctl(fd, TUNSETIFF, request);
    if (attached < 0) throw attachError(name, attached);
    const size = new Uint8Array(4);
    le32.set(viewOf(size), 0, HEADER);
    checked(libc.ioctl(fd, TUNSETVNETHDRSZ, size), `use virtio headers on ${name}`);
    const tap = cleanup.use(new NetworkInterface(libc, name));
    if (options.network !== undefined) tap.configure(options.network);
    const changes = watchInterfaces(libc);
    cleanup.defer(() => libc.close(changes));
    const backend = new TapBackend(libc, fd, tap, changes, options);
    cleanup.move();
    return backend;
  }

  /** Starts delivery; the carrier follows as the first event, on a later turn. */
  open(events: NetEvents): void {
    this.#events = events;
    this.#readiness.want(CHANGES, POLL.IN);
    queueMicrotask(() => {
      if (this.#over) return;
      this.#linkChanged();
      this.#want();
    });
  }

  /**
   * Also forgets what was queued for the driver before: it may be older than the card's boot, and need offloads that
   * this one lacks.
   */
  accepted(offloads: NetOffloads): void {
    if (this.#over) return;
    setOffloads(this.#libc, this.#fd, offloads);
    for (let n = 0; n < STALE_FRAMES && this.#libc.read(this.#fd, this.#buffer) > 0; n++);
    this.#kept = 0;
    this.#want();
  }

  send(frame: Uint8Array): boolean {
    if (this.#over) return true;
    const sent = this.#libc.write(this.#fd, frame);
    if (sent >= 0) return true;
    if (sent === -ERRNO.EAGAIN || sent === -ERRNO.ENOBUFS) {
      this.#full = true;
      this.#want();
      return false;
    }
    if (sent === -ERRNO.EBADFD) this.#lost(sent);
    else this.dropped++;
    return true;
  }

  resume(): void {
    if (this.#kept === 0 || this.#resuming) return;
    this.#resuming = true;
    queueMicrotask(() => {
      this.#resuming = false;
      this.#drain();
    });
  }

  /** Reads and delivers until dry, until the card is full, or until the turn's budget is used up. */
  #drain(): void {
    const events = this.#events;
    if (this.#over || events === undefined) return;
    let frames = 0;
    for (let bytes = 0; frames < TURN.frames && bytes < TURN.bytes && !this.#over; frames++) {
      if (this.#kept === 0) {
        const read = this.#libc.read(this.#fd, this.#buffer);
        if (read === -ERRNO.EAGAIN) break;
        if (read <= 0) {
          this.#lost(read);
          break;
        }
        this.#kept = read;
      }
      bytes += this.#kept;
      if (!events.receive(this.#buffer.subarray(0, this.#kept))) break;
      this.#kept = 0;
    }
    if (frames > 0) events.received();
    this.#want();
  }

  #writable(): void {
    this.#full = false;
    this.#want();
    this.#events?.writable();
  }

  #linkChanged(): void {
    // What changed is not worth parsing: one ioctl tells how the interface is now.
    while (this.#libc.read(this.#changes, this.#notice) > 0);
    const up = !this.#over && this.#interface.running;
    if (up === this.#up) return;
    this.#up = up;
    this.#events?.link(up);
  }

  #want(): void {
    const input = this.#events !== undefined && this.#kept === 0 ? POLL.IN : 0;
    this.#readiness.want(FRAMES, this.#over ? 0 : input | (this.#full ? POLL.OUT : 0));
  }

  /** The interface was removed under us. */
  #lost(error: number): void {
    if (this.#over) return;
    this.#over = true;
    this.#want();
    this.#linkChanged();
    const reason = error === -ERRNO.EBADFD ? "it was removed" : errorText(error);
    this.#report?.(new BackendError(`Cannot go on with TAP interface ${this.name}: ${reason}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#over = true;
    this.#events = undefined;
    await this.#readiness[Symbol.asyncDispose]();
    using cleanup = new DisposableStack();
    cleanup.use(this.#libc);
    cleanup.defer(() => this.#libc.close(this.#fd));
    cleanup.defer(() => this.#libc.close(this.#changes));
    cleanup.use(this.#interface);
  }
}

function openTun(libc: Libc, name: string): number {
  const fd = libc.open("/dev/net/tun", O.RDWR | O.NONBLOCK);
  if (fd >= 0) return fd;
  const act = `Cannot open TAP interface ${name}: /dev/net/tun`;
  if (fd === -ERRNO.ENOENT || fd === -ERRNO.ENODEV || fd === -ERRNO.ENXIO) {
    throw new BackendError(`${act} is missing; as root, "modprobe tun", or choose passt`);
  }
  if (fd === -ERRNO.EACCES || fd === -ERRNO.EPERM) {
    throw new BackendError(
      `${act} is not open to this user; run the host as root, or choose passt`,
    );
  }
  throw new BackendError(`${act}: ${errorText(fd)}`);
}

function attachError(name: string, error: number): BackendError {
  const act = `Cannot open TAP interface ${name}`;
  if (error === -ERRNO.EPERM) {
    return new BackendError(
      `${act}: it is not this user's; as root, once, "ip tuntap add dev ${name} mode tap user USER", or choose passt`,
    );
  }
  if (error === -ERRNO.EBUSY) {
    return new BackendError(`${act}: another program has it open`);
  }
  if (error === -ERRNO.EINVAL) {
    return new BackendError(
      `${act}: that interface is no single-queue TAP; wanted a name of its own`,
    );
  }
  return new BackendError(`${act}: ${errorText(error)}`);
}

/** Returns whether the kernel can do it. */
function setOffloads(libc: Libc, fd: number, { checksum, segmentation }: NetOffloads): boolean {
  const flags = (checksum ? TUN_F.CSUM : 0) | (segmentation ? TUN_F.TSO4 | TUN_F.TSO6 : 0);
  return libc.ioctlValue(fd, TUNSETOFFLOAD, flags) >= 0;
}

function bestOffloads(libc: Libc, fd: number): NetOffloads {
  for (const segmentation of [true, false]) {
    const offloads = { checksum: true, segmentation };
    if (setOffloads(libc, fd, offloads)) return offloads;
  }
  return { checksum: false, segmentation: false };
}
