// What `deno task bench` makes of its samples: medians, ratios, targets, and the table.
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { median, row } from "../bench/figures.ts";
import { table } from "../bench/table.ts";

Deno.test("median() is the middle sample, or the middle between two", () => {
  assertEquals(median([30, 1, 2]), 2);
  assertEquals(median([4, 1, 3, 2]), 2.5);
  assertThrows(() => median([]), RangeError);
});

Deno.test("row() has the ratio of the first variant to each other one", () => {
  const { figures, ratios } = row("read", "IOPS", { bridge: [20, 40], fio: [10], link: [60] });
  assertEquals(figures.bridge, { median: 30, min: 20, max: 40, samples: 2 });
  assertEquals(ratios, { fio: 3, link: 0.5 });
});

const TARGETS = [
  { wanted: "ratio at least 2", reached: { peer: true } },
  { wanted: "ratio at least 2.1", reached: { peer: false } },
  { wanted: "ratio at most 2", reached: { peer: true } },
  { wanted: "ratio at most 1.9", reached: { peer: false } },
  { wanted: "at least 10", reached: { bridge: true } },
  { wanted: "at most 9", reached: { bridge: false } },
] as const;
for (const { wanted, reached } of TARGETS) {
  Deno.test(`row() of 10 beside 5 and "${wanted}" says ${JSON.stringify(reached)}`, () => {
    assertEquals(row("x", "ms", { bridge: [10], peer: [5] }, { wanted }).reached, reached);
  });
}

Deno.test("row() with a peer that is missing says so, and nothing of its target", () => {
  const wanted = { fio: "ratio at least 1.3", link: "ratio at least 0.7" } as const;
  const it = row("read", "IOPS", { bridge: [9], fio: [], link: [10] }, { wanted });
  assertEquals([it.missing, it.ratios, it.reached], [["fio"], { link: 0.9 }, { link: true }]);
});

Deno.test("row() refuses a ratio where there is nothing to compare with", () => {
  const wanted = "ratio at least 1";
  assertThrows(() => row("read", "IOPS", { bridge: [1] }, { wanted }), RangeError, "no peer");
});

Deno.test("row() has the medians of the latencies", () => {
  const latencies = { bridge: [{ p50: 1, p99: 10 }, { p50: 3, p99: 30 }] };
  const { figures } = row("read", "IOPS", { bridge: [1, 2] }, { latencies });
  assertEquals(figures.bridge!.latency, { p50: 2, p99: 20 });
});

Deno.test("table() has a line for each variant, with what is wanted of it and whether it is reached", () => {
  const rows = [
    row("read", "IOPS", { bridge: [120, 130], fio: [100], link: [] }, {
      wanted: { fio: "ratio at least 1.3", link: "ratio at least 0.7" },
      latencies: { bridge: [{ p50: 8, p99: 90 }, { p50: 8, p99: 90 }] },
    }),
    row("boot", "ms", { bridge: [5] }, { wanted: "at most 6" }),
  ];
  const text = table([{ name: "block", rows, notes: ["fio is old"] }]);
  assertMatch(text, /variant +median +min \.\. max +p50 us +p99 us +ratio +wanted +reached/);
  assertMatch(text, /^ +read +bridge +125 IOPS +120 \.\. 130 +8\.00 +90\.0$/m);
  assertMatch(text, /^ +fio +100 IOPS +100 \.\. 100 +1\.25 +ratio at least 1\.3 +no$/m);
  assertMatch(text, /^ +link +missing +ratio at least 0\.7 +\?$/m);
  assertMatch(text, /^ +boot +bridge +5\.00 ms +5\.00 \.\. 5\.00 +at most 6 +yes$/m);
  assertMatch(text, /^ +note: fio is old$/m);
  assertMatch(text, /^1 of 3 targets reached, 1 could not be measured$/m);
});
