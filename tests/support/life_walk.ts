/**
 * The table of a card's states, walked by whoever does things to a card: what `ctl status --watch` tells is compared
 * with where the table says each event leads, and what was walked is kept.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { ControlEvent } from "../../host/control/card_control.ts";
import {
  LIFE_EVENTS,
  LIFE_STATES,
  type LifeEvent,
  type LifeState,
  next,
} from "../../host/driver/states.ts";
import type { Ctl } from "./ctl.ts";
import { LabProcess } from "./lab_process.ts";

/** What happens beside the table: a card process comes, or its host is another one. */
type Happening = LifeEvent | "came" | "host changed";

/** No test waits longer for what is told, ms. */
const LIMIT = 600_000;

/** A cell of the table, `ready: boot`, and where it leads. */
const cell = (state: LifeState, event: LifeEvent): string =>
  `${state}: ${event} > ${next(state, event)}`;

/** Every cell of the table. */
export const CELLS: readonly string[] = LIFE_STATES.flatMap((state) =>
  LIFE_EVENTS.filter((event) => next(state, event) !== undefined).map((event) => cell(state, event))
);

export class LifeWalk implements AsyncDisposable {
  /** Cells that the card went through. */
  readonly walked = new Set<string>();
  readonly #ctl: Ctl;
  readonly #card: string;
  #watch: LabProcess | undefined;
  /** Of the watch's output, that were read. */
  #read = 0;
  /** States as they were told, and as they were to be; none twice in a row. */
  readonly #told: string[] = [];
  readonly #due: string[] = ["absent"];
  /** Where the table has the card; undefined while no card process is it. */
  #state: LifeState | undefined;

  constructor(ctl: Ctl, card: string) {
    this.#ctl = ctl;
    this.#card = card;
  }

  /** Watches the host that is there now; resolves when it has told how the card is. */
  async follow(): Promise<void> {
    await this.#unwatch();
    this.#read = 0;
    const words = ["--control", this.#ctl.control, "status", "--watch", "--json"];
    this.#watch = await LabProcess.start("ctl", words, { limit: LIMIT });
    await this.#watch.found("how the card is", (stdout) => stdout.includes("\n") || undefined);
  }

  /** Does `act`, of which `happenings` come: resolves when their states, and no others, were told. */
  async through(happenings: readonly Happening[], act: () => Promise<unknown>): Promise<void> {
    for (const happening of happenings) this.#step(happening);
    await act();
    await this.#tells(this.#due);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unwatch();
  }

  /** It has nothing to put in order, and its host may be killed: it is not asked to end. */
  async #unwatch(): Promise<void> {
    this.#watch?.kill("SIGKILL");
    await this.#watch?.[Symbol.asyncDispose]();
  }

  #step(happening: Happening): void {
    if (happening === "host changed" || happening === "came") {
      this.#enter(happening === "came" ? "resetting" : undefined);
      return;
    }
    assert(this.#state !== undefined, `${happening} cannot come to a card that is absent`);
    const state = next(this.#state, happening);
    // A process of a card that is `ready` goes, too: the table has no cell for what changes nothing.
    if (state !== undefined) {
      this.walked.add(cell(this.#state, happening));
      this.#enter(state);
    } else assertEquals(happening, "gone", `does not apply to a card that is ${this.#state}`);
    if (happening === "gone") this.#enter(undefined);
  }

  #enter(state: LifeState | undefined): void {
    this.#state = state;
    append(this.#due, state ?? "absent");
  }

  async #tells(due: readonly string[]): Promise<void> {
    await this.#watch!.found(`states ${due.slice(-5).join(", ")}`, (stdout) => {
      const end = stdout.lastIndexOf("\n") + 1;
      for (const line of stdout.slice(this.#read, end).split("\n")) {
        if (line === "") continue;
        const event: ControlEvent = JSON.parse(line);
        if (event.type === "card" && event.card === this.#card) {
          append(this.#told, event.status.state);
        }
      }
      this.#read = end;
      const strays = this.#told.some((state, at) => state !== due[at]);
      return strays || this.#told.length === due.length || undefined;
    });
    assertEquals(this.#told, due);
  }
}

function append(states: string[], state: string): void {
  if (states.at(-1) !== state) states.push(state);
}
