/**
 * What a benchmark tells: samples, their median and spread, what is wanted of them, and whether it is reached.
 *
 * @module
 */

/** Of a request, microseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** Samples of one thing, in the row's unit. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: number;
  /** Medians over the samples. */
  readonly latency?: Latency;
}

/** What is wanted of a median, or of the first variant's median divided by this one's. */
export type Wanted = `${"" | "ratio "}at ${"least" | "most"} ${number}`;

export interface Row {
  readonly what: string;
  readonly unit: string;
  /** By variant; the bridge first. */
  readonly figures: Readonly<Record<string, Summary>>;
  /** Variants that could not be measured; the section's notes say why. */
  readonly missing: readonly string[];
  /** By peer: the first variant's median divided by the peer's. */
  readonly ratios: Readonly<Record<string, number>>;
  /** By the variant whose median or ratio is meant. */
  readonly wanted: Readonly<Record<string, Wanted>>;
  /** The same; without those that could not be measured. */
  readonly reached: Readonly<Record<string, boolean>>;
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
  /** Says, once, what the reader of the table must know. */
  note(text: string): void;
  /** Says what is being measured now, to whoever waits for it. */
  progress(text: string): void;
}

export type Benchmark = (context: BenchContext) => Promise<Row[]>;

export interface RowOptions {
  /** A ratio to the second variant, or a median of the first one; or by variant. */
  readonly wanted?: Wanted | Readonly<Record<string, Wanted>>;
  /** By variant, one a sample. */
  readonly latencies?: Readonly<Record<string, readonly Latency[]>>;
  readonly detail?: unknown;
}

export function median(samples: readonly number[]): number {
  if (samples.length === 0) throw new RangeError("Cannot sum up: no samples");
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function summary(samples: readonly number[], latencies: readonly Latency[] = []): Summary {
  return {
    median: median(samples),
    min: Math.min(...samples),
    max: Math.max(...samples),
    samples: samples.length,
    ...(latencies.length > 0 && {
      latency: {
        p50: median(latencies.map(({ p50 }) => p50)),
        p99: median(latencies.map(({ p99 }) => p99)),
      },
    }),
  };
}

/** A row of samples by variant, with the ratios of the first variant's median to the others'. */
export function row(
  what: string,
  unit: string,
  samples: Readonly<Record<string, readonly number[]>>,
  options: RowOptions = {},
): Row {
  const { latencies = {}, detail } = options;
  const variants = Object.keys(samples);
  const figures: Record<string, Summary> = {};
  const ratios: Record<string, number> = {};
  const reached: Record<string, boolean> = {};
  const first = variants[0]!;
  for (const variant of variants) {
    if (samples[variant]!.length === 0) continue;
    figures[variant] = summary(samples[variant]!, latencies[variant]);
    if (variant === first || figures[first] === undefined) continue;
    ratios[variant] = figures[first].median / figures[variant].median;
  }
  const wanted = wantedOf(options.wanted, variants);
  for (const [variant, text] of Object.entries(wanted)) {
    const value = text.startsWith("ratio ") ? ratios[variant] : figures[variant]?.median;
    if (value !== undefined) reached[variant] = meets(value, text);
  }
  return {
    ...{ what, unit, figures, ratios, wanted, reached },
    missing: variants.filter((variant) => figures[variant] === undefined),
    ...(detail !== undefined && { detail }),
  };
}

function wantedOf(
  wanted: RowOptions["wanted"],
  [first, second]: readonly string[],
): Readonly<Record<string, Wanted>> {
  if (typeof wanted !== "string") return wanted ?? {};
  const variant = wanted.startsWith("ratio ") ? second : first;
  if (variant === undefined) throw new RangeError(`Cannot want "${wanted}" of a row with no peer`);
  return { [variant]: wanted };
}

function meets(value: number, wanted: Wanted): boolean {
  const [bound, limit] = wanted.split(" ").slice(-2);
  return bound === "least" ? value >= Number(limit) : value <= Number(limit);
}
