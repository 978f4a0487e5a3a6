/**
 * Who of a console's viewers may type: one at a time.
 *
 * A client that can ask (`ctl console`, a WebSocket) gets the keyboard if nobody has it, or takes it over, and keeps it
 * until it leaves or another takes it over. A terminal that cannot ask (a pseudoterminal, a socket, the host's own) asks
 * by typing; while nobody holds the keyboard by request, such terminals share it, and the last who typed has it.
 *
 * @module
 */

/** `typing`: asks by typing. `asking`: asks. `never`: reads only. */
export type KeyboardUse = "typing" | "asking" | "never";

export interface Typist {
  readonly name: string;
  readonly use: KeyboardUse;
}

export class Keyboard<T extends Typist> {
  #holder: T | undefined;
  readonly #passed: (from: T | undefined, to: T | undefined) => void;

  /** `passed` is told whenever another has it. */
  constructor(passed: (from: T | undefined, to: T | undefined) => void) {
    this.#passed = passed;
  }

  get holder(): T | undefined {
    return this.#holder;
  }

  /** `typist` typed something: whether it counts. */
  typed(typist: T): boolean {
    if (typist === this.#holder) return true;
    if (typist.use === "never") return false;
    const shared = typist.use === "typing" && this.#holder?.use === "typing";
    if (this.#holder !== undefined && !shared) return false;
    this.take(typist);
    return true;
  }

  /** Gives it to `typist`, whoever has it. */
  take(typist: T): void {
    if (typist !== this.#holder) this.#pass(typist);
  }

  /** `typist` has left. */
  release(typist: T): void {
    if (typist === this.#holder) this.#pass(undefined);
  }

  #pass(to: T | undefined): void {
    const from = this.#holder;
    this.#holder = to;
    this.#passed(from, to);
  }
}
