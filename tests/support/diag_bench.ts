/**
 * A host with a disk in memory, and a card that runs the diagnostic OS and reaches it through a proxy: all in this
 * process, all real, over TCP.
 *
 * @module
 */
import { type CardEvent, runCard } from "../../card/card.ts";
import { DiagMachine } from "../../card/machine/diag/machine.ts";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { Condition } from "../../host/driver/condition.ts";
import { ControlledHost } from "../../host/cards/controlled_host.ts";
import type { Host, HostEvent } from "../../host/host.ts";
import {
  dialTcp,
  dialTls,
  encodeDiagImage,
  type LinkLimits,
  type LinkStatus,
  listenTcp,
  listenTls,
  shortIdentity,
} from "../../protocol/mod.ts";
import { Proxy, type ProxyOptions } from "./proxy.ts";
import { CARD, HOST, trusting } from "./tls_rig.ts";

export const SECTOR = 512;
const SECTORS = 256;

export interface DiagBenchOptions extends ProxyOptions {
  readonly limits?: Partial<LinkLimits>;
  /** Both are who `tls_rig.ts` says, and trust each other. */
  readonly tls?: boolean;
}

export class DiagBench implements AsyncDisposable {
  readonly disk = new Uint8Array(SECTORS * SECTOR);
  /** What link events said, oldest first: of the host, and of the card. */
  readonly hostLinks: LinkStatus[] = [];
  readonly cardLinks: LinkStatus[] = [];
  readonly refusals: Extract<HostEvent, { type: "refused" }>[] = [];
  readonly machines: DiagMachine[] = [];
  readonly device: BlockDevice;
  /** What the control plane has of the host. */
  readonly control: ControlledHost;
  proxy!: Proxy;
  readonly #changed = new Condition();
  readonly #stop = new AbortController();
  #card: Promise<void> = Promise.resolve();

  readonly #tls: boolean;

  private constructor(limits: Partial<LinkLimits>, tls: boolean) {
    this.#tls = tls;
    this.device = new BlockDevice({ backend: new MemoryBackend(this.disk) });
    this.control = new ControlledHost({
      version: "0.0.0",
      listener: tls
        ? listenTls("127.0.0.1", 0, { identity: HOST, trusts: trusting(CARD) })
        : listenTcp("127.0.0.1", 0),
      identity: shortIdentity(HOST.fingerprint),
      cards: [{
        name: "mic0",
        devices: [this.device],
        images: { kernel: { name: "diag", bytes: encodeDiagImage() }, cmdline: "" },
      }],
      limits,
      onEvent: (event) => {
        if (event.type === "link") this.hostLinks.push(event.status);
        if (event.type === "refused") this.refusals.push(event);
        this.#changed.notify();
      },
    });
  }

  /** Resolves when the card OS is online and has read its disk. */
  static async start(
    { limits = {}, tls = false, ...network }: DiagBenchOptions = {},
  ): Promise<DiagBench> {
    await using starting = new AsyncDisposableStack();
    const bench = starting.use(new DiagBench(limits, tls));
    bench.proxy = await Proxy.start(bench.host.address.port, network);
    bench.#card = bench.#runCard();
    const driver = await bench.host.cards.get("mic0")!.waitForDriver();
    await driver.waitFor("online");
    await bench.os.disk.read(0, 1);
    starting.move();
    return bench;
  }

  get host(): Host {
    return this.control.host;
  }

  /** The card OS that runs. */
  get os(): DiagMachine["os"] {
    return this.machines.at(-1)!.os;
  }

  /** Resolves with what `find` finds, now or after some event of host or card. */
  until<T>(find: () => T | undefined): Promise<T> {
    return this.#changed.until(find);
  }

  /** Writes a pattern of its own and reads it back, `rounds` times. @throws {Error} if it is not what was written */
  async work(rounds: number): Promise<void> {
    const { disk } = this.os;
    for (let round = 1; round <= rounds; round++) {
      const bytes = new Uint8Array(SECTOR).fill(round);
      await disk.write(round % SECTORS, bytes);
      const back = await disk.read(round % SECTORS, 1);
      if (back.some((byte) => byte !== bytes[0])) throw new Error(`Sector ${round} was not kept`);
    }
  }

  #runCard(): Promise<void> {
    return runCard({
      dial: (signal) => {
        const { port } = this.proxy;
        if (!this.#tls) return dialTcp("127.0.0.1", port, signal);
        return dialTls("127.0.0.1", port, { identity: CARD, trusts: trusting(HOST) }, signal);
      },
      machine: ({ memoryBytes }) => {
        const machine = new DiagMachine({ memoryBytes });
        this.machines.push(machine);
        return Promise.resolve(machine);
      },
      memoryBytes: 32 * 2 ** 20,
      identity: shortIdentity(CARD.fingerprint),
      signal: this.#stop.signal,
      onEvent: (event: CardEvent) => {
        if (event.type === "link") this.cardLinks.push(event.status);
        this.#changed.notify();
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#card;
    await this.control[Symbol.asyncDispose]();
    await this.device[Symbol.asyncDispose]();
    await (this.proxy as Proxy | undefined)?.[Symbol.asyncDispose]();
  }
}
