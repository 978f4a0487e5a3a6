/**
 * A network interface of the diagnostic OS: a driver with an IPv4 stack on it.
 *
 * @module
 */
import type { Board } from "../board.ts";
import type { Heap } from "./heap.ts";
import { dhcp } from "./ip/dhcp.ts";
import { formatAddress, parseAddress } from "./ip/packets.ts";
import { type Ipv4Settings, Ipv4Stack } from "./ip/stack.ts";
import { NetDriver } from "./net.ts";
import type { VirtioTransport } from "./virtio.ts";

export class NetInterface {
  readonly name: string;
  readonly driver: NetDriver;
  readonly stack: Ipv4Stack;
  #configuring: Promise<void> = Promise.resolve();

  static async open(
    name: string,
    board: Board,
    heap: Heap,
    transport: VirtioTransport,
    signal: AbortSignal,
  ): Promise<NetInterface> {
    return new NetInterface(name, await NetDriver.open(board, heap, transport, signal));
  }

  private constructor(name: string, driver: NetDriver) {
    this.name = name;
    this.driver = driver;
    this.stack = new Ipv4Stack(driver);
    driver.onFrame = (frame) => this.stack.receive(frame);
  }

  /** Own address as text; undefined while there is none. */
  get address(): string | undefined {
    const { address } = this.stack.settings;
    return address === 0 ? undefined : formatAddress(address);
  }

  /** Sets the address, or gets one. @throws {NetError} if no DHCP server answers */
  configure(setting: Ipv4Settings | "dhcp", signal: AbortSignal): Promise<void> {
    const done = this.#configure(setting, signal);
    this.#configuring = done.catch(() => {});
    return done;
  }

  /** Resolves when no address is being got, so that what uses the network right after the start finds one. */
  settled(): Promise<void> {
    return this.#configuring;
  }

  async #configure(setting: Ipv4Settings | "dhcp", signal: AbortSignal): Promise<void> {
    if (setting === "dhcp") await dhcp(this.stack, this.driver.mac, signal);
    else this.stack.settings = setting;
  }

  /**
   * Round trip to `address` in milliseconds; `timeout` is in milliseconds too.
   * @throws {RangeError} if it is no IPv4 address @throws {NetError} if nothing answers
   */
  async ping(address: string, signal: AbortSignal, timeout = 1000): Promise<number> {
    const to = parseAddress(address);
    if (to === undefined) throw new RangeError(`Cannot ping '${address}': wanted an IPv4 address`);
    await this.settled();
    return this.stack.ping(to, { signal, timeout });
  }
}
