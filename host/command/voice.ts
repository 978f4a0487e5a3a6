/**
 * What the host says on stderr: lines for people, or JSON for programs.
 *
 * @module
 */
import { tell } from "../../scripts/cli/mod.ts";
import { jsonOf } from "../control/report.ts";

export class Voice {
  /** The terminal is raw: a line needs its own return. */
  raw = false;
  readonly #json: boolean;
  readonly #several: boolean;

  constructor({ json, several }: { readonly json: boolean; readonly several: boolean }) {
    this.#json = json;
    this.#several = several;
  }

  /** Nothing is said to people where there is no `line`. */
  readonly say = (event: object, line: string | undefined): void => {
    if (this.#json) tell(jsonOf(event));
    else if (line !== undefined) tell(`host: ${line}${this.raw ? "\r" : ""}`);
  };

  /** What is said of `card` names it: in lines only where it is not the only one. */
  of(card: string): (event: object, line: string | undefined) => void {
    return (event, line) => {
      const named = line !== undefined && this.#several ? `${card}: ${line}` : line;
      this.say({ card, ...event }, named);
    };
  }
}
