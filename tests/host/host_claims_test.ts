// Whose the host is while its card is away, and who may come.
import { assertEquals, assertRejects } from "@std/assert";
import { LinkError } from "../../protocol/mod.ts";
import { encodeGreeting } from "../../protocol/link/greeting.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { FakeDevice } from "../support/fake_device.ts";
import { bootedCard, HostBench, setUpDriver } from "../support/host_bench.ts";
import { cardGreeting, RawPeer } from "../support/link_peer.ts";

/** One turn of the event loop: for what the machine of a test cannot tell. */
const turn = () => new Promise((done) => setTimeout(done, 0));

Deno.test("Host refuses a second card while the first is there, and serves it after", async () => {
  await using bench = new HostBench();
  const first = bench.startCard({ identity: 1 });
  await bench.seesState("online");
  const from = bench.events.length;
  bench.startCard({ identity: 2 });
  const refused = await bench.sees((e) => e.type === "refused" ? e : undefined, from);
  assertEquals([refused.reason, refused.text], [
    "busy",
    "Cannot serve card: another one is connected",
  ]);
  await first[Symbol.asyncDispose]();
  await bench.seesState("online", from);
  assertEquals(
    bench.events.flatMap((e) => e.type === "connected" ? [e.identity.slice(0, 2)] : []),
    ["01", "02"],
  );
});

Deno.test("Host releases a card that was killed, and serves the next one with the same devices", async () => {
  const device = new FakeDevice();
  await using bench = new HostBench({ devices: [device] });
  const first = await bootedCard(bench);
  setUpDriver(first.machine);
  const driver = await bench.card.waitForDriver();
  await driver.waitFor("online");
  const waiting = assertRejects(() => driver.waitFor("ready"), LinkError, "it is gone");
  const stopped = Promise.withResolvers<void>();
  device.stopped = stopped.promise;
  const stopping = new Promise<void>((resolve) => device.onStop = resolve);
  const from = bench.events.length;
  first.kill();
  await bench.sees((e) => e.type === "link" && e.status.type === "lost" || undefined, from);
  // The session could be resumed, so nothing has happened yet; a new process of the card makes an end of it.
  assertEquals(driver.state, "online");
  const second = bench.startCard();
  await waiting;
  assertEquals([driver.state, driver.shutdownReason], ["shutting_down", "crashed"]);
  const next = await bench.card.waitForDriver();
  await stopping;
  // The device is still busy with what the first card wanted.
  await bench.sees(
    (e) => e.type === "card" && e.event.type === "post_code" && e.event.text === "12" || undefined,
    from,
  );
  for (let i = 0; i < 20; i++) await turn();
  assertEquals(device.calls, ["start", "stop"]);
  assertEquals(next.info, undefined);
  stopped.resolve();
  await bench.sees(
    (e) => e.type === "card" && e.event.type === "post_code" && e.event.text === "FF" || undefined,
    from,
  );
  setUpDriver(second.machine);
  await next.waitFor("online");
  assertEquals(device.calls, ["start", "stop", "stopped", "start"]);
});

Deno.test("Host serves a card again that came back as a new process before its old link was known dead", async () => {
  await using bench = new HostBench();
  const old = bench.startCard({ identity: 7 });
  await bench.seesState("online");
  const from = bench.events.length;
  old.freeze();
  bench.startCard({ identity: 7 });
  await bench.seesState("online", from);
  assertEquals(bench.events.filter((e) => e.type === "refused"), []);
});

Deno.test("Host refuses a second process of a card that is there, and the first hears nothing of it", async () => {
  await using bench = new HostBench();
  bench.startCard({ identity: 7 });
  await bench.seesState("online");
  const from = bench.events.length;
  bench.startCard({ identity: 7 });
  const refused = await bench.sees((e) => e.type === "refused" ? e : undefined, from);
  assertEquals([refused.reason, refused.text], [
    "busy",
    "Cannot serve card: another process with its identity is connected, and answers",
  ]);
  assertEquals(bench.events.slice(from).map(({ type }) => type), ["refused"]);
  assertEquals(bench.card.driver!.state, "online");
});

Deno.test("Host is kept for a card that is away, for good, and no other may come", async () => {
  using clock = fakeClock();
  await using bench = new HostBench();
  const first = bench.startCard({ identity: 1 });
  await bench.seesState("online");
  const driver = bench.card.driver!;
  const from = bench.events.length;
  first.cut();
  first.unplug();
  await clock.tick(1_000_000);
  bench.startCard({ identity: 2 });
  const refused = await bench.sees((e) => e.type === "refused" ? e : undefined, from);
  assertEquals([refused.reason, refused.text], [
    "busy",
    "Cannot serve card: the host is kept for another one, whose connection is gone for 1000 s; " +
    '"host --card-loss-timeout SECONDS" gives such a card up',
  ]);
  first.plug();
  const back = bench.sees(
    (e) => e.type === "link" && e.status.type === "up" ? e.status.resumed : undefined,
    from,
  );
  await clock.tick(5_000);
  assertEquals(await back, true);
  assertEquals([bench.card.driver, driver.state], [driver, "online"]);
});

Deno.test("Host gives a card up that is away for longer than its limit, and serves another one", async () => {
  using clock = fakeClock();
  const device = new FakeDevice();
  await using bench = new HostBench({ devices: [device], lossTimeout: 30_000 });
  const first = await bootedCard(bench);
  setUpDriver(first.machine);
  const driver = await bench.card.waitForDriver();
  await driver.waitFor("online");
  const from = bench.events.length;
  // Back in time: the limit is for one absence, not for all.
  first.cut();
  first.unplug();
  await clock.tick(24_000);
  first.plug();
  await clock.tick(5_000);
  await bench.sees((e) => e.type === "link" && e.status.type === "up" || undefined, from);
  first.cut();
  first.unplug();
  await clock.tick(29_999);
  assertEquals([driver.state, device.calls], ["online", ["start"]]);
  await clock.tick(1);
  assertEquals(await bench.sees((e) => e.type === "given_up" ? e.after : undefined), 30_000);
  assertEquals([driver.state, driver.shutdownReason], ["shutting_down", "crashed"]);
  assertEquals(device.calls, ["start", "stop", "stopped"]);
  const second = bench.startCard({ identity: 2 });
  await bench.seesState("booting", bench.events.length);
  assertEquals(bench.card.driver!.info?.platform, "diag");
  // The first one comes back to a host that knows its session no more, and is told who is there.
  first.plug();
  await clock.tick(6_000);
  await bench.sees((e) => e.type === "refused" && e.reason === "session" || undefined);
  await bench.sees((e) => e.type === "refused" && e.reason === "busy" || undefined);
  assertEquals(second.machines.length, 1);
});

Deno.test("Host is not kept for a peer that went before it was found to be a card", async () => {
  await using bench = new HostBench();
  const peer = new RawPeer(await bench.listener.dial());
  await peer.send(encodeGreeting(cardGreeting()));
  await peer.greeting();
  peer.transport.close();
  await bench.sees((e) => e.type === "link" && e.status.type === "lost" || undefined);
  bench.startCard({ identity: 2 });
  await bench.seesState("online");
});
