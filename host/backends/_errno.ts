/**
 * Error numbers of Linux (the same on x86_64 and aarch64): the ones that a backend can meet, with the words a person
 * reads. A system call of `_libc.ts` returns them negated.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";

/** Names as in errno(3). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EPIPE: 32,
  ENOSYS: 38,
  EBADFD: 77,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  ENETDOWN: 100,
  ECONNRESET: 104,
  ENOBUFS: 105,
} as const;

const TEXT: Readonly<Record<keyof typeof ERRNO, string>> = {
  EPERM: "operation not permitted",
  ENOENT: "no such file or directory",
  EINTR: "interrupted by a signal",
  EIO: "input/output error",
  ENXIO: "no such device or address",
  EBADF: "bad file descriptor",
  EAGAIN: "would block",
  ENOMEM: "out of memory",
  EACCES: "permission denied",
  EFAULT: "bad address",
  EBUSY: "device or resource busy",
  EEXIST: "it exists already",
  ENODEV: "no such device",
  ENOTDIR: "not a directory",
  EISDIR: "it is a directory",
  EINVAL: "invalid argument",
  ENFILE: "too many open files in the system",
  EMFILE: "too many open files in this process",
  ENOTTY: "not a terminal or wrong kind of device",
  EFBIG: "file too large",
  ENOSPC: "no space left",
  EROFS: "read-only file system",
  EPIPE: "the other end is closed",
  ENOSYS: "not implemented by this kernel",
  EBADFD: "the descriptor is in a bad state",
  EOPNOTSUPP: "operation not supported",
  EADDRINUSE: "address in use",
  ENETDOWN: "the network is down",
  ECONNRESET: "connection reset by peer",
  ENOBUFS: "no buffer space left",
};

const NAMES = new Map<number, keyof typeof ERRNO>(
  (Object.keys(ERRNO) as (keyof typeof ERRNO)[]).map((name) => [ERRNO[name], name]),
);

/** For messages: `permission denied (EACCES)`; takes 13 or -13. */
export function errorText(errno: number): string {
  const name = NAMES.get(Math.abs(errno));
  return name === undefined ? `error ${Math.abs(errno)}` : `${TEXT[name]} (${name})`;
}

/** Passes a result of 0 or more on. @throws {BackendError} "Cannot ‹act›: …" for a negated error number */
export function checked(result: number, act: string): number {
  if (result < 0) throw new BackendError(`Cannot ${act}: ${errorText(result)}`);
  return result;
}
