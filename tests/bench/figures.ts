/**
 * What a benchmark tells: samples, their median and spread, and the table of all of them.
 *
 * @module
 */

/** Samples of one thing, in the row's unit. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: number;
}

export interface Row {
  readonly what: string;
  readonly unit: string;
  /** By variant; the bridge first. */
  readonly figures: Readonly<Record<string, Summary>>;
  /** Bridge to peer, of the medians. */
  readonly ratio?: number;
  /** What issue 2 wants of ratio or figure, in words. */
  readonly wanted?: string;
  /** Further percentiles and the like; for the JSON only. */
  readonly detail?: unknown;
}

export interface Section {
  readonly name: string;
  readonly rows: readonly Row[];
  /** Why something is missing. */
  readonly notes: readonly string[];
}

/** What a benchmark gets. */
export interface BenchContext {
  readonly quick: boolean;
  /** Temporary folder, removed at the end. */
  readonly folder: string;
  note(text: string): void;
}

export type Benchmark = (context: BenchContext) => Promise<Row[]>;

export function summary(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new RangeError("Cannot sum up: no samples");
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, samples: sorted.length };
}

/** A row of samples by variant, with the ratio of the first two variants' medians. */
export function row(
  what: string,
  unit: string,
  samples: Readonly<Record<string, readonly number[]>>,
  more: Pick<Row, "wanted" | "detail"> = {},
): Row {
  const figures = Object.fromEntries(
    Object.entries(samples).filter(([, values]) => values.length > 0)
      .map(([name, values]) => [name, summary(values)]),
  );
  const [first, second] = Object.values(figures);
  const ratio = first && second ? { ratio: first.median / second.median } : {};
  return { what, unit, figures, ...ratio, ...more };
}

export function table(sections: readonly Section[]): string {
  return sections.map(({ name, rows, notes }) => {
    const cells = rows.flatMap(({ what, unit, figures, ratio, wanted }) =>
      Object.entries(figures).map(([variant, figure], index) => [
        index === 0 ? what : "",
        variant,
        `${digits(figure.median)} ${unit}`,
        `${digits(figure.min)} .. ${digits(figure.max)}`,
        index === 0 && ratio !== undefined ? ratio.toFixed(2) : "",
        index === 0 ? wanted ?? "" : "",
      ])
    );
    const all = [["", "", "median", "min .. max", "ratio", "wanted"], ...cells];
    const widths = all[0]!.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
    const lines = all.map((line) =>
      line.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()
    );
    return [`${name}`, ...lines, ...notes.map((note) => `note: ${note}`)].join("\n  ") + "\n";
  }).join("\n");
}

const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
