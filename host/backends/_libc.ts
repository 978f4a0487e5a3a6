/**
 * System calls: the only file with FFI, and so the only one that needs `--allow-ffi`.
 *
 * Every call returns what the kernel returns: a value of 0 or more, or a negated error number (`_errno.ts` has names
 * and texts). They go through a tiny library of our own (`_elf.ts` says why) that is written to a memfd and loaded from
 * there, so no file is left anywhere and no other permission is needed. The library stays loaded while anyone holds a
 * {@linkcode Libc}.
 *
 * Invariant: 32-bit arguments only where the kernel takes an `int`, or through `io`, which clears the upper half.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";
import { STUB_CODE, stubLibrary } from "./_elf.ts";

/** System call numbers (x86_64 has its own table, aarch64 the generic one). `poll` is ppoll: aarch64 has no other. */
// deno-fmt-ignore
const NUMBERS = {
  x86_64: { read: 0, write: 1, close: 3, ioctl: 16, socket: 41, bind: 49, getsockname: 51, getpeername: 52,
    socketpair: 53, setsockopt: 54, fcntl: 72, openat: 257, ppoll: 271, fallocate: 285, eventfd2: 290 },
  aarch64: { read: 63, write: 64, close: 57, ioctl: 29, socket: 198, bind: 200, getsockname: 204, getpeername: 205,
    socketpair: 199, setsockopt: 208, fcntl: 25, openat: 56, ppoll: 73, fallocate: 47, eventfd2: 19 },
} as const;

/** Flags of `open` that both processors number alike. */
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  NOCTTY: 0o400,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
} as const;

/** Events of `poll`. */
export const POLL = { IN: 1, OUT: 4, ERR: 8, HUP: 0x10, NVAL: 0x20 } as const;

const SYMBOLS = {
  io: { name: "io", parameters: ["i32", "i32", "buffer", "u32"], result: "i32" },
  ints: { name: "sys", parameters: ["i32", "i32", "i32", "i32"], result: "i32" },
  open: { name: "sys", parameters: ["i32", "i32", "buffer", "i32", "i32"], result: "i32" },
  ioctl: { name: "sys", parameters: ["i32", "i32", "u32", "buffer"], result: "i32" },
  ioctlValue: { name: "sys", parameters: ["i32", "i32", "u32", "usize"], result: "i32" },
  names: { name: "sys", parameters: ["i32", "i32", "buffer", "buffer"], result: "i32" },
  option: {
    name: "sys",
    parameters: ["i32", "i32", "i32", "i32", "buffer", "usize"],
    result: "i32",
  },
  socketpair: { name: "sys", parameters: ["i32", "i32", "i32", "i32", "buffer"], result: "i32" },
  fallocate: { name: "sys", parameters: ["i32", "i32", "i32", "i64", "i64"], result: "i32" },
  ppoll: {
    name: "sys",
    parameters: ["i32", "buffer", "u32", "pointer", "pointer", "usize"],
    result: "i32",
    nonblocking: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;

type Library = Deno.DynamicLibrary<typeof SYMBOLS>;

const AT_FDCWD = -100;
const F_SETFD = 2;
const F_SETFL = 4;
const FD_CLOEXEC = 1;
const AF_UNIX = 1;
const SOCK_STREAM = 1;

/** The calls. Descriptors that they open are close-on-exec. @see {@linkcode openLibc} */
export class Libc implements Disposable {
  readonly #library: Library;
  readonly #call: Library["symbols"];
  readonly #nr: typeof NUMBERS[keyof typeof NUMBERS];
  #held = true;

  /** Use {@linkcode openLibc}. */
  constructor(library: Library) {
    this.#library = library;
    this.#call = library.symbols;
    this.#nr = NUMBERS[Deno.build.arch];
  }

  /** A new descriptor; `flags` from {@linkcode O}. */
  open(path: string, flags: number, mode = 0o644): number {
    const name = new TextEncoder().encode(`${path}\0`);
    return this.#call.open(this.#nr.openat, AT_FDCWD, name, flags | O.CLOEXEC, mode);
  }

  close(fd: number): number {
    return this.#call.ints(this.#nr.close, fd, 0, 0);
  }

  /** Bytes read into the beginning of `into`; 0 at the end. */
  read(fd: number, into: Uint8Array): number {
    return this.#call.io(this.#nr.read, fd, into as Uint8Array<ArrayBuffer>, into.length);
  }

  /** Bytes written, from the beginning of `from`; may be fewer than all. */
  write(fd: number, from: Uint8Array): number {
    return this.#call.io(this.#nr.write, fd, from as Uint8Array<ArrayBuffer>, from.length);
  }

  /** ioctl with a pointer to `argument`, which the caller sizes for `request`. */
  ioctl(fd: number, request: number, argument: Uint8Array): number {
    return this.#call.ioctl(this.#nr.ioctl, fd, request, argument as Uint8Array<ArrayBuffer>);
  }

  /** ioctl whose argument is the number itself. */
  ioctlValue(fd: number, request: number, value: number): number {
    return this.#call.ioctlValue(this.#nr.ioctl, fd, request, BigInt(value));
  }

  /**
   * Waits on a thread of the pool until an event comes: `fds` holds `count` entries of struct pollfd (i32 fd, u16
   * events, u16 revents) and must stay alive. Resolves to the number of entries with events, or -EINTR at any time.
   */
  poll(fds: Uint8Array, count: number): Promise<number> {
    return this.#call.ppoll(
      this.#nr.ppoll,
      fds as Uint8Array<ArrayBuffer>,
      count,
      null,
      null,
      0n,
    );
  }

  /** A counter to wake a poll with: write 8 bytes (a little-endian addend) to it, read 8 bytes to clear it. */
  eventfd(): number {
    return this.#call.ints(this.#nr.eventfd2, 0, O.NONBLOCK | O.CLOEXEC, 0);
  }

  socket(domain: number, type: number, protocol: number): number {
    return this.#call.ints(this.#nr.socket, domain, type | O.CLOEXEC, protocol);
  }

  bind(fd: number, address: Uint8Array): number {
    return this.#call.io(this.#nr.bind, fd, address as Uint8Array<ArrayBuffer>, address.length);
  }

  /** The address at this end of a socket into `address`, with its length in the one element of `length`. */
  getsockname(fd: number, address: Uint8Array, length: Uint32Array): number {
    return this.#names(this.#nr.getsockname, fd, address, length);
  }

  /** The same of the far end. */
  getpeername(fd: number, address: Uint8Array, length: Uint32Array): number {
    return this.#names(this.#nr.getpeername, fd, address, length);
  }

  /** `value` as setsockopt(2) and the option want it. */
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number {
    const bytes = value as Uint8Array<ArrayBuffer>;
    return this.#call.option(this.#nr.setsockopt, fd, level, option, bytes, BigInt(bytes.length));
  }

  /** A connected pair of UNIX stream sockets into `pair`. */
  socketpair(pair: Int32Array): number {
    const into = new Uint8Array(pair.buffer, pair.byteOffset, 8) as Uint8Array<ArrayBuffer>;
    return this.#call.socketpair(
      this.#nr.socketpair,
      AF_UNIX,
      SOCK_STREAM | O.CLOEXEC,
      0,
      into,
    );
  }

  /** Whether child processes get `fd` under the same number. */
  setInheritable(fd: number, inheritable: boolean): number {
    return this.#call.ints(this.#nr.fcntl, fd, F_SETFD, inheritable ? 0 : FD_CLOEXEC);
  }

  setNonblocking(fd: number): number {
    return this.#call.ints(this.#nr.fcntl, fd, F_SETFL, O.NONBLOCK);
  }

  /** `mode` as in fallocate(2): 3 punches a hole, 0x11 zeroes keeping the size. Bytes. */
  fallocate(fd: number, mode: number, offset: number, length: number): number {
    return this.#call.fallocate(
      this.#nr.fallocate,
      fd,
      mode,
      BigInt(offset),
      BigInt(length),
    );
  }

  #names(call: number, fd: number, address: Uint8Array, length: Uint32Array): number {
    length[0] = address.length;
    const into = new Uint8Array(length.buffer, length.byteOffset, 4) as Uint8Array<ArrayBuffer>;
    return this.#call.names(call, fd, address as Uint8Array<ArrayBuffer>, into);
  }

  /** Gives the library back; no call of this object may be made or be under way. */
  [Symbol.dispose](): void {
    if (!this.#held) return;
    this.#held = false;
    if (--users > 0) return;
    shared = undefined;
    this.#library.close();
  }
}

