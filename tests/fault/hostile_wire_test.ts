// Thousands of peers that send anything but what they should, against the processes themselves: afterwards they serve an
// honest peer, and are no larger.
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { encodeGreeting, GREETING } from "../../protocol/link/greeting.ts";
import { EXIT } from "../../scripts/cli/mod.ts";
import { encode, greetings, streams } from "../support/frame_fuzz.ts";
import { temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";
import { cardGreeting, frame, hostGreeting } from "../support/link_peer.ts";
import { memoryUse } from "../support/memory_use.ts";
import { Random } from "../support/random.ts";

const SEED = 20_260_802;
const HOSTNAME = "127.0.0.1";
const FIRST = 0xffff_ff00;
/** protocol/README.md, "Memory": a session, and 64 connections that have not greeted; MiB. */
const BOUND = 76;

/** Connects, sends `pieces`, ends its half, and reads until the other side has closed too. */
async function salad(port: number, ...pieces: Uint8Array[]): Promise<void> {
  using conn = await Deno.connect({ hostname: HOSTNAME, port });
  const answers = drain(conn);
  for (const bytes of pieces) await send(conn, bytes);
  await conn.closeWrite().catch(() => {});
  await answers;
}

/** Some peers of each kind: random bytes; a greeting that is nearly right; a right one, and frames that are nearly so. */
function peers(count: number, seed: number): Uint8Array[][] {
  const peer = fc.oneof(
    fc.uint8Array({ maxLength: 400 }).map((bytes) => [bytes]),
    greetings(encodeGreeting(cardGreeting())).map((bytes) => [bytes]),
    fc.tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), streams).map(([identity, stream]) => [
      encodeGreeting(cardGreeting({ identity })),
      encode(stream.operations),
    ]),
  );
  return fc.sample(peer, { numRuns: count, seed });
}

async function attackAll(port: number, all: readonly Uint8Array[][], atOnce: number) {
  const rest = [...all];
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let pieces = rest.pop(); pieces; pieces = rest.pop()) await salad(port, ...pieces);
  }));
}

const noFaultOfItsOwn = (process: LabProcess) => {
  assertEquals(process.lines.filter((line) => /internal|Error:|^ +at /.test(line)), []);
  assertEquals(
    process.events.filter((event) => JSON.stringify(event).includes('"reason":"internal"')),
    [],
  );
};

Deno.test("a host takes 3000 peers that send anything, and serves the honest card among them and after them", async () => {
  await using folder = await temporaryFolder();
  await using host = await LabProcess.start("host", [
    ...["--listen", `${HOSTNAME}:0`, "--os", "diag", "--json", "--disk", "mem:64M"],
  ]);
  const port = (await host.event(({ type }) => type === "listening"))["port"] as number;
  await attackAll(port, peers(500, SEED), 8);
  const before = (await memoryUse(host.pid)).now;
  await attackAll(port, peers(2000, SEED + 1), 8);
  const after = (await memoryUse(host.pid)).now;
  console.log(`figure: host ${before} MiB, ${after} MiB after 2000 hostile peers`);
  assert(after - before <= BOUND, `${after - before} MiB`);
  const from = host.events.length;
  await using card = await LabProcess.start("card", [
    ...["--connect", `${HOSTNAME}:${port}`, "--machine", "diag", "--json"],
  ], { env: { XDG_CONFIG_HOME: folder.path } });
  await host.event(
    ({ type, event }) => type === "card" && (event as { state?: string })?.state === "online",
    from,
  );
  // They go on while the card is served, which notices nothing.
  const served = card.events.length;
  await attackAll(port, peers(500, SEED + 2), 8);
  assertEquals(
    card.events.slice(served).filter(({ type }) => type === "link"),
    [],
    card.transcript(),
  );
  noFaultOfItsOwn(host);
});

/** A host that was greeted, and a card that does what it says: sequence numbers and credits are right, little else is. */
class HostileHost {
  readonly #random: Random;
  readonly #parts: Uint8Array[] = [];
  #sequence = FIRST;
  #requests = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Every frame so far, end to end. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Places the BARs where a host would, and lets the card decode. */
  setUp(): void {
    for (const [register, value] of [[0x10, 0], [0x14, 0x40], [0x20, REGISTER_BASE], [4, 7]]) {
      this.#request(0x22, 4, le32(register!), le32(value!));
    }
  }

  /** One frame to configuration space, registers or card memory. */
  frame(): void {
    const random = this.#random;
    const value = random.pick([0, 1, 0x20e5, 0x20e6, 0xffff, 0xffff_ffff, random.below(2 ** 32)]);
    const offset = random.pick(REGISTERS) + (random.oneIn(3) ? 4 * random.below(64) : 0);
    // As many requests as the card's first credit allows, and then posted frames alone.
    switch (this.#requests < 200 ? random.below(8) : random.below(4)) {
      case 0:
      case 1:
        return this.#write(REGISTER_BASE + offset, 0, le32(value));
      case 2: {
        // The card page, and whatever else lies in card memory.
        const at = random.pick([random.below(2 ** 28), 0x800_0000 + 4 * random.below(0x8000)]);
        return this.#write(at, 0x40, random.bytes(random.below(64) + 1));
      }
      case 3:
        return this.#posted(0x11, random.below(8), le32(value), le32(random.below(2 ** 32)));
      case 4:
        return this.#request(0x20, 0, le32(REGISTER_BASE + offset), le32(0), le32(4));
      case 5: {
        const at = le32(random.below(2 ** 28));
        return this.#request(0x20, 0, at, le32(0x40), le32(random.below(65_536) + 1));
      }
      case 6:
        return this.#request(0x21, random.pick([1, 2, 4]), le32(random.below(0x200)));
      default: {
        const width = random.pick([1, 2, 4]);
        const word = value % 2 ** (8 * width);
        return this.#request(0x22, width, le32(random.below(0x100)), le32(word));
      }
    }
  }

