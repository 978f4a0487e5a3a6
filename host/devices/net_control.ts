/**
 * Commands of the network device's control queue (virtio 1.3 §5.1.6.5): receive filters and the MAC address.
 *
 * Every frame that reaches the backend is delivered, which all filter settings allow (§5.1.6.5.1 calls filtering best
 * effort), so those commands are checked and acknowledged.
 *
 * @module
 */
import { DriverError, le32, viewOf, virtioNet } from "../../protocol/mod.ts";
import type { DescriptorChain, DeviceQueue, DeviceSession } from "../driver/virtio_device.ts";
import { ChainPump } from "./chain_pump.ts";

const { CONTROL, CONTROL_ACK, CONTROL_CLASS, CONTROL_MAC, CONTROL_RX, FEATURE } = virtioNet;
const MAC_LENGTH = 6;

/** Command bytes worth pushing: a MAC table of some hundred addresses. Longer commands are refused. */
export const MAX_COMMAND = 4096;

export class NetControl {
  readonly #session: DeviceSession;
  readonly #queue: DeviceQueue;
  readonly #setMac: (mac: Uint8Array) => void;
  readonly #pump: ChainPump;

  constructor(session: DeviceSession, queue: DeviceQueue, setMac: (mac: Uint8Array) => void) {
    this.#session = session;
    this.#queue = queue;
    this.#setMac = setMac;
    this.#pump = new ChainPump(session, queue, (chain) => this.#take(chain));
  }

  kick(): void {
    this.#pump.kick();
  }

  stop(): void {
    this.#pump.stop();
  }

  #take(chain: DescriptorChain): boolean {
    if (chain.readableLength < CONTROL.size || chain.writableLength < 1) {
      throw new DriverError(
        "request",
        `Cannot serve control command: ${chain.readableLength} readable and ${chain.writableLength} writable bytes`,
      );
    }
    const whole = chain.pushed.length === chain.readableLength;
    const done = whole && this.#perform(chain.pushed.slice());
    const ack = new Uint8Array([done ? CONTROL_ACK.OK : CONTROL_ACK.ERR]);
    this.#queue.write(chain, 0, ack);
    this.#pump.give(chain, 1);
    return true;
  }

  #perform(command: Uint8Array): boolean {
    const { class: group, command: verb } = CONTROL.read(viewOf(command));
    const data = command.subarray(CONTROL.size);
    const { features } = this.#session;
    if (group === CONTROL_CLASS.RX && (features & FEATURE.CTRL_RX) !== 0n) {
      return (verb === CONTROL_RX.PROMISC || verb === CONTROL_RX.ALLMULTI) && data.length === 1;
    }
    if (group !== CONTROL_CLASS.MAC) return false;
    if (verb === CONTROL_MAC.TABLE_SET && (features & FEATURE.CTRL_RX) !== 0n) {
      return isMacTables(data);
    }
    const settable = verb === CONTROL_MAC.ADDR_SET && (features & FEATURE.CTRL_MAC_ADDR) !== 0n;
    // A group address is nobody's own.
    if (!settable || data.length !== MAC_LENGTH || (data[0]! & 1) === 1) return false;
    this.#setMac(data);
    return true;
  }
}

/** Two tables, unicast and multicast: a count and so many addresses each (§5.1.6.5.2). */
function isMacTables(data: Uint8Array): boolean {
  const view = viewOf(data);
  let at = 0;
  for (let table = 0; table < 2; table++) {
    if (at + le32.size > data.length) return false;
    at += le32.size + le32.get(view, at) * MAC_LENGTH;
  }
  return at === data.length;
}
