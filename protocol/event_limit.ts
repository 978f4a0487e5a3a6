/**
 * Bounds how often a peer can make this process say the same thing: so many a second one by one, the rest as a number.
 *
 * Whoever is at the other end can repeat what is worth a line (a fault, a POST code, a device that starts) as fast as
 * the link carries it; a log on a disk and a person at a terminal take much less. Everything stays counted.
 *
 * @module
 */

/** Milliseconds. */
const WINDOW = 1000;

interface Window {
  begun: number;
  told: number;
  untold: number;
}

export class EventLimit implements Disposable {
  readonly #most: number;
  readonly #untold: (what: string, count: number) => void;
  /** By what is said; the caller bounds how many different things there are. */
  readonly #windows = new Map<string, Window>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * At most `most` of each kind a second; `untold` is called with the number of further ones, once a second while there
   * are any, and at the end.
   */
  constructor(most: number, untold: (what: string, count: number) => void) {
    this.#most = most;
    this.#untold = untold;
  }

  /** Whether this one is to be told. */
  admits(what: string): boolean {
    const now = performance.now();
    let window = this.#windows.get(what);
    if (window === undefined) {
      window = { begun: now, told: 0, untold: 0 };
      this.#windows.set(what, window);
    } else if (now - window.begun >= WINDOW) {
      this.#tell(what, window);
      window.begun = now;
      window.told = 0;
    }
    if (window.told < this.#most) {
      window.told++;
      return true;
    }
    window.untold++;
    this.#timer ??= setTimeout(this.#tellAll, WINDOW);
    return false;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#tellAll();
  }

  readonly #tellAll = (): void => {
    this.#timer = undefined;
    for (const [what, window] of this.#windows) this.#tell(what, window);
  };

  #tell(what: string, window: Window): void {
    const { untold } = window;
    if (untold === 0) return;
    window.untold = 0;
    this.#untold(what, untold);
  }
}