  #write(low: number, high: number, data: Uint8Array): void {
    this.#posted(0x10, 1, le32(low), le32(high), le32(data.length), data);
  }

  #posted(type: number, tag: number, ...body: Uint8Array[]): void {
    this.#frame(type, { tag }, body);
  }

  #request(type: number, code: number, ...body: Uint8Array[]): void {
    this.#frame(type, { code, tag: this.#requests++ }, body);
  }

  #frame(type: number, fields: Parameters<typeof frame>[1], body: readonly Uint8Array[]): void {
    const bytes = Uint8Array.from(body.flatMap((part) => [...part]));
    this.#parts.push(frame(type, { ...fields, sequence: this.#sequence }, bytes));
    this.#sequence = (this.#sequence + 1) >>> 0;
  }
}

const REGISTER_BASE = 0xe000_0000;
/** protocol/README.md, "BAR 4 registers": those that do something, and some that are none. */
const REGISTERS = [
  ...[0, 0x242c, 0x8000, 0x1_4010, 0x1_9004, 0x1_900c, 0x1_9014, 0x1_aa08, 0x1_ab28, 0x1_ab2c],
  ...[0x1_ab58, 0x1_ab5c, 0x1_fffc],
];
const le32 = (value: number) => Uint8Array.from([0, 8, 16, 24], (bits) => value >>> bits);

Deno.test("a card takes hosts that send anything, and boots what the honest one has for it", async () => {
  await using folder = await temporaryFolder();
  using listener = Deno.listen({ hostname: HOSTNAME, port: 0 });
  const { port } = listener.addr;
  await using card = await LabProcess.start("card", [
    ...["--connect", `${HOSTNAME}:${port}`, "--machine", "diag", "--json"],
  ], { env: { XDG_CONFIG_HOME: folder.path } });
  const random = new Random(SEED);
  const salads = fc.sample(streams, { numRuns: ROUNDS, seed: SEED });
  // Of this version at least: a card that finds another one ends, with status 4.
  const right = encodeGreeting(hostGreeting());
  const sameVersion = greetings(right).map((bytes) =>
    Uint8Array.of(...right.subarray(0, 12), ...bytes.subarray(12))
  );
  const almost = fc.sample(sameVersion, { numRuns: 3, seed: SEED });
  let before = 0;
  for (let round = 0; round < ROUNDS;) {
    using conn = await listener.accept();
    const greeting = await read(conn, GREETING.size);
    const answers = drain(conn);
    if (greeting.subarray(40, 56).some((byte) => byte !== 0)) {
      // It would resume the session of the round before, which nobody knows.
      await send(conn, frame(0x01, { code: 8, ack: 0 }));
    } else if (round < almost.length) {
      await send(conn, almost[round++]!);
    } else {
      const hostile = new HostileHost(random);
      hostile.setUp();
      for (let i = 0; i < 1000; i++) hostile.frame();
      await send(conn, encodeGreeting(hostGreeting({ session: random.bytes(16) })));
      await send(conn, hostile.bytes());
      await send(conn, encode(salads[round++]!.operations));
      if (round === almost.length + 1) before = (await memoryUse(card.pid)).now;
    }
    await conn.closeWrite().catch(() => {});
    await answers;
  }
  const after = (await memoryUse(card.pid)).now;
  console.log(
    `figure: card ${before} MiB, ${after} MiB after ${1000 * (ROUNDS - 4)} hostile frames more`,
  );
  assert(after - before <= BOUND + CARD_MEMORY, `${after - before} MiB`);
  noFaultOfItsOwn(card);
  listener.close();
  await using host = await LabProcess.start("host", [
    ...["--listen", `${HOSTNAME}:${port}`, "--os", "diag", "--exec", "uname"],
  ]);
  assertEquals(await host.ended, EXIT.ok, host.transcript() + card.transcript());
  assertEquals(host.stdout, "knightsbridge-diag\n");
});

/** Hosts that a card meets, one after the other. */
const ROUNDS = 12;
/** What the hostile host writes into card memory is there; MiB. */
const CARD_MEMORY = 128;

async function read(conn: Deno.Conn, length: number): Promise<Uint8Array> {
  const into = new Uint8Array(length);
  for (let have = 0; have < length;) have += await conn.read(into.subarray(have)) ?? length;
  return into;
}

async function send(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  try {
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  } catch {
    // It has heard enough.
  }
}

async function drain(conn: Deno.Conn): Promise<void> {
  const into = new Uint8Array(65_536);
  try {
    while (await conn.read(into) !== null);
  } catch {
    // Reset: it had something to say that nobody took.
  }
}
