/**
 * A whole card and its host in one process, with the test as card OS: guest drivers by hand, virtio-pci functions, card
 * driver, link, host driver, devices with backends in memory. All real but the CPU and the wire.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { runCard } from "../../card/card.ts";
import { MemoryBackend } from "../../host/backends/memory.ts";
import type { ConsoleBackend } from "../../host/backends/types.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { ConsoleDevice } from "../../host/devices/console.ts";
import { NetDevice } from "../../host/devices/net.ts";
import type { HostDriver } from "../../host/driver/host_driver.ts";
import { Host, type HostEvent } from "../../host/host.ts";
import { encodeDiagImage } from "../../protocol/mod.ts";
import { FakeMachine } from "./fake_machine.ts";
import { ARENA, GuestDevice, type Negotiation } from "./guest_device.ts";
import { MemoryListener } from "./memory_listener.ts";
import { arpRequest, MemoryNet } from "./memory_net.ts";
import { turnsUntil } from "./turns.ts";

const MIB = 1 << 20;
/** Arenas of the guests begin here, behind the bootstrap's load address and what was loaded. */
const ARENAS = 4 * MIB;
const IN = 0;
const OUT = 1;
export const DISK_SECTORS = 128;

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A terminal that keeps what it was written. */
class Terminal implements ConsoleBackend {
  readonly name = "terminal";
  readonly size = { columns: 80, rows: 25 };
  text = "";
  write(bytes: Uint8Array): void {
    this.text += new TextDecoder().decode(bytes);
  }
  open(): void {}
  resume(): void {}
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** A network that takes checksums and segmentation. */
class OffloadingNet extends MemoryNet {
  override readonly offloads = { checksum: true, segmentation: true };
}

export class GuestBench implements AsyncDisposable {
  readonly disk = new Uint8Array(DISK_SECTORS * 512);
  readonly net = new OffloadingNet();
  readonly terminal = new Terminal();
  readonly events: HostEvent[] = [];
  readonly machines: FakeMachine[] = [];
  readonly host: Host;
  readonly netDevice = new NetDevice(this.net);
  readonly #devices = [
    new BlockDevice({ backend: new MemoryBackend(this.disk) }),
    this.netDevice,
    new ConsoleDevice([{ backend: this.terminal }]),
    new BlockDevice({ backend: new MemoryBackend(new Uint8Array(DISK_SECTORS * 512)) }),
  ];
  readonly #stop = new AbortController();
  readonly #card: Promise<void>;

  #round = 1;
  #guests: readonly GuestDevice[] = [];

  private constructor() {
    const listener = new MemoryListener();
    this.host = new Host({
      listener,
      cards: [{
        name: "mic0",
        devices: this.#devices,
        images: { kernel: { name: "diag", bytes: encodeDiagImage() }, cmdline: "" },
      }],
      onEvent: (event) => this.events.push(event),
    });
    this.#card = runCard({
      dial: () => listener.dial(),
      machine: ({ memoryBytes }) => {
        const machine = new FakeMachine(memoryBytes);
        this.machines.push(machine);
        return Promise.resolve(machine);
      },
      memoryBytes: 8 * MIB,
      identity: new Uint8Array(16).fill(1),
      signal: this.#stop.signal,
    });
  }

  /** Resolves when the card OS has begun: nothing is driven yet. */
  static async boot(): Promise<GuestBench> {
    const bench = new GuestBench();
    await turnsUntil(() => bench.machines[0]?.image !== undefined, "the card boots");
    bench.#guests = bench.#devices.map((_, slot) =>
      new GuestDevice(bench.machines[0]!, slot, ARENAS + slot * ARENA)
    );
    return bench;
  }

  /** Slots 0 to 3: a disk, a network, a console, and a second disk. */
  get block(): GuestDevice {
    return this.#guests[0]!;
  }
  get network(): GuestDevice {
    return this.#guests[1]!;
  }
  get console(): GuestDevice {
    return this.#guests[2]!;
  }
  get bystander(): GuestDevice {
    return this.#guests[3]!;
  }

  get driver(): HostDriver {
    return this.host.cards.get("mic0")!.driver!;
  }

  /** A driver as it should be comes up on `guest`. */
  start(guest: GuestDevice, { without = 0n }: Negotiation = {}): Promise<void> {
    return guest.start(guest === this.network || guest === this.console ? 2 : 1, {
      // Without them these drivers need no third queue.
      without: without |
        (guest === this.network ? 1n << 17n : guest === this.console ? 1n << 1n : 0n),
    });
  }

  /** A request as it should be on `guest`, and what comes of it; throws if it is not what it should be. */
  async serves(guest: GuestDevice): Promise<void> {
    if (guest === this.network) await this.#pings();
    else if (guest === this.console) await this.#prints();
    else await this.#writesAndReads(guest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#card;
    await this.host[Symbol.asyncDispose]();
    for (const device of this.#devices) await device[Symbol.asyncDispose]();
  }

  async #writesAndReads(guest: GuestDevice): Promise<void> {
    const text = `sector ${this.#round++}`.padEnd(512, ".");
    const written = await guest.request(OUT, 5, 512, (data) => data.set(encode(text)));
    assertEquals(written, { status: 0, length: 1 });
    let read = "";
    const answer = await guest.request(IN, 5, 512, undefined, (data) => read = decode(data));
    assertEquals([answer, read], [{ status: 0, length: 513 }, text]);
  }

  async #pings(): Promise<void> {
    const [receive, transmit] = this.network.rings;
    const station = { mac: [2, 0, 0, 0, 0, 1], address: [172, 31, 1, 1] };
    const question = arpRequest(station, this.net.peer.address);
    const from = this.network.buffer(question.length);
    const into = this.network.buffer(2048);
    this.network.memory.set(question, from);
    receive!.add([], [{ address: into, length: 2048 }]);
    this.network.notify(0);
    transmit!.add([{ address: from, length: question.length }], []);
    this.network.notify(1);
    const { len } = await this.network.used(0);
    const answer = this.network.memory.slice(into, into + len);
    assertEquals([...answer.subarray(34, 40)], this.net.peer.mac);
    await this.network.used(1);
  }

  async #prints(): Promise<void> {
    const text = `line ${this.#round++}\n`;
    const at = this.console.buffer(text.length);
    this.console.memory.set(encode(text), at);
    this.console.rings[1]!.add([{ address: at, length: text.length }], []);
    this.console.notify(1);
    await this.console.used(1);
    assert(this.terminal.text.endsWith(text));
  }
}
