// What the metrics say, beside what was really done: requests of known sizes, and what a proxy saw on the wire.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { HostMetrics } from "../../host/metrics/host_metrics.ts";
import { DiagBench, SECTOR } from "../support/diag_bench.ts";
import { HostBench } from "../support/host_bench.ts";
import { FrameWalker } from "../support/frame_walker.ts";

/** Values by what stands before them. */
async function scrape(metrics: HostMetrics): Promise<Map<string, number>> {
  const values = new Map<string, number>();
  for (const line of (await metrics.text()).split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const space = line.lastIndexOf(" ");
    assert(!values.has(line.slice(0, space)), `said twice: ${line}`);
    values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return values;
}

/** How much each value has grown, of those that have. */
function growth(before: Map<string, number>, after: Map<string, number>): Map<string, number> {
  return new Map(
    [...after].map(([key, value]) => [key, value - (before.get(key) ?? 0)] as const)
      .filter(([, more]) => more !== 0),
  );
}

Deno.test("a disk's metrics are the requests that were made of it: kinds, bytes, errors, times", async () => {
  await using bench = await DiagBench.start();
  using metrics = new HostMetrics(bench.control);
  const { disk } = bench.os;
  const before = await scrape(metrics);
  let written = 0;
  let read = 0;
  for (let sectors = 1; sectors <= 9; sectors++) {
    await disk.write(sectors, new Uint8Array(sectors * SECTOR));
    written += sectors * SECTOR;
  }
  for (let sectors = 1; sectors <= 5; sectors++) read += (await disk.read(3, sectors)).length;
  for (let i = 0; i < 3; i++) await disk.flush();
  // Beyond the end.
  await assertRejects(() => disk.read(256, 1));
  await assertRejects(() => disk.write(255, new Uint8Array(2 * SECTOR)));
  await assertRejects(() => disk.write(300, new Uint8Array(SECTOR)));
  const more = growth(before, await scrape(metrics));

  const of = (name: string, labels: string) =>
    more.get(`knightsbridge_${name}{card="mic0",device="disk0",${labels}}`);
  assertEquals(of("block_bytes_total", 'kind="write"'), written);
  assertEquals(of("block_bytes_total", 'kind="read"'), read);
  assertEquals(of("block_request_seconds_count", 'kind="write"'), 11);
  assertEquals(of("block_request_seconds_count", 'kind="read"'), 6);
  assertEquals(of("block_request_seconds_count", 'kind="flush"'), 3);
  assertEquals(of("block_errors_total", 'kind="read",error="io"'), 1);
  assertEquals(of("block_errors_total", 'kind="write",error="io"'), 2);
  assertEquals(of("block_errors_total", 'kind="flush",error="io"'), undefined);
  // Every request is one buffer: a header of 16 bytes, its data, a byte of status.
  assertEquals(more.get('knightsbridge_device_buffers_total{card="mic0",device="disk0"}'), 20);
  const refused = 3 * SECTOR;
  assertEquals(of("device_bytes_total", 'direction="from_driver"'), 20 * 16 + written + refused);
  // The status of a read that failed comes behind data that is none: such a buffer goes back with nothing in it.
  assertEquals(of("device_bytes_total", 'direction="to_driver"'), read + 19);
  for (const kind of ["read", "write", "flush"]) {
    const last = of("block_request_seconds_bucket", `kind="${kind}",le="+Inf"`);
    assertEquals(last, of("block_request_seconds_count", `kind="${kind}"`));
    assert(of("block_request_seconds_sum", `kind="${kind}"`)! > 0);
  }
  // One request at a time: each has its notification, both ways.
  assertEquals(of("device_notifications_total", 'kind="used"'), 20);
  assertEquals(of("device_notifications_total", 'kind="available"'), 20);
});

Deno.test("buffers that come together share notifications, and those that were spared are counted", async () => {
  await using bench = await DiagBench.start();
  using metrics = new HostMetrics(bench.control);
  const { disk } = bench.os;
  const before = await scrape(metrics);
  await Promise.all(Array.from({ length: 32 }, (_, i) => disk.read(i, 1)));
  const more = growth(before, await scrape(metrics));
  for (const kind of ["available", "used"]) {
    const labels = `{card="mic0",device="disk0",kind="${kind}"}`;
    const sent = more.get(`knightsbridge_device_notifications_total${labels}`) ?? 0;
    const spared = more.get(`knightsbridge_device_notifications_suppressed_total${labels}`) ?? 0;
    assertEquals(sent + spared, 32, kind);
    assert(spared > 0, kind);
  }
});

Deno.test("a link's bytes and frames are what passed on the wire, lost connections and all", async () => {
  // By direction, whole sequenced frames; a greeting opens each connection.
  const SEQUENCED = 0x10;
  const frames = { cardToHost: 0, hostToCard: 0 };
  const walkers = {
    cardToHost: new FrameWalker((type, whole) =>
      void (whole && type >= SEQUENCED && frames.cardToHost++)
    ),
    hostToCard: new FrameWalker((type, whole) =>
      void (whole && type >= SEQUENCED && frames.hostToCard++)
    ),
  };
  await using bench = await DiagBench.start({
    onBytes: (direction, bytes) => walkers[direction].push(bytes),
  });
  using metrics = new HostMetrics(bench.control);
  await bench.work(50);

  const GREETING = 128;
  const wire = () => [
    bench.proxy.forwarded.hostToCard - GREETING,
    bench.proxy.forwarded.cardToHost - GREETING,
    frames.hostToCard,
    frames.cardToHost,
  ];
  let said: (number | undefined)[] = [];
  // What is on its way is counted at one end only: at rest, the two agree.
  for (let patience = 1000; patience > 0; patience--) {
    const values = await scrape(metrics);
    said = ["bytes", "frames"].flatMap((what) =>
      ["sent", "received"].map((direction) =>
        values.get(`knightsbridge_link_${what}_total{card="mic0",direction="${direction}"}`)
      )
    );
    if (said.every((value, i) => value === wire()[i])) break;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assertEquals(said, wire());

  bench.proxy.cut();
  await bench.until(() => bench.hostLinks.find((status) => status.type === "up" && status.resumed));
  const values = await scrape(metrics);
  assertEquals(values.get('knightsbridge_link_reconnects_total{card="mic0"}'), 1);
  assertEquals(values.get('knightsbridge_link_up{card="mic0"}'), 1);
  const credit = values.get('knightsbridge_link_credit{card="mic0",kind="posted_bytes"}')!;
  assert(credit > 0, `${credit}`);
});

Deno.test("a card's life: its state, boots, ends by reason, and peers that were refused", async () => {
  await using bench = await DiagBench.start();
  using metrics = new HostMetrics(bench.control);
  const card = bench.control.cards.get("mic0")!;
  const signal = AbortSignal.timeout(20_000);
  await card.shutdown();
  await card.waitFor(["ready"], signal);
  await card.boot();
  await card.waitFor(["online"], signal);
  const values = await scrape(metrics);
  const of = (name: string) => values.get(`knightsbridge_${name}`);
  assertEquals(of('card_state{card="mic0",state="online"}'), 1);
  assertEquals(of('card_state{card="mic0",state="ready"}'), 0);
  assertEquals(of('card_boots_total{card="mic0"}'), 2);
  assertEquals(of('card_crashes_total{card="mic0"}'), 0);
  // The first boot was over before anybody listened.
  assertEquals(of('card_boot_seconds_count{card="mic0"}'), 1);
  const ends = [...values].filter(([name]) => name.startsWith("knightsbridge_card_ends_total"));
  assertEquals(ends, [['knightsbridge_card_ends_total{card="mic0",reason="poweroff"}', 1]]);
});

Deno.test("peers that are refused are counted by reason, and no metric of theirs is made", async () => {
  await using bench = new HostBench({ identity: "02".repeat(16) });
  using metrics = new HostMetrics(bench.control);
  bench.startCard({ identity: 1 });
  await bench.sees((event) => event.type === "refused" || undefined);
  const values = await scrape(metrics);
  const refused = [...values].filter(([name]) => name.includes("refused_connections"));
  assertEquals(refused.map(([name]) => name), [
    'knightsbridge_refused_connections_total{reason="busy"}',
  ]);
  assertEquals(values.get('knightsbridge_card_state{card="mic0",state="absent"}'), 1);
});
