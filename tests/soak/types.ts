/**
 * What a soak is: a proof that takes too long for `deno task test`, which has its short form.
 *
 * @module
 */

/** One run of a soak. */
export interface SoakRun {
  /** Everything random in the run comes from it: the same seed is the same run, as far as the machine allows. */
  readonly seed: number;
  /** Minutes instead of hours: for trying a soak out. */
  readonly quick: boolean;
  /** A folder that goes with the run. */
  readonly folder: string;
  /** A line of progress, for the person who waits. */
  say(line: string): void;
}

/** What a soak measured, by name with its unit: `"cuts"`, `"longest pause, ms"`. */
export type SoakFigures = Readonly<Record<string, number | string>>;

/** Runs to its end, or throws what it found: with the seed, and what is needed to see it again. */
export type Soak = (run: SoakRun) => Promise<SoakFigures>;
