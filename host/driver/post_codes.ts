/**
 * The POST codes of a card as they came, with their times.
 *
 * @module
 */
import { postText } from "../../protocol/mod.ts";
import type { PostCode } from "./events.ts";

/** A card that posts without end must not fill memory. */
const KEPT = 256;

export class PostCodes {
  readonly #codes: PostCode[] = [];

  /** Oldest first; the last 256. */
  get all(): readonly PostCode[] {
    return this.#codes;
  }

  get last(): PostCode | undefined {
    return this.#codes.at(-1);
  }

  /** The last one for error texts. */
  get lastText(): string {
    return this.last?.text ?? "none";
  }

  add(code: number): PostCode {
    const post = {
      code,
      text: postText(code).replaceAll(/[^\x20-\x7e]/g, "."),
      time: Date.now(),
    };
    this.#codes.push(post);
    if (this.#codes.length > KEPT) this.#codes.shift();
    return post;
  }
}
