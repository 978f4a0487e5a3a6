/**
 * A symbolic link with a lasting name for a pseudoterminal. One left over by a host that was killed is replaced; what
 * else is there is not touched.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";

/** The link, there until disposed. */
export class PtyLink implements Disposable {
  readonly #link: string;
  readonly #target: string;

  /** @throws {BackendError} */
  constructor(link: string, target: string) {
    this.#link = link;
    this.#target = target;
    const old = readLink(link);
    try {
      if (old?.startsWith("/dev/pts/")) Deno.removeSync(link);
      Deno.symlinkSync(target, link);
    } catch (cause) {
      if (cause instanceof Deno.errors.AlreadyExists) {
        throw new BackendError(
          `Cannot make link ${link}: it exists already and is not an old link of ours`,
          { cause },
        );
      }
      const reason = cause instanceof Error ? cause.message : cause;
      throw new BackendError(`Cannot make link ${link}: ${reason}`, { cause });
    }
  }

  [Symbol.dispose](): void {
    try {
      if (readLink(this.#link) === this.#target) Deno.removeSync(this.#link);
    } catch {
      // Someone removed it, or the folder: it is gone, as it should be.
    }
  }
}

function readLink(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return undefined;
  }
}
