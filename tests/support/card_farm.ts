/**
 * One host with many cards that run the diagnostic OS, all in this process, all real, over TCP.
 *
 * @module
 */
import { runCard } from "../../card/card.ts";
import { DiagMachine } from "../../card/machine/diag/machine.ts";
import type { Hubs } from "../../host/backends/hub/hubs.ts";
import type { BlockBackend } from "../../host/backends/types.ts";
import type { CardOptions } from "../../host/cards/card.ts";
import { diagImages } from "../../host/control/images.ts";
import { type OpenDevices, openDevices } from "../../host/control/open_devices.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { Condition } from "../../host/driver/condition.ts";
import { Host, type HostEvent } from "../../host/host.ts";
import { dialTcp, listenTcp } from "../../protocol/mod.ts";

export interface FarmOptions {
  readonly cards: number;
  /** Of each card; by default 64 KiB of memory. */
  readonly disks?: readonly string[];
  /** Of each card; `none` by default. */
  readonly net?: string;
  readonly hubs?: Hubs;
  readonly restart?: CardOptions["restart"];
  /** Further disks of card `number`, behind its own: the farm's from then on. */
  readonly moreDisks?: (number: number) => readonly BlockBackend[];
}

export class CardFarm implements AsyncDisposable {
  readonly host: Host;
  readonly events: HostEvent[] = [];
  readonly opened: readonly OpenDevices[];
  readonly #changed = new Condition();
  readonly #running = new Map<number, CardProcess>();
  readonly #more: readonly (readonly BlockDevice[])[];

  private constructor(opened: readonly OpenDevices[], options: FarmOptions) {
    this.opened = opened;
    this.#more = opened.map((_, number) =>
      options.moreDisks?.(number).map((backend) => new BlockDevice({ backend })) ?? []
    );
    this.host = new Host({
      listener: listenTcp("127.0.0.1", 0),
      cards: opened.map(({ devices, address }, number) => ({
        name: `mic${number}`,
        devices: [...devices, ...this.#more[number]!],
        images: diagImages({ cmdline: undefined, name: `mic${number}`, address }),
        identity: identityOf(number).toHex(),
        restart: options.restart ?? "never",
      })),
      onEvent: (event) => {
        this.events.push(event);
        this.#changed.notify();
      },
    });
  }

  static async start(options: FarmOptions): Promise<CardFarm> {
    await using opening = new AsyncDisposableStack();
    const opened: OpenDevices[] = [];
    for (let number = 0; number < options.cards; number++) {
      const devices = await openDevices({
        disks: options.disks ?? ["mem:64K"],
        net: options.net ?? "none",
        consoles: ["none"],
        address: undefined,
        name: `mic${number}`,
        number,
        ...(options.hubs && { hubs: options.hubs }),
        configureTap: false,
        insecure: false,
      }, { detach() {}, report() {} });
      opened.push(opening.use(devices));
    }
    const farm = new CardFarm(opened, options);
    opening.move();
    return farm;
  }

  /** Starts the process of card `number`; its OS boots from now on. */
  power(number: number): CardProcess {
    const process = new CardProcess(this.host.address.port, number);
    this.#running.set(number, process);
    return process;
  }

  async online(number: number): Promise<void> {
    await this.host.cards.get(`mic${number}`)!.waitFor(["online"]);
  }

  /**
   * Ends the process of card `number`; resolves when the host knows. One that went before it had a session to say goodbye
   * in may be waited for, until its next process comes.
   */
  async vanish(number: number): Promise<void> {
    await this.#running.get(number)?.[Symbol.asyncDispose]();
    this.#running.delete(number);
    const card = this.host.cards.get(`mic${number}`)!;
    await this.until(() => !card.linkUp || undefined);
  }

  /** What `command` prints. @throws {Error} if it fails */
  async exec(number: number, command: string): Promise<string> {
    let text = "";
    const decoder = new TextDecoder();
    const add = (bytes: Uint8Array) => void (text += decoder.decode(bytes, { stream: true }));
    const status = await this.opened[number]!.exec.run(command, { stdout: add, stderr: add });
    if (status !== 0) throw new Error(`mic${number}: "${command}" ended with ${status}: ${text}`);
    return text;
  }

  /** Resolves with what `find` finds, now or after some event of the host. */
  until<T>(find: () => T | undefined): Promise<T> {
    return this.#changed.until(find);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.values()].map((card) => card[Symbol.asyncDispose]()));
    await this.host[Symbol.asyncDispose]();
    const devices = [...this.opened, ...this.#more.flat()];
    await Promise.all(devices.map((device) => device[Symbol.asyncDispose]()));
  }
}

/** What `runCard` is in a process of its own. */
export class CardProcess implements AsyncDisposable {
  readonly machines: DiagMachine[] = [];
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(port: number, number: number) {
    this.#done = runCard({
      dial: (signal) => dialTcp("127.0.0.1", port, signal),
      machine: ({ memoryBytes }) => {
        const machine = new DiagMachine({ memoryBytes });
        this.machines.push(machine);
        return Promise.resolve(machine);
      },
      memoryBytes: 16 * 2 ** 20,
      identity: identityOf(number),
      signal: this.#stop.signal,
    });
  }

  get os(): DiagMachine["os"] {
    return this.machines.at(-1)!.os;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

const identityOf = (number: number): Uint8Array => new Uint8Array(16).fill(number + 1);
