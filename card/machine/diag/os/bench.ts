/**
 * Block load generator: keeps `depth` requests in flight and measures each. Everything is made before the first
 * request, a completion starts the next one straight from the interrupt, and latencies go into a histogram, so what is
 * measured is the path to the host and not this file.
 *
 * @module
 */
import { virtioBlock } from "../../../../protocol/mod.ts";
import { succeeded } from "./block.ts";
import type { Disk } from "./disk.ts";
import type { Heap } from "./heap.ts";

const { REQUEST_TYPE, SECTOR_SIZE } = virtioBlock;

export interface BenchOptions {
  readonly rw: "read" | "write" | "randread" | "randwrite";
  /** Bytes a request, a multiple of 512. */
  readonly bs: number;
  readonly depth: number;
  /** Ends after so many seconds or requests, whichever comes first. */
  readonly seconds: number;
  readonly count: number;
  /** Random requests go to so many places, spread evenly over the disk; all there are, if there are fewer. */
  readonly places: number;
}

export interface BenchResult extends BenchOptions {
  readonly requests: number;
  readonly errors: number;
  readonly elapsed_s: number;
  readonly iops: number;
  /** 10^6 bytes a second. */
  readonly mb_s: number;
  readonly latency_us: Latencies;
}

/** Of requests, microseconds. */
export interface Latencies {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Latencies by size class: 32 classes an octave of nanoseconds, so a percentile is right to about 2 %. */
export class Histogram {
  readonly #counts = new Float64Array(32 * 40);
  #total = 0;
  #sum = 0;
  max = 0;

  add(ms: number): void {
    const ns = Math.max(1, ms * 1e6);
    this.#counts[Math.min(this.#counts.length - 1, Math.floor(Math.log2(ns) * 32))]!++;
    this.#total++;
    this.#sum += ms;
    if (ms > this.max) this.max = ms;
  }

  get mean(): number {
    return this.#total === 0 ? 0 : this.#sum / this.#total;
  }

  /** Milliseconds; the middle of the class that holds the given fraction. */
  percentile(fraction: number): number {
    let seen = 0;
    for (const [index, count] of this.#counts.entries()) {
      seen += count;
      if (count > 0 && seen >= fraction * this.#total) {
        return Math.min(this.max, 2 ** ((index + 0.5) / 32) / 1e6);
      }
    }
    return 0;
  }

  /** Microseconds. */
  summary(): Latencies {
    const us = (fraction: number) => round(this.percentile(fraction) * 1000);
    return {
      mean: round(this.mean * 1000),
      p50: us(0.5),
      p90: us(0.9),
      p99: us(0.99),
      p999: us(0.999),
      max: round(this.max * 1000),
    };
  }
}

/** @throws {RangeError} for options that cannot be */
export async function bench(
  disk: Disk,
  heap: Heap,
  options: BenchOptions,
  signal: AbortSignal,
): Promise<BenchResult> {
  const { rw, bs, depth, seconds, count } = options;
  const { driver } = disk;
  const sectorsEach = bs / SECTOR_SIZE;
  const blocks = Math.floor(disk.sectors / sectorsEach);
  if (!Number.isInteger(sectorsEach) || bs === 0 || bs > driver.maxData || blocks === 0) {
    throw new RangeError(
      `Cannot use bs=${bs}: wanted a multiple of 512 up to ${driver.maxData} and the disk`,
    );
  }
  const places = Math.min(options.places, blocks);
  if (depth < 1 || depth > 128) throw new RangeError(`Cannot use depth=${depth}: wanted 1 to 128`);

  const type = rw.endsWith("read") ? REQUEST_TYPE.IN : REQUEST_TYPE.OUT;
  const random = rw.startsWith("rand");
  const area = heap.allocate(depth * bs, SECTOR_SIZE);
  if (type === REQUEST_TYPE.OUT) fillRandom(heap, area.address, area.length);
  const started = new Float64Array(depth);
  const histogram = new Histogram();
  const finished = Promise.withResolvers<void>();
  let issued = 0;
  let completed = 0;
  let errors = 0;
  const begin = performance.now();
  const deadline = begin + seconds * 1000;

  const issue = (tag: number, now: number): void => {
    const block = random
      ? Math.floor(Math.floor(Math.random() * places) * (blocks / places))
      : issued % blocks;
    started[tag] = now;
    issued++;
    // Slots and descriptors suffice for any depth that was let through, unless others use the disk too.
    if (!driver.submit(type, block * sectorsEach, area.address + tag * bs, bs, done, tag)) {
      issued--;
      errors++;
    }
  };
  const done = (status: number, tag: number): void => {
    const now = performance.now();
    histogram.add(now - started[tag]!);
    completed++;
    if (!succeeded(status)) errors++;
    const more = now < deadline && issued < count && errors === 0 && !signal.aborted;
    if (more) issue(tag, now);
    if (completed === issued) finished.resolve();
  };
  try {
    for (let tag = 0; tag < Math.min(depth, count); tag++) issue(tag, performance.now());
    driver.kick();
    if (issued > completed) await finished.promise;
  } finally {
    if (!driver.lost) heap.release(area);
  }
  signal.throwIfAborted();

  const elapsed = (performance.now() - begin) / 1000;
  return {
    ...options,
    requests: completed,
    errors,
    elapsed_s: round(elapsed, 4),
    iops: round(completed / elapsed),
    mb_s: round((completed * bs) / elapsed / 1e6),
    latency_us: histogram.summary(),
  };
}

const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

/** So that no layer below can cheat with zeros. */
function fillRandom(heap: Heap, address: number, length: number): void {
  const bytes = heap.bytes(address, length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65_536, length)));
  }
}
