/**
 * What a host lends to one of its cards, by name: `disk0`, `disk1`, `net0`, `console0`; and what the operator changes of
 * it while the card runs.
 *
 * A name belongs to a device as long as it is there; the lowest one that is free goes to the next.
 *
 * - **Invariant:** a device has its slot until nothing of it is mapped any more.
 *
 * @module
 */
import { BackendError, LinkError, page } from "../../protocol/mod.ts";
import { openDisk, parseDisk } from "../backends/open_disk.ts";
import type { BlockBackend } from "../backends/types.ts";
import { BlockDevice, type BlockDeviceOptions } from "../devices/block.ts";
import { NetDevice } from "../devices/net.ts";
import { AttachedDevice } from "../driver/attached_device.ts";
import type { HostDriver } from "../driver/host_driver.ts";
import type { VirtioDevice } from "../driver/virtio_device.ts";

export type LentKind = "block" | "net" | "console";

export interface LentDevice {
  readonly slot: number;
  /** What commands take. */
  readonly name: string;
  readonly kind: LentKind;
  readonly device: VirtioDevice;
}

/** Hears of what befalls a disk later: a request that fails, a server that is gone. */
export type Report = NonNullable<BlockDeviceOptions["onError"]>;

/** Requests that are under way at a disk get this long to end before a swap or a removal is given up, ms. */
const PATIENCE = 30_000;

const WORD = { block: "disk", net: "net", console: "console" } as const;

export class LentDevices implements AsyncDisposable {
  readonly #card: string;
  readonly #driver: () => HostDriver | undefined;
  readonly #slots: (AttachedDevice | undefined)[] = [];
  readonly #lent: LentDevice[] = [];
  /** What was added here, and is closed here. */
  readonly #own = new Set<VirtioDevice>();
  /** Disks that are on their way out. */
  readonly #leaving = new Set<string>();

  /** `devices` are by slot, and the caller's; `driver` is that of the card process that is there. */
  constructor(
    card: string,
    devices: readonly VirtioDevice[],
    driver: () => HostDriver | undefined,
  ) {
    this.#card = card;
    this.#driver = driver;
    this.fill(devices);
  }

  /** What the card was to have from the start, by slot, and the caller's: there was nothing until now. */
  fill(devices: readonly VirtioDevice[]): void {
    for (const device of devices) {
      this.#slots.push(new AttachedDevice(device));
      this.#enter(this.#slots.length - 1, device);
    }
  }

  /** By slot; changes with what is lent. */
  get slots(): readonly (AttachedDevice | undefined)[] {
    return this.#slots;
  }
  /** By slot. */
  get list(): readonly LentDevice[] {
    return this.#lent.toSorted((a, b) => a.slot - b.slot);
  }

  /**
   * Lends one more disk, `choice` as on the command line; resolves with its name when a card OS that runs has it on its
   * bus. It is closed with the card.
   * @throws {RangeError | BackendError} if it cannot be opened; {TypeError} if the card has no place for it
   */
  async addDisk(choice: string, report: Report): Promise<string> {
    const backend = await openDisk(parseDisk(choice), report);
    const device = new BlockDevice({ backend, onError: report });
    const free = this.#slots.indexOf(undefined);
    const slot = free < 0 ? this.#slots.length : free;
    if (slot >= page.SLOTS) {
      await device[Symbol.asyncDispose]();
      throw new RangeError(`Cannot add disk ${choice}: ${this.#card} has ${page.SLOTS} devices`);
    }
    this.#slots[slot] = new AttachedDevice(device);
    this.#own.add(device);
    const { name } = this.#enter(slot, device);
    const patience = AbortSignal.timeout(PATIENCE);
    try {
      await this.#driver()?.plug(slot, { signal: patience });
    } catch (error) {
      // The next card process finds the disk; and a card that does not answer may still take it.
      if (error instanceof LinkError || patience.aborted) return name;
      await this.#drop(slot, device);
      throw error;
    }
    return name;
  }

