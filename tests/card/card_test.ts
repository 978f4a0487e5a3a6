import { createHash } from "node:crypto";
import { assertEquals, assertRejects } from "@std/assert";
import FakeTimers from "@sinonjs/fake-timers";
import { type CardEvent, runCard } from "../../card/card.ts";
import { probe } from "../../host/driver/probe.ts";
import { RootPort } from "../../host/driver/root_port.ts";
import {
  type GoodbyeReason,
  type Link,
  LinkError,
  LinkServer,
  memoryTransportPair,
  page,
  ProtocolError,
  type Transport,
  viewOf,
} from "../../protocol/mod.ts";
import { FakeMachine } from "../support/fake_machine.ts";

const MIB = 1 << 20;

/** A host process as the card meets it: a link server on transports in memory. */
class Host implements AsyncDisposable {
  readonly links: Link[] = [];
  refusal: { refuse: GoodbyeReason; text: string } | undefined;
  readonly #server: LinkServer;
  #linked = Promise.withResolvers<Link>();

  constructor(epoch = 1n) {
    this.#server = new LinkServer({
      epoch,
      identity: new Uint8Array(16).fill(2),
      accept: () => this.refusal ?? { completer: new RootPort() },
      onLink: (link) => {
        this.links.push(link);
        this.#linked.resolve(link);
      },
    });
  }

  /** Resolves with the next session's link. */
  async linked(): Promise<Link> {
    const link = await this.#linked.promise;
    this.#linked = Promise.withResolvers();
    return link;
  }

  connect(): Promise<Transport> {
    const [card, host] = memoryTransportPair();
    void this.#server.serve(host);
    return Promise.resolve(card);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }
}

/** A running card; disposing it powers it off. */
class Card implements AsyncDisposable {
  readonly events: CardEvent[] = [];
  readonly machines: FakeMachine[] = [];
  readonly run: Promise<void>;
  host: Host;
  readonly #stop = new AbortController();
  #onEvent: () => void = () => {};

  constructor(host: Host) {
    this.host = host;
    this.run = runCard({
      dial: () => this.host.connect(),
      machine: ({ memoryBytes }) => {
        const machine = new FakeMachine(memoryBytes);
        this.machines.push(machine);
        return Promise.resolve(machine);
      },
      memoryBytes: 2 * MIB,
      identity: new Uint8Array(16).fill(1),
      signal: this.#stop.signal,
      onEvent: (event) => {
        this.events.push(event);
        this.#onEvent();
      },
    });
    // Looked at by the tests that expect it to fail.
    this.run.catch(() => {});
  }