let shared: Library | undefined;
let users = 0;

/**
 * System calls for one user, who disposes them after the last one.
 *
 * @throws {BackendError} on another system than Linux on x86_64 or aarch64, or without `--allow-ffi`
 */
export function openLibc(): Libc {
  shared ??= load();
  users++;
  return new Libc(shared);
}

function load(): Library {
  const code = STUB_CODE[Deno.build.arch];
  if (Deno.build.os !== "linux" || code === undefined) {
    throw new BackendError(
      `Cannot make system calls on ${Deno.build.os}/${Deno.build.arch}: wanted Linux on x86_64 or aarch64`,
    );
  }
  try {
    return fromMemory(stubLibrary(code));
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotCapable)) throw cause;
    throw new BackendError("Cannot make system calls: run Deno with --allow-ffi", { cause });
  }
}

function fromMemory(bytes: Uint8Array<ArrayBuffer>): Library {
  using c = disposable(Deno.dlopen("libc.so.6", {
    memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
    write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    close: { parameters: ["i32"], result: "i32" },
  }));
  const fd = c.symbols.memfd_create(new TextEncoder().encode("knightsbridge-syscalls\0"), 1);
  if (fd < 0) throw new BackendError("Cannot make system calls: no memory file from the kernel");
  try {
    if (c.symbols.write(fd, bytes, BigInt(bytes.length)) !== BigInt(bytes.length)) {
      throw new BackendError("Cannot make system calls: the memory file is too short");
    }
    return Deno.dlopen(`/proc/self/fd/${fd}`, SYMBOLS);
  } finally {
    c.symbols.close(fd);
  }
}

function disposable<L extends { close(): void }>(library: L): L & Disposable {
  return Object.assign(library, { [Symbol.dispose]: () => library.close() });
}