  /**
   * Takes a disk away: its requests fail from now on, a card OS that runs lets go of it, and it is closed.
   * @throws {RangeError} if there is no such disk; {TypeError} if the card OS cannot let go of it
   * @throws {BackendError} if the card OS does not: it can be tried again
   */
  async removeDisk(name: string): Promise<void> {
    const disk = this.#disk(name);
    const { slot } = this.#lent.find(({ device }) => device === disk)!;
    if (this.#driver()?.canUnplug(slot) === false) {
      throw new TypeError(
        `Cannot remove ${name}: the card OS of ${this.#card} has it where it cannot be pulled; shut it down first`,
      );
    }
    if (this.#leaving.has(name)) throw new TypeError(`Cannot remove ${name}: it is being removed`);
    this.#leaving.add(name);
    try {
      await patiently(`remove ${name}: the card OS does not let go of it`, async (signal) => {
        await disk.retire(signal);
        await this.#unplug(slot, signal);
      });
      await this.#drop(slot, disk);
    } finally {
      this.#leaving.delete(name);
    }
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
  async swapDisk(name: string, choice: string, report: Report): Promise<void> {
    const disk = this.#disk(name);
    await using opened = new AsyncDisposableStack();
    const backend: BlockBackend = opened.use(await openDisk(parseDisk(choice), report));
    await patiently(
      `swap ${name}: requests are under way at ${disk.name}`,
      (signal) => disk.swap(backend, signal),
    );
    opened.move();
  }

  /** Plugs in or pulls the cable of the card's network. @throws {RangeError} if it has none */
  setCarrier(up: boolean): void {
    const nets = this.#lent.map(({ device }) => device).filter((d) => d instanceof NetDevice);
    if (nets.length === 0) {
      throw new RangeError(`Cannot set the carrier of ${this.#card}: it has no network`);
    }
    for (const net of nets) net.setCable(up);
  }

  /** Closes what was added here. The card must have been pulled. */
  async [Symbol.asyncDispose](): Promise<void> {
    const own = [...this.#own];
    this.#own.clear();
    await Promise.all(own.map((device) => device[Symbol.asyncDispose]()));
  }

  /** A card process that goes meanwhile has let go of everything when its session has ended. */
  async #unplug(slot: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#driver()?.unplug(slot, { signal });
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      await this.#slots[slot]!.pulled(signal);
    }
  }

  async #drop(slot: number, device: VirtioDevice): Promise<void> {
    this.#slots[slot] = undefined;
    this.#lent.splice(this.#lent.findIndex((lent) => lent.device === device), 1);
    this.#own.delete(device);
    await device[Symbol.asyncDispose]();
  }

  #enter(slot: number, device: VirtioDevice): LentDevice {
    const kind = kindOf(device);
    let number = 0;
    while (this.#lent.some(({ name }) => name === `${WORD[kind]}${number}`)) number++;
    const lent = { slot, name: `${WORD[kind]}${number}`, kind, device };
    this.#lent.push(lent);
    return lent;
  }

  #disk(name: string): BlockDevice {
    const device = this.#lent.find((lent) => lent.name === name)?.device;
    if (device instanceof BlockDevice) return device;
    const disks = this.list.filter(({ kind }) => kind === "block").map((disk) => disk.name);
    throw new RangeError(
      `Cannot find disk "${name}": ${this.#card} has ${disks.join(", ") || "none"}`,
    );
  }
}

/** Does `work`, whose signal is aborted when it takes too long: `Cannot ‹what›`. */
async function patiently(what: string, work: (signal: AbortSignal) => Promise<void>) {
  const patience = new AbortController();
  const timer = setTimeout(() => {
    patience.abort(new BackendError(`Cannot ${what}, for ${PATIENCE / 1000} s`));
  }, PATIENCE);
  try {
    await work(patience.signal);
  } finally {
    clearTimeout(timer);
  }
}

function kindOf(device: VirtioDevice): LentKind {
  if (device instanceof BlockDevice) return "block";
  return device instanceof NetDevice ? "net" : "console";
}