  /** Resolves when an event that `matches` has been seen. */
  async saw(matches: (event: CardEvent) => boolean): Promise<void> {
    while (!this.events.some(matches)) {
      await new Promise<void>((resolve) => this.#onEvent = resolve);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.run.catch(() => {});
  }
}

Deno.test("runCard() powers on, dials, and is found by the host's probe", async () => {
  await using host = new Host();
  await using card = new Card(host);
  await card.saw((event) => event.type === "state" && event.state === "ready");
  const { info, registers } = await probe(await host.linked());
  assertEquals([info.deviceId, info.stepping, info.memoryMib], [0x225c, "B1", 2]);
  assertEquals(await registers.read("download_info"), 0x10_0001);
});

Deno.test("runCard() keeps the card running while its connection is lost and made again", async () => {
  await using host = new Host();
  const transports: Transport[] = [];
  const connect = host.connect.bind(host);
  host.connect = async () => {
    const transport = await connect();
    transports.push(transport);
    return transport;
  };
  await using card = new Card(host);
  const { registers } = await probe(await host.linked());
  registers.write("host_page_low", 0x5000);
  await registers.read("host_page_low");
  transports[0]!.close();
  await card.saw((event) => event.type === "link" && event.status.type === "lost");
  assertEquals(await registers.read("host_page_low"), 0x5000);
  assertEquals([host.links.length, card.machines.length, transports.length], [1, 1, 2]);
});

Deno.test("runCard() gives itself a hot reset when a restarted host does not know the session", async () => {
  await using old = new Host(1n);
  let current: Transport | undefined;
  const connect = old.connect.bind(old);
  old.connect = async () => current = await connect();
  await using card = new Card(old);
  await probe(await old.linked());
  await using host = new Host(2n);
  card.host = host;
  current!.close();
  const link = await host.linked();
  const command = await link.configRead(4, 2);
  await card.saw(() => card.machines.length === 2);
  assertEquals([command, card.machines[0]!.disposals], [0, 1]);
  const { registers } = await probe(link);
  assertEquals(await registers.read("memory_mib"), 2);
});

Deno.test("runCard() keeps a card OS that is online for the next host, and runs it while there is none", async () => {
  await using old = new Host(1n);
  await using card = new Card(old);
  await card.saw((event) => event.type === "state" && event.state === "ready");
  const link = await old.linked();
  const { registers, windows } = await probe(link);
  const image = new TextEncoder().encode("kernel");
  const at = windows.aperture.address;
  link.postWrite(at + 0x10_0000, image);
  link.postWrite(at + await registers.read("card_page_offset"), header(image));
  registers.write("boot", 0x20e5);
  await card.saw((event) => event.type === "state" && event.state === "online");
  await using host = new Host(2n);
  card.host = host;
  await link.close("session", "as good as killed");
  const next = await host.linked();
  const probed = await probe(next);
  assertEquals(await probed.registers.read("download_info"), 2);
  assertEquals(card.machines.map((machine) => machine.disposals), [0]);
  const parked = () => card.events.filter(({ type }) => type === "parked").length;
  assertEquals(parked(), 1);
  // A card that is told to stop waits for nobody.
  await card[Symbol.asyncDispose]();
  assertEquals(parked(), 1);
});

/** Header of a card page that boots `kernel`, which lies at 1 MiB. */
function header(kernel: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(page.DIGESTS_OFFSET + 96);
  page.CARD_HEADER.write(viewOf(bytes), {
    magic: page.PAGE_MAGIC,
    version: page.PAGE_VERSION,
    slots: page.SLOTS,
    kernel_address: 0x10_0000,
    kernel_length: kernel.length,
    cmdline_length: 0,
    cmdline_address: 0x11_0000,
    initrd_address: 0,
    initrd_length: 0,
    shutdown_request: 0,
    time_seconds: 0n,
    time_nanoseconds: 0,
    serial_request: 0,
  });
  [kernel, new Uint8Array(0)].forEach((part, i) => {
    bytes.set(createHash("sha256").update(part).digest(), page.DIGESTS_OFFSET + 32 * i);
  });
  return bytes;
}

Deno.test("runCard() asks a host again after a second that sent it away", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    await using host = new Host();
    host.refusal = { refuse: "busy", text: "no slot free" };
    await using card = new Card(host);
    const dials = () =>
      card.events.filter((e) => e.type === "link" && e.status.type === "connecting").length;
    await card.saw((event) => event.type === "link" && event.status.type === "closed");
    host.refusal = undefined;
    await clock.tickAsync(999);
    assertEquals(dials(), 1);
    const linked = host.linked();
    await clock.tickAsync(1);
    await linked;
    assertEquals(dials(), 2);
  } finally {
    clock.uninstall();
  }
});

Deno.test("runCard() does not run round in circles with a host that knows no session, not even its own", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    await using host = new Host();
    host.refusal = { refuse: "session", text: "never heard of it" };
    await using card = new Card(host);
    const dials = () =>
      card.events.filter((e) => e.type === "link" && e.status.type === "connecting").length;
    await card.saw((event) => event.type === "link" && event.status.type === "closed");
    await clock.tickAsync(999);
    assertEquals(dials(), 1);
    await clock.tickAsync(1);
    assertEquals(dials(), 2);
  } finally {
    clock.uninstall();
  }
});

Deno.test("runCard() rejects when the host speaks another wire version", async () => {
  await using host = new Host();
  host.refusal = { refuse: "version", text: "this host speaks version 9.0" };
  await using card = new Card(host);
  const error = await assertRejects(() => card.run, ProtocolError, "version 9.0");
  assertEquals((error as ProtocolError).reason, "version");
  assertEquals(card.machines[0]!.disposals, 1);
});

Deno.test("runCard() says goodbye and disposes the machine when it is told to stop", async () => {
  await using host = new Host();
  const card = new Card(host);
  const link = await host.linked();
  await card.saw((event) => event.type === "link" && event.status.type === "up");
  await card[Symbol.asyncDispose]();
  await link.closed;
  assertEquals(card.machines.map((machine) => machine.disposals), [1]);
});

Deno.test("runCard() stops at once while there is no host", async () => {
  await using host = new Host();
  host.connect = () => Promise.reject(new LinkError("Cannot connect: refused"));
  const card = new Card(host);
  await card.saw((event) => event.type === "link" && event.status.type === "retrying");
  await card[Symbol.asyncDispose]();
  await card.run;
});
