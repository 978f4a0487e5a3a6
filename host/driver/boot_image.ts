/**
 * Boot images: files of the host, or bytes of a program, read in pieces.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";

/** A path, or bytes with the name that errors give them. */
export type ImageSource = string | { readonly name: string; readonly bytes: Uint8Array };

/** What a card is to boot. */
export interface BootImages {
  readonly kernel: ImageSource;
  readonly initrd?: ImageSource | undefined;
  /** Kernel command line. */
  readonly cmdline?: string | undefined;
}

/** An image that is open for reading, from its start to its end, once. */
export class BootImage implements Disposable {
  readonly name: string;
  /** Bytes, as found when it was opened. */
  readonly length: number;
  readonly #file: Deno.FsFile | undefined;
  readonly #bytes: Uint8Array | undefined;
  #at = 0;

  private constructor(name: string, length: number, source: Deno.FsFile | Uint8Array) {
    this.name = name;
    this.length = length;
    if (source instanceof Uint8Array) this.#bytes = source;
    else this.#file = source;
  }

  /** @throws {BackendError} if it cannot be read */
  static async open(source: ImageSource): Promise<BootImage> {
    if (typeof source !== "string") {
      return new BootImage(source.name, source.bytes.length, source.bytes);
    }
    let file: Deno.FsFile;
    try {
      file = await Deno.open(source);
    } catch (cause) {
      throw new BackendError(`Cannot read boot image '${source}': ${reason(cause)}`, { cause });
    }
    try {
      const { isFile, size } = await file.stat();
      if (!isFile) throw new BackendError(`Cannot read boot image '${source}': not a file`);
      return new BootImage(source, size, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The first `length` bytes, or all if there are fewer; reading goes on from the start. */
  async head(length: number): Promise<Uint8Array> {
    const head = new Uint8Array(Math.min(length, this.length));
    await this.read(head);
    this.#at = 0;
    await this.#file?.seek(0, Deno.SeekMode.Start);
    return head;
  }

  /** Fills all of `into` with the next bytes. @throws {BackendError} if the file fails or ends */
  async read(into: Uint8Array): Promise<void> {
    if (this.#bytes) {
      into.set(this.#bytes.subarray(this.#at, this.#at + into.length));
      this.#at += into.length;
      return;
    }
    for (let done = 0; done < into.length;) {
      let count: number | null;
      try {
        count = await this.#file!.read(into.subarray(done));
      } catch (cause) {
        throw new BackendError(`Cannot read boot image '${this.name}': ${reason(cause)}`, {
          cause,
        });
      }
      if (count === null) {
        throw new BackendError(
          `Cannot read boot image '${this.name}': ended at byte ${this.#at}, wanted ${this.length}`,
        );
      }
      done += count;
      this.#at += count;
    }
  }

  [Symbol.dispose](): void {
    this.#file?.close();
  }
}

function reason(cause: unknown): string {
  if (cause instanceof Deno.errors.NotFound) return "no such file";
  if (cause instanceof Deno.errors.PermissionDenied) return "permission denied";
  return cause instanceof Error ? cause.message : String(cause);
}
