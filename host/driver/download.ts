/**
 * The download: what the card is to boot goes through the aperture into card memory, hashed on the way.
 *
 * Posted writes all the way: no round trip, and never more under way than the link's high-water mark.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Requester, Span } from "../../protocol/mod.ts";
import { BootImage, type BootImages } from "./boot_image.ts";
import type { CardPatience } from "./card_patience.ts";
import { HEAD_SIZE, type KernelKind, kernelKind } from "./kernel_kind.ts";
import { type CardMemoryMap, place, type Placement } from "./placement.ts";

/** Bytes read from a file and posted at a time. */
const PIECE = 256 * 1024;
const DIGEST_SIZE = 32;

/** What the bootstrap offers to download into. */
export interface DownloadTarget extends CardMemoryMap {
  readonly requester: Requester;
  /** Bus address of card memory. */
  readonly aperture: number;
  /** What runs the card's CPU, as in CardInfo. */
  readonly platform: string;
  readonly patience: CardPatience;
}

export interface DownloadProgress {
  readonly part: "kernel" | "initrd";
  /** Bytes handed to the link so far, and in all. */
  readonly done: number;
  readonly total: number;
}

export interface Downloaded {
  readonly kind: KernelKind;
  readonly placement: Placement;
  /** SHA-256 of kernel, command line and initrd (zeros for none), end to end: 96 bytes. */
  readonly digests: Uint8Array;
}

/**
 * @throws {BackendError} if an image cannot be read
 * @throws {BootError} if the kernel is none for this card, or does not fit
 * @throws {ProtocolError} if the card takes nothing for too long
 */
export async function download(
  target: DownloadTarget,
  images: BootImages,
  onProgress: (progress: DownloadProgress) => void,
  signal: AbortSignal,
): Promise<Downloaded> {
  signal.throwIfAborted();
  using kernel = await BootImage.open(images.kernel);
  using initrd = images.initrd === undefined ? undefined : await BootImage.open(images.initrd);
  const kind = kernelKind(kernel.name, await kernel.head(HEAD_SIZE), target.platform);
  const cmdline = new TextEncoder().encode(images.cmdline ?? "");
  const placement = place({
    kernel: kernel.length,
    cmdline: cmdline.length,
    initrd: initrd?.length ?? 0,
  }, target);
  const digests = new Uint8Array(3 * DIGEST_SIZE);
  const progress = (part: DownloadProgress["part"]) => (done: number, total: number) =>
    onProgress({ part, done, total });
  digests.set(await send(target, kernel, placement.kernel, progress("kernel"), signal), 0);
  const terminated = new Uint8Array(cmdline.length + 1);
  terminated.set(cmdline);
  target.requester.postWrite(target.aperture + placement.cmdline.address, terminated);
  digests.set(createHash("sha256").update(cmdline).digest(), DIGEST_SIZE);
  if (initrd && placement.initrd) {
    const digest = await send(target, initrd, placement.initrd, progress("initrd"), signal);
    digests.set(digest, 2 * DIGEST_SIZE);
  }
  return { kind, placement, digests };
}

async function send(
  target: DownloadTarget,
  image: BootImage,
  to: Span,
  onProgress: (done: number, total: number) => void,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { requester, aperture, patience } = target;
  const hash = createHash("sha256");
  const buffer = new Uint8Array(Math.min(PIECE, to.length));
  for (let done = 0; done < to.length;) {
    if (!requester.writable) {
      const ask = (limited: AbortSignal) => writable(requester, limited);
      await patience.answered("take more of the download", signal, ask);
    }
    const piece = buffer.subarray(0, to.length - done);
    await image.read(piece);
    signal.throwIfAborted();
    hash.update(piece);
    requester.postWrite(aperture + to.address + done, piece);
    done += piece.length;
    onProgress(done, to.length);
  }
  return hash.digest();
}

/** Resolves when the link takes more; rejects when `signal` aborts. */
function writable(requester: Requester, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const aborted = () => reject(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    requester.onWritable(() => {
      signal.removeEventListener("abort", aborted);
      resolve();
    }, signal);
  });
}
