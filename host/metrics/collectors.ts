/**
 * Metrics that are read where they are counted, when they are asked for: prom-client's own count at the time of the
 * event, which would put it on the link's and the devices' way.
 *
 * @module
 */
import { Counter, Gauge, type Histogram, type Registry } from "prom-client";

export interface Described<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly L[];
}

/** One value, and which it is. */
export type Sample<L extends string> = readonly [labels: Record<L, string>, value: number];

/** A running total: `read` says all of them each time. */
export function counter<const L extends string>(
  registry: Registry,
  { name, help, labels }: Described<L>,
  read: () => Iterable<Sample<L>>,
): void {
  new Counter<L>({
    name,
    help,
    labelNames: labels,
    registers: [registry],
    collect() {
      this.reset();
      for (const [which, value] of read()) this.inc(which, value);
    },
  });
}

/** What goes up and down. */
export function gauge<const L extends string>(
  registry: Registry,
  { name, help, labels }: Described<L>,
  read: () => Iterable<Sample<L>>,
): void {
  new Gauge<L>({
    name,
    help,
    labelNames: labels,
    registers: [registry],
    collect() {
      this.reset();
      for (const [which, value] of read()) this.set(which, value);
    },
  });
}

/** What a histogram has counted. */
export interface Distribution {
  /** How many are in each bucket and in none below; one more than there are bounds. */
  readonly buckets: readonly number[];
  readonly sum: number;
}

/** A distribution that is counted elsewhere, which prom-client's own histogram cannot show. */
export function histogram<const L extends string>(
  registry: Registry,
  { name, help }: Described<L>,
  bounds: readonly number[],
  read: () => Iterable<readonly [labels: Record<L, string>, Distribution]>,
): void {
  const get = () => {
    const values: { metricName: string; labels: Record<string, string | number>; value: number }[] =
      [];
    for (const [labels, { buckets, sum }] of read()) {
      let count = 0;
      buckets.forEach((more, i) => {
        count += more;
        values.push({
          metricName: `${name}_bucket`,
          labels: { ...labels, le: bounds[i] ?? "+Inf" },
          value: count,
        });
      });
      values.push({ metricName: `${name}_sum`, labels, value: sum });
      values.push({ metricName: `${name}_count`, labels, value: count });
    }
    return Promise.resolve({ name, help, type: "histogram", aggregator: "sum", values });
  };
  // All that a registry asks of its metrics.
  const metric = { name, help, get, reset: () => {} } as unknown as Histogram<L>;
  registry.registerMetric(metric);
}
