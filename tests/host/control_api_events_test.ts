// What happens at a host as server-sent events: snapshot, order, filter, heartbeat, and readers that do not read.
import { assert, assertEquals } from "@std/assert";
import type { ControlEvent, HostControl } from "../../host/control/card_control.ts";
import { BACKLOG, ControlEvents } from "../../host/control/api/events.ts";
import { SCHEMAS } from "../../host/control/api/schemas.ts";
import { ControlServer } from "../../host/control/api/server.ts";
import { ApiRig } from "../support/api_rig.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { IMAGES } from "../support/host_bench.ts";
import { temporaryFolder } from "../support/lab.ts";

/** Events of a stream, checked. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ControlEvent> {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      if (block.startsWith(":")) continue;
      const [, , type, data] = /^id: (\d+)\nevent: (\w+)\ndata: (.*)$/.exec(block)!;
      const event = SCHEMAS.ControlEvent.parse(JSON.parse(data!));
      assertEquals(event.type, type as "card");
      yield event;
    }
  }
}

Deno.test("/v1/events begins with how each card is, and goes on with what happens", async () => {
  await using rig = await ApiRig.start();
  const response = await rig.fetch("/v1/events");
  assertEquals(response.headers.get("content-type"), "text/event-stream");
  const states: string[] = [];
  const steps: string[] = [];
  for await (const event of eventsOf(response.body!)) {
    if (event.type === "step") steps.push(event.step.step);
    if (event.type !== "card" || event.status.state === states.at(-1)) continue;
    states.push(event.status.state);
    if (states.length === 1) rig.bench.startCard();
    if (event.status.state === "online") break;
  }
  assertEquals([states[0], states.at(-2), states.at(-1)], ["absent", "booting", "online"]);
  assert(steps.includes("probed") && steps.includes("online"), steps.join());
});

Deno.test("/v1/events?card= leaves out what happens to others", async () => {
  const cards = ["mic0", "mic1"].map((name, at) => ({
    name,
    devices: [],
    images: IMAGES,
    identity: `0${at + 1}`.repeat(16),
  }));
  await using rig = await ApiRig.start({ cards });
  const response = await rig.fetch("/v1/events?card=mic1");
  rig.bench.startCard({ identity: 1 });
  await rig.bench.sees((event) => event.type === "card" && event.card === "mic0" || undefined);
  rig.bench.startCard({ identity: 2 });
  for await (const event of eventsOf(response.body!)) {
    assertEquals(event.card, "mic1");
    if (event.type === "card" && event.status.state === "online") break;
  }
});

/** Events at will. */
function source() {
  const listeners = new Set<(event: ControlEvent) => void>();
  return {
    listeners,
    tell: (text: string) => listeners.forEach((listener) => listener({ type: "log", text })),
    host: {
      version: "0.0.0",
      started: 0,
      listening: "",
      cards: new Map(),
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    } satisfies HostControl,
  };
}

Deno.test("a reader hears a comment whenever nothing happens for 15 s, and nobody is heard of without readers", async () => {
  using clock = fakeClock();
  const { host, listeners } = source();
  using events = new ControlEvents(host);
  assertEquals(listeners.size, 0);
  const reader = events.stream(undefined).getReader();
  const text = new TextDecoder();
  assertEquals(text.decode((await reader.read()).value), ": knightsbridge\n\n");
  assertEquals(listeners.size, 1);
  const next = reader.read();
  await clock.tick(15_000);
  assertEquals(text.decode((await next).value), ":\n\n");
  await reader.cancel();
  assertEquals([listeners.size, events.readers], [0, 0]);
});

Deno.test("what waits for a reader is bounded: one that does not read is dropped, others lose nothing", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/s`;
  const { host, listeners, tell } = source();
  await using _server = await ControlServer.start({
    host,
    address: { transport: "unix", path },
    onError: () => {},
  });
  // Metrics listen from the beginning.
  const before = listeners.size;
  using deaf = await Deno.connect({ transport: "unix", path });
  await deaf.write(new TextEncoder().encode("GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n"));
  const head = new Uint8Array(64);
  await deaf.read(head);
  assertEquals(listeners.size, before + 1);

  using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  const response = await fetch("http://localhost/v1/events", { client });
  const heard = eventsOf(response.body!);
  const event = "x".repeat(10_000);
  // A socket takes some hundred KiB by itself; what is more would be memory of the host.
  const enough = Math.ceil((BACKLOG + 8 * 2 ** 20) / event.length);
  for (let count = 0; count < enough; count++) {
    tell(`${count} ${event}`);
    const { value } = await heard.next();
    assert(value?.type === "log" && value.text.startsWith(`${count} `));
  }
  await heard.return(undefined);
  // The connection of the one that did not read is broken: it ends before the last event.
  let taken = 0;
  const buffer = new Uint8Array(65_536);
  while (true) {
    const count = await deaf.read(buffer).catch(() => null);
    if (count === null) break;
    taken += count;
    assert(taken < BACKLOG + 4 * 2 ** 20, `${taken} bytes were kept`);
  }
});
