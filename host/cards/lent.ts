/**
 * What a host lends to one of its cards, by name: `disk0`, `disk1`, `net0`, `console0`; and what the operator changes of
 * it while the card runs.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";
import { openDisk, parseDisk } from "../backends/open_disk.ts";
import { BlockDevice } from "../devices/block.ts";
import { NetDevice } from "../devices/net.ts";
import type { VirtioDevice } from "../driver/virtio_device.ts";

export type LentKind = "block" | "net" | "console";

export interface LentDevice {
  readonly slot: number;
  /** What commands take. */
  readonly name: string;
  readonly kind: LentKind;
  readonly device: VirtioDevice;
}

/** Requests that are under way at a disk get this long to end before a swap is given up, ms. */
const SWAP_TIMEOUT = 30_000;

const WORD = { block: "disk", net: "net", console: "console" } as const;

export class LentDevices {
  readonly #card: string;
  readonly #list: LentDevice[] = [];

  /** `devices` are by slot. */
  constructor(card: string, devices: readonly VirtioDevice[]) {
    this.#card = card;
    devices.forEach((device, slot) => {
      const kind = kindOf(device);
      const number = this.#list.filter((other) => other.kind === kind).length;
      this.#list.push({ slot, name: `${WORD[kind]}${number}`, kind, device });
    });
  }

  /** By slot. */
  get list(): readonly LentDevice[] {
    return this.#list;
  }

  /** @throws {RangeError} if there is no such disk, or `size` (bytes) cannot be; {BackendError} if its store cannot */
  async resizeDisk(name: string, size: number): Promise<void> {
    await Promise.resolve();
    this.#disk(name).resize(size);
  }

  /**
   * The same disk on another backend, `choice` as on the command line; done when the old one is flushed and closed.
   * @throws {RangeError | BackendError} if that cannot be: the disk stays where it was
   */
  async swapDisk(name: string, choice: string, report: (error: unknown) => void): Promise<void> {
    const disk = this.#disk(name);
    await using opened = new AsyncDisposableStack();
    const backend = opened.use(await openDisk(parseDisk(choice), report));
    const patience = new AbortController();
    const timer = setTimeout(() => {
      const waited = `${SWAP_TIMEOUT / 1000} s`;
      patience.abort(
        new BackendError(
          `Cannot swap ${name}: requests are under way at ${disk.name} for ${waited}`,
        ),
      );
    }, SWAP_TIMEOUT);
    try {
      await disk.swap(backend, patience.signal);
    } finally {
      clearTimeout(timer);
    }
    opened.move();
  }

  /** Plugs in or pulls the cable of the card's network. @throws {RangeError} if it has none */
  setCarrier(up: boolean): void {
    const nets = this.#list.map(({ device }) => device).filter((d) => d instanceof NetDevice);
    if (nets.length === 0) {
      throw new RangeError(`Cannot set the carrier of ${this.#card}: it has no network`);
    }
    for (const net of nets) net.setCable(up);
  }

  #disk(name: string): BlockDevice {
    const device = this.#list.find((lent) => lent.name === name)?.device;
    if (device instanceof BlockDevice) return device;
    const disks = this.#list.filter(({ kind }) => kind === "block").map((disk) => disk.name);
    throw new RangeError(
      `Cannot find disk "${name}": ${this.#card} has ${disks.join(", ") || "none"}`,
    );
  }
}

function kindOf(device: VirtioDevice): LentKind {
  if (device instanceof BlockDevice) return "block";
  return device instanceof NetDevice ? "net" : "console";
}
