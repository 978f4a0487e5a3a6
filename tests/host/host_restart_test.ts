// A host that dies and another in its place, around one card that runs the diagnostic OS. All real but the wire and the
// death: the connection ends within any byte, and the disk of a dead host does nothing more.
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type CardEvent, runCard } from "../../card/card.ts";
import { DiagMachine } from "../../card/machine/diag/machine.ts";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { Host, type HostEvent } from "../../host/host.ts";
import { encodeDiagImage, LinkError, type Transport } from "../../protocol/mod.ts";
import { delay } from "../support/block_filters.ts";
import { MemoryListener } from "../support/memory_listener.ts";

const MIB = 2 ** 20;
const SECTOR = 512;
const SECTORS = 256;
const IMAGES = { kernel: { name: "diag", bytes: encodeDiagImage() }, cmdline: "" };

/** One host process: a disk over bytes that outlive it, and as many bytes to say as it is given. */
class MortalHost implements AsyncDisposable {
  readonly host: Host;
  readonly events: HostEvent[] = [];
  readonly died = Promise.withResolvers<void>();
  /** Bytes that it may still send. */
  budget: number;
  /** State of the card in which it dies. */
  lastState: string | undefined;
  readonly #listener = new MemoryListener();
  readonly #transports: Transport[] = [];
  readonly #device: BlockDevice;
  #dead = false;

  constructor(disk: Uint8Array, budget: number) {
    this.budget = budget;
    const backend = delay(new MemoryBackend(disk), () => {
      if (this.#dead) return Promise.reject(new Error("dead"));
      return new Promise((resolve, reject) => {
        setTimeout(() => this.#dead ? reject(new Error("dead")) : resolve(), 0);
      });
    });
    this.#device = new BlockDevice({ backend });
    this.host = new Host({
      listener: {
        hostname: "memory",
        port: 0,
        accept: async () => {
          const transport = await this.#listener.accept();
          return transport && this.#mortal(transport);
        },
        close: () => this.#listener.close(),
        [Symbol.asyncDispose]: () => this.#listener[Symbol.asyncDispose](),
      },
      cards: [{
        name: "mic0",
        devices: [this.#device],
        images: IMAGES,
      }],
      onEvent: (event) => {
        this.events.push(event);
        if (event.type !== "card" || event.event.type !== "state") return;
        if (event.event.state === this.lastState) this.kill();
      },
    });
  }

  dial(): Promise<Transport> {
    if (this.#dead) return Promise.reject(new LinkError("Cannot dial: dead"));
    return this.#listener.dial();
  }

  /** As SIGKILL does it. */
  kill(): void {
    if (this.#dead) return;
    this.#dead = true;
    for (const transport of this.#transports) transport.close();
    this.died.resolve();
  }

  async online(): Promise<void> {
    const driver = await this.host.cards.get("mic0")!.waitForDriver();
    await driver.waitFor("online");
  }

  /** What the driver of the card OS has been told is broken. */
  get faults(): unknown[] {
    return this.events.filter((event) => event.type === "card" && event.event.type === "fault");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    await this.#device[Symbol.asyncDispose]();
  }

  #mortal(transport: Transport): Transport {
    this.#transports.push(transport);
    return {
      peer: transport.peer,
      read: (into) => transport.read(into),
      write: async (bytes) => {
        if (this.#dead) throw new LinkError("Cannot write: dead");
        const said = bytes.subarray(0, Math.min(bytes.length, this.budget));
        this.budget -= said.length;
        if (said.length > 0) await transport.write(said);
        if (this.budget === 0) this.kill();
      },
      close: () => transport.close(),
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    };
  }
}

/** A card, and the hosts that it has had. */
class Bench implements AsyncDisposable {
  readonly disk = new Uint8Array(SECTORS * SECTOR);
  readonly machines: DiagMachine[] = [];
  readonly hosts: MortalHost[] = [];
  readonly cardEvents: CardEvent[] = [];
  readonly #stop = new AbortController();
  readonly #card: Promise<void>;

  constructor() {
    this.startHost();
    this.#card = runCard({
      dial: () => this.host.dial(),
      machine: ({ memoryBytes }) => {
        const machine = new DiagMachine({ memoryBytes });
        this.machines.push(machine);
        return Promise.resolve(machine);
      },
      memoryBytes: 32 * MIB,
      identity: new Uint8Array(16).fill(1),
      signal: this.#stop.signal,
      onEvent: (event) => this.cardEvents.push(event),
    });
  }

  get host(): MortalHost {
    return this.hosts.at(-1)!;
  }

  startHost(budget = Infinity): MortalHost {
    this.hosts.push(new MortalHost(this.disk, budget));
    return this.host;
  }

  count(type: CardEvent["type"]): number {
    return this.cardEvents.filter((event) => event.type === type).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#card;
    for (const host of this.hosts) await host[Symbol.asyncDispose]();
  }
}

/** Writes, reads back and compares, in sectors of its own, until `over`; what the disk has to be. */
async function work(
  { os }: DiagMachine,
  first: number,
  count: number,
  over: () => boolean,
): Promise<Uint8Array> {
  const model = new Uint8Array(count * SECTOR);
  for (let round = 1; !over(); round++) {
    const at = (round * 7) % (count - 3);
    const length = 1 + round % 3;
    const bytes = new Uint8Array(length * SECTOR).fill(round);
    await os.disk.write(first + at, bytes);
    model.set(bytes, at * SECTOR);
    if (round % 5 === 0) await os.disk.flush();
    assertEquals(await os.disk.read(first, count), model);
  }
  return model;
}

Deno.test("a card OS sees nothing but a pause, wherever its hosts die", async () => {
  const budgets = fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(budgets, async ([first, ...rest]) => {
      await using bench = new Bench();
      await bench.host.online();
      const { os } = bench.machines[0]!;
      await os.disk.read(0, 1);
      let over = false;
      const parts = [0, 1, 2, 3].map((part) => work(bench.machines[0]!, part * 64, 64, () => over));
      bench.host.budget = first!;
      for (const budget of [...rest, Infinity]) {
        await bench.host.died.promise;
        bench.startHost(budget);
      }
      await bench.host.online();
      await os.disk.read(0, 1);
      over = true;
      const models = await Promise.all(parts);
      models.forEach((model, part) => {
        assertEquals(bench.disk.subarray(part * 64 * SECTOR, (part + 1) * 64 * SECTOR), model);
      });
      assertEquals(bench.machines.length, 1);
      assertEquals(bench.hosts.flatMap(({ faults }) => faults), []);
    }),
    { numRuns: 20 },
  );
});

Deno.test("a card whose host dies before its OS is online boots afresh with the next", async () => {
  await using bench = new Bench();
  bench.host.lastState = "booting";
  await bench.host.died.promise;
  bench.startHost();
  await bench.host.online();
  assertEquals([bench.machines.length, bench.count("parked")], [2, 0]);
});

Deno.test("a host that ends in good order leaves the card OS to the next", async () => {
  await using bench = new Bench();
  await bench.host.online();
  await bench.host[Symbol.asyncDispose]();
  bench.startHost();
  await bench.host.online();
  assertEquals(await bench.machines[0]!.os.disk.read(3, 1), new Uint8Array(SECTOR));
  assertEquals([bench.machines.length, bench.count("adopted")], [1, 1]);
});
