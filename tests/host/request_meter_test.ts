import { assert, assertEquals } from "@std/assert";
import { LATENCY_BOUNDS, RequestMeter } from "../../host/devices/request_meter.ts";
import { fakeClock } from "../support/fake_clock.ts";

Deno.test("RequestMeter puts a request in the first bucket that is not below its time, and none in two", async () => {
  // Each bound belongs to its bucket, what is longer to the next.
  const CASES = [
    { ms: 0, bucket: 0 },
    { ms: 1, bucket: LATENCY_BOUNDS.indexOf(0.001) },
    { ms: 2, bucket: LATENCY_BOUNDS.indexOf(0.0025) },
    { ms: 100, bucket: LATENCY_BOUNDS.indexOf(0.1) },
    { ms: 101, bucket: LATENCY_BOUNDS.indexOf(0.25) },
    { ms: 10_000, bucket: LATENCY_BOUNDS.length - 1 },
    { ms: 10_001, bucket: LATENCY_BOUNDS.length },
  ];
  using clock = fakeClock();
  for (const { ms, bucket } of CASES) {
    const meter = new RequestMeter(["read", "other"], 4);
    meter.begin(3);
    meter.is(3, 0);
    await clock.tick(ms);
    meter.end(3, "ok", 7);
    const { buckets, seconds, ...totals } = meter.totals().read!;
    assertEquals(buckets.indexOf(1), bucket, `${ms} ms`);
    assertEquals(buckets.reduce((sum, count) => sum + count), 1);
    assert(Math.abs(seconds - ms / 1000) < 1e-9, `${seconds} s`);
    assertEquals(totals, { requests: 1, bytes: 7, failed: 0, unsupported: 0 });
  }
});

Deno.test("RequestMeter counts what was never told its kind as the last one, and no bytes of what failed", () => {
  const meter = new RequestMeter(["read", "other"], 2);
  for (const outcome of ["failed", "unsupported", "unsupported"] as const) {
    meter.begin(0);
    meter.end(0, outcome, 512);
  }
  const { requests, bytes, failed, unsupported } = meter.totals().other!;
  assertEquals([requests, bytes, failed, unsupported], [3, 0, 1, 2]);
  assertEquals(meter.totals().read, undefined);
});
