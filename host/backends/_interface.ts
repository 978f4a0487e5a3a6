/**
 * Network interfaces of the host by ioctl: MTU, up and down, IPv4 address. What the `ip` tool would do, without it.
 *
 * Spec: netdevice(7); struct ifreq is 40 bytes, the name in the first 16.
 *
 * @module
 */
import { BackendError, le16, le32, viewOf } from "../../protocol/mod.ts";
import { checked, ERRNO, errorText } from "./_errno.ts";
import { type Libc, O } from "./_libc.ts";

/** Bytes of struct ifreq, and of the name in it (its terminating zero included). */
export const IFREQ = { size: 40, name: 16, data: 16 } as const;

const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const RTMGRP_LINK = 1;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCSIFADDR = 0x8916;
const SIOCSIFNETMASK = 0x891c;
const SIOCGIFMTU = 0x8921;
const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;

/** An IPv4 address and the length of its network prefix. */
export interface Ipv4Network {
  readonly address: string;
  readonly prefix: number;
}

/** The four bytes of a dotted address. @throws {RangeError} */
export function ipv4Bytes(address: string): number[] {
  const bytes = address.split(".").map((part) => /^\d{1,3}$/.test(part) ? Number(part) : 256);
  if (bytes.length !== 4 || bytes.some((byte) => byte > 255)) {
    throw new RangeError(
      `Cannot use address "${address}": wanted four numbers, as in 172.31.1.254`,
    );
  }
  return bytes;
}

/** An ifreq with `name` in it. @throws {RangeError} if no interface can have that name */
export function ifreq(name: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length >= IFREQ.name || !/^[!-.0-~]+$/.test(name)) {
    throw new RangeError(
      `Cannot use interface name "${name}": wanted 1 to 15 printable characters without "/" or space`,
    );
  }
  const request = new Uint8Array(IFREQ.size);
  request.set(bytes);
  return request;
}

/** One interface, by name. */
export class NetworkInterface implements Disposable {
  readonly name: string;
  readonly #libc: Libc;
  readonly #socket: number;
  readonly #request: Uint8Array;
  readonly #view: DataView;

  /** `libc` stays the caller's. */
  constructor(libc: Libc, name: string) {
    this.name = name;
    this.#libc = libc;
    this.#request = ifreq(name);
    this.#view = viewOf(this.#request);
    this.#socket = checked(libc.socket(AF_INET, SOCK_DGRAM, 0), "open a socket");
  }

  /** Largest Ethernet payload, bytes. */
  get mtu(): number {
    this.#ioctl(SIOCGIFMTU, "read the MTU");
    return le32.get(this.#view, IFREQ.data);
  }

  /** Up, and with carrier; false too when the interface is gone. */
  get running(): boolean {
    if (this.#libc.ioctl(this.#socket, SIOCGIFFLAGS, this.#request) < 0) return false;
    const flags = le16.get(this.#view, IFREQ.data);
    return (flags & IFF_UP) !== 0 && (flags & IFF_RUNNING) !== 0;
  }

  /** Gives the interface its address and brings it up. @throws {BackendError} without CAP_NET_ADMIN */
  configure(network: Ipv4Network): void {
    if (!(Number.isInteger(network.prefix) && network.prefix >= 1 && network.prefix <= 32)) {
      throw new RangeError(`Cannot use prefix length ${network.prefix}: wanted 1 to 32`);
    }
    const mask = (0xffff_ffff << (32 - network.prefix)) >>> 0;
    const act = `give ${network.address}/${network.prefix} to`;
    this.#setAddress(SIOCSIFADDR, ipv4Bytes(network.address), act);
    this.#setAddress(SIOCSIFNETMASK, [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255), act);
    this.#ioctl(SIOCGIFFLAGS, "read the flags of");
    le16.set(this.#view, IFREQ.data, le16.get(this.#view, IFREQ.data) | IFF_UP);
    this.#ioctl(SIOCSIFFLAGS, "bring up");
  }

  /** data = struct sockaddr_in: family, port, address. */
  #setAddress(request: number, address: readonly number[], act: string): void {
    this.#request.fill(0, IFREQ.data);
    le16.set(this.#view, IFREQ.data, AF_INET);
    this.#request.set(address, IFREQ.data + 4);
    this.#ioctl(request, act);
  }

  #ioctl(request: number, act: string): void {
    const result = this.#libc.ioctl(this.#socket, request, this.#request);
    if (result === -ERRNO.EPERM) {
      throw new BackendError(
        `Cannot ${act} interface ${this.name}: only root may; do it once as root, or run the host as root`,
      );
    }
    if (result < 0) {
      throw new BackendError(`Cannot ${act} interface ${this.name}: ${errorText(result)}`);
    }
  }

  [Symbol.dispose](): void {
    this.#libc.close(this.#socket);
  }
}

/** A nonblocking descriptor that is readable when any interface of the host changed. */
export function watchInterfaces(libc: Libc): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | O.NONBLOCK, NETLINK_ROUTE);
  checked(fd, "watch network interfaces");
  // struct sockaddr_nl: u16 family, u16 pad, u32 port, u32 groups.
  const address = new Uint8Array(12);
  le16.set(viewOf(address), 0, AF_NETLINK);
  le32.set(viewOf(address), 8, RTMGRP_LINK);
  const bound = libc.bind(fd, address);
  if (bound < 0) libc.close(fd);
  checked(bound, "watch network interfaces");
  return fd;
}
