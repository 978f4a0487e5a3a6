/**
 * What a card says of itself: its half of the device page, and its POST codes. Whoever waits for a word of it waits here.
 *
 * @module
 */
import { BootError } from "./boot_error.ts";
import { Condition } from "./condition.ts";
import type { PostCode } from "./events.ts";
import { HostPage } from "./host_page.ts";
import { PostCodes } from "./post_codes.ts";
import type { SystemMemory } from "./system_memory.ts";

export class CardReports implements Disposable {
  readonly page: HostPage;
  readonly postCodes: PostCodes = new PostCodes();
  /** Notified after every word of the card, and whenever its owner's state changes. */
  readonly changed: Condition = new Condition();
  #heard = 0;

  constructor(memory: SystemMemory) {
    this.page = new HostPage(memory);
  }

  /** Counts what the card said: POST codes and states. */
  get heard(): number {
    return this.#heard;
  }

  /** The card wrote the header of its page. The owner notifies, once it has acted on it. */
  reported(): void {
    this.#heard++;
  }

  posted(code: number): PostCode {
    this.#heard++;
    return this.postCodes.add(code);
  }

  /** Why the card refused, which its page says now. */
  refusal(act: "boot" | "reset"): BootError {
    const postCode = this.postCodes.lastText;
    return new BootError(
      `Cannot ${act}: the card refused with POST code ${postCode}: ${this.page.text}`,
      { postCode },
    );
  }

  [Symbol.dispose](): void {
    this.page[Symbol.dispose]();
  }
}
