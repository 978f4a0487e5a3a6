/**
 * One card that runs Linux from the card image, and the hosts that it has: all in this process, all real but the wire.
 * For what a life of many boots is made of; what a user sees of two processes is `lab.ts`.
 *
 * @module
 */
import { assert } from "@std/assert";
import { runCard } from "../../card/card.ts";
import { v86Machine } from "../../card/machine/v86/machine.ts";
import type { ControlledCard } from "../../host/cards/controlled_card.ts";
import type { CardState } from "../../host/cards/card.ts";
import { ControlledHost } from "../../host/cards/controlled_host.ts";
import type { BootRecord } from "../../host/control/card_control.ts";
import { linuxImages } from "../../host/control/images.ts";
import { type OpenDevices, openDevices } from "../../host/control/open_devices.ts";
import type { BootImages } from "../../host/driver/boot_image.ts";
import { cachedCardImage } from "../../scripts/cli/mod.ts";
import { rootDisk } from "./lab.ts";
import { MemoryListener } from "./memory_listener.ts";

const NAME = "mic0";
const MEMORY = 128 * 2 ** 20;
/** ms. A boot takes four seconds, or many times that on a machine that does much else. */
const LIMIT = 180_000;

/** One host, and what it has open. */
interface Host extends AsyncDisposable {
  readonly control: ControlledHost;
  readonly listener: MemoryListener;
}

export class LinuxCard implements AsyncDisposable {
  /** The image of its root disk. */
  readonly disk: string;
  /** Its next machine cannot be made: no reset succeeds. */
  broken = false;
  readonly #images: BootImages;
  readonly #state: string | undefined;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #host: Host;

  private constructor(disk: string, images: BootImages, host: Host, state: string | undefined) {
    this.disk = disk;
    this.#state = state;
    this.#images = images;
    this.#host = host;
    this.#running = runCard({
      dial: () => this.#host.listener.dial(),
      machine: (options) =>
        this.broken ? Promise.reject(new Error("it is broken")) : v86Machine(options),
      memoryBytes: MEMORY,
      identity: new Uint8Array(16).fill(1),
      signal: this.#stop.signal,
    });
  }

  /**
   * Its card is ready, and boots when it is told to; the root disk is a copy in `folder`. What its hosts keep of it is in
   * `state`.
   */
  static async start(folder: string, state?: string): Promise<LinuxCard> {
    const { path } = await rootDisk(folder);
    const { folder: image, manifest } = (await cachedCardImage())!;
    const images = await linuxImages(
      { kernel: undefined, initrd: undefined, cmdline: undefined, name: NAME, address: undefined },
      {
        kernel: `${image}/vmlinux`,
        initrd: `${image}/initrd.img`,
        cmdline: manifest.cmdline,
      },
    );
    const card = new LinuxCard(path, images, await openHost(path, images, state), state);
    await card.reaches("ready");
    return card;
  }

  /** What its host has of it; another one after `changeHost`. */
  get control(): ControlledCard {
    return this.#host.control.cards.get(NAME)!;
  }

  /** Boots, and is online. */
  async boot(): Promise<void> {
    await this.control.boot();
    await this.reaches("online");
  }

  /** What a command says on its standard output; it must succeed. */
  async sh(command: string): Promise<string> {
    let output = "";
    let errors = "";
    const text = new TextDecoder();
    const status = await this.control.exec(command, {
      stdout: (bytes) => void (output += text.decode(bytes)),
      stderr: (bytes) => void (errors += text.decode(bytes)),
    });
    assert(status === 0, `${command}: status ${status}, ${errors}`);
    return output;
  }

  /**
   * Asks it to shut down, and resets the card if it has not within `timeout` ms; what is on record of the boot, once the
   * card is ready again.
   */
  async shutdown(timeout?: number): Promise<BootRecord> {
    await this.control.card.shutdown(undefined, timeout);
    return await this.#ended();
  }

  /** Runs a command that the card OS does not survive; what is on record of the boot, once the card is ready again. */
  async dies(command: string): Promise<BootRecord> {
    // It is told that there will be no answer.
    const running = this.control.exec(command, { stdout() {}, stderr() {} }).catch(() => {});
    const record = await this.#ended();
    await running;
    return record;
  }

  /** The host goes and leaves the card OS as it is; another one adopts it, or finds the card in `state`. */
  async changeHost(state: CardState = "online"): Promise<void> {
    await this.#host[Symbol.asyncDispose]();
    this.#host = await openHost(this.disk, this.#images, this.#state);
    await this.reaches(state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#host[Symbol.asyncDispose]();
  }

  async #ended(): Promise<BootRecord> {
    await this.reaches("ready");
    return this.control.boots().at(-1)!;
  }

  async reaches(state: CardState): Promise<void> {
    const limit = new AbortController();
    const timer = setTimeout(() => {
      limit.abort(new Error(`not ${state}: ${this.control.why().sentence}`));
    }, LIMIT);
    try {
      await this.control.waitFor([state], limit.signal);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function openHost(
  disk: string,
  images: BootImages,
  state: string | undefined,
): Promise<Host> {
  const opened: OpenDevices = await openDevices({
    disks: [disk],
    net: "none",
    consoles: ["none"],
    address: undefined,
    name: NAME,
    configureTap: false,
    insecure: false,
  }, { detach() {}, report() {} });
  const listener = new MemoryListener();
  const { devices, exec } = opened;
  const control = new ControlledHost({
    version: "0.0.0",
    listener,
    state,
    cards: [{ name: NAME, devices, exec, images, autoboot: false, os: "linux" }],
  });
  return {
    control,
    listener,
    async [Symbol.asyncDispose]() {
      await control[Symbol.asyncDispose]();
      await opened[Symbol.asyncDispose]();
    },
  };
}
