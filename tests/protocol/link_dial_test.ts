import { assert, assertEquals } from "@std/assert";
import FakeTimers from "@sinonjs/fake-timers";
import {
  dialLink,
  type Link,
  LinkError,
  LinkServer,
  type LinkStatus,
  memoryTransportPair,
  type Transport,
} from "../../protocol/mod.ts";
import { encodeGoodbye } from "../../protocol/link/control.ts";
import { encodeGreeting } from "../../protocol/link/greeting.ts";
import { RecordingCompleter } from "../support/link_completer.ts";
import { cardGreeting, hex, RawPeer } from "../support/link_peer.ts";
import { linkPair } from "../support/link_pair.ts";

interface Dialled {
  readonly link: Link;
  readonly statuses: LinkStatus[];
  readonly stop: AbortController;
}
function dialling(dial: (signal: AbortSignal) => Promise<Transport>): Dialled {
  const statuses: LinkStatus[] = [];
  const stop = new AbortController();
  const link = dialLink(dial, {
    role: "card",
    completer: new RecordingCompleter(),
    identity: new Uint8Array(16).fill(0xca),
    onStatus: (event) => statuses.push(event),
  }, stop.signal);
  return { link, statuses, stop };
}
const types = (statuses: LinkStatus[]) => statuses.map((status) => status.type);

Deno.test("dialLink() tries for ever, waiting twice as long each time up to 5 s, and says so", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const { link, statuses, stop } = dialling(() => Promise.reject(new LinkError("nobody there")));
    await clock.tickAsync(60_000);
    const delays = statuses.flatMap((event) => event.type === "retrying" ? [event.delay] : []);
    assertEquals(delays.slice(0, 8), [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    const third = statuses.filter((event) => event.type === "retrying")[2]!;
    assert(third.type === "retrying");
    assertEquals([third.attempt, third.error.message], [3, "nobody there"]);
    stop.abort();
    await link.closed;
    assertEquals(types(statuses).at(-1), "closed");
  } finally {
    clock.uninstall();
  }
});

Deno.test("dialLink() waits longer each time too, when the host greets and hangs up", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    let dials = 0;
    const enough = Promise.withResolvers<void>();
    const { link, statuses, stop } = dialling(async () => {
      if (++dials === 50) enough.resolve();
      const [near, far] = memoryTransportPair();
      const peer = new RawPeer(far);
      void peer.greeting().then(async () => {
        const session = new Uint8Array(16).fill(7);
        await peer.send(encodeGreeting(cardGreeting({ role: "host", session })));
        far.close();
      });
      return await Promise.resolve(near);
    });
    await Promise.race([clock.tickAsync(1000), enough.promise]);
    assert(dials <= 5, `${dials} dials`);
    const delays = statuses.flatMap((event) => event.type === "retrying" ? [event.delay] : []);
    assertEquals(delays.slice(0, 4), [100, 200, 400, 800]);
    stop.abort();
    await link.closed;
  } finally {
    clock.uninstall();
  }
});

Deno.test("dialLink() stops while its dial is under way", async () => {
  const { link, stop } = dialling((signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
  );
  stop.abort();
  await link.closed;
  assertEquals(link.state, "closed");
});

Deno.test("dialLink() does nothing when it is stopped before", async () => {
  const link = dialLink(
    () => Promise.reject(new Error("dialled")),
    { role: "card", completer: new RecordingCompleter(), identity: new Uint8Array(16) },
    AbortSignal.abort(),
  );
  await link.closed;
});

Deno.test("dialLink() stops while it waits for the host's greeting", async () => {
  const [near, far] = memoryTransportPair();
  const { link, stop } = dialling(() => Promise.resolve(near));
  await new RawPeer(far).greeting();
  stop.abort();
  await link.closed;
  assertEquals(await far.read(new Uint8Array(1)), null);
});

Deno.test("dialLink() says goodbye when its signal is aborted", async () => {
  await using pair = await linkPair();
  await pair.card.configRead(0, 4);
  await pair.card.close("shutdown");
  await pair.host.closed;
  assertEquals(types(pair.hostStatus), ["up", "goodbye", "closed"]);
});

Deno.test("dialLink() ends when the host says goodbye instead of greeting", async () => {
  const [near, far] = memoryTransportPair();
  const { link, statuses } = dialling(() => Promise.resolve(near));
  const peer = new RawPeer(far);
  await peer.greeting();
  await peer.send(encodeGoodbye("session", "never heard of it"));
  await link.closed;
  assertEquals(types(statuses), ["connecting", "goodbye", "closed"]);
  const goodbye = statuses[1]!;
  assert(goodbye.type === "goodbye");
  assertEquals([goodbye.direction, goodbye.reason, goodbye.text], [
    "received",
    "session",
    "never heard of it",
  ]);
});

const ANSWERS = [
  {
    when: "the host speaks a later version",
    answer: hex("4b4e494748545342 0200 0000 8000 00 00"),
    code: 1,
  },
  {
    when: "whoever answers is no host of ours",
    answer: hex("485454502f312e3120343030204261642052"),
    code: 1,
  },
  { when: "the other side is a card", answer: encodeGreeting(cardGreeting()), code: 2 },
  {
    when: "the host names no session",
    answer: encodeGreeting(cardGreeting({ role: "host" })),
    code: 2,
  },
];
for (const { when, answer, code } of ANSWERS) {
  Deno.test(`dialLink() says goodbye and ends when ${when}`, async () => {
    const [near, far] = memoryTransportPair();
    const { link, statuses } = dialling(() => Promise.resolve(near));
    const peer = new RawPeer(far);
    await peer.greeting();
    void peer.send(answer).catch(() => {});
    const goodbye = await peer.frame();
    assertEquals([goodbye.type, goodbye.code], [1, code]);
    far.close();
    await link.closed;
    assertEquals(types(statuses), ["connecting", "goodbye", "closed"]);
  });
}

Deno.test("dialLink() dials again at once when a transport is lost, and resumes", async () => {
  const ends: Transport[] = [];
  await using pair = await linkPair({
    filter: (_n, card, host) => {
      ends.push(host);
      return [card, host];
    },
  });
  await pair.card.configRead(0, 4);
  ends[0]!.close();
  assertEquals(await pair.card.configRead(0, 4), 0x42);
  assertEquals(types(pair.cardStatus), ["connecting", "up", "lost", "connecting", "up"]);
  assertEquals(types(pair.hostStatus), ["up", "lost", "up"]);
  const attempts = pair.cardStatus.flatMap((event) =>
    event.type === "connecting" ? [event.attempt] : []
  );
  assertEquals(attempts, [1, 1]);
  const up = pair.cardStatus.at(-1)!;
  assert(up.type === "up" && up.resumed);
});

Deno.test("a card whose host was restarted is told so, and its link ends", async () => {
  const server = () =>
    new LinkServer({
      epoch: BigInt(Math.floor(Math.random() * 2 ** 50)),
      identity: new Uint8Array(16),
      accept: () => ({ completer: new RecordingCompleter() }),
      onLink: () => {},
    });
  await using restarted = server();
  await using stack = new AsyncDisposableStack();
  const first = stack.use(server());
  const ends: Transport[] = [];
  const { link, statuses } = dialling(() => {
    const [near, far] = memoryTransportPair();
    void (ends.length === 0 ? first : restarted).serve(far);
    ends.push(far);
    return Promise.resolve(near);
  });
  await link.configRead(0, 4);
  ends[0]!.close();
  await link.closed;
  const goodbye = statuses.at(-2)!;
  assert(goodbye.type === "goodbye" && goodbye.reason === "session");
});
