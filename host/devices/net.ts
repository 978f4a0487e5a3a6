/**
 * Network device (virtio 1.3 §5.1): what it offers, its configuration space, and one session's queues.
 *
 * The offloads offered are the backend's; what the driver accepted of them is told to the backend. While no driver
 * runs, frames from the backend are taken and dropped, as by any network card that is not up; so are frames both ways
 * while the operator has pulled the cable. The device owns its backend and closes it.
 *
 * @module
 */
import { DriverError, le16, viewOf, virtioNet } from "../../protocol/mod.ts";
import type { NetBackend } from "../backends/types.ts";
import type { DeviceSession, DeviceSlot, VirtioDevice } from "../driver/virtio_device.ts";
import { MAX_COMMAND, NetControl } from "./net_control.ts";
import { NetReceive } from "./net_receive.ts";
import { MAX_TRANSMIT, NetTransmit } from "./net_transmit.ts";

const { CONFIG, FEATURE, HEADER, QUEUE, STATUS_LINK_UP } = virtioNet;

const CHECKSUM = FEATURE.CSUM | FEATURE.GUEST_CSUM;
const SEGMENTATION = FEATURE.HOST_TSO4 | FEATURE.HOST_TSO6 | FEATURE.HOST_ECN |
  FEATURE.GUEST_TSO4 | FEATURE.GUEST_TSO6 | FEATURE.GUEST_ECN;
/** What a driver must take together before it is given TCP segments longer than a frame. */
const SEGMENTS_TO_DRIVER = FEATURE.GUEST_CSUM | FEATURE.GUEST_TSO4 | FEATURE.GUEST_TSO6;
const ALWAYS = FEATURE.MAC | FEATURE.MTU | FEATURE.STATUS | FEATURE.MRG_RXBUF | FEATURE.CTRL_VQ |
  FEATURE.CTRL_RX | FEATURE.CTRL_MAC_ADDR;

const MTU_MIN = 68;
const MTU_MAX = 65_535;

interface Running {
  readonly receive: NetReceive;
  readonly transmit: NetTransmit;
  /** Absent if the driver has not negotiated CTRL_VQ. */
  readonly control: NetControl | undefined;
}

export class NetDevice implements VirtioDevice {
  readonly name: string;
  readonly type: number = virtioNet.TYPE;
  readonly features: bigint;
  /** Many receive buffers: a burst of 64 KiB frames takes 45 each of a common driver's. */
  readonly queueSizes: readonly number[] = [1024, 256, 64];
  readonly pushLimits: readonly number[] = [0, MAX_TRANSMIT, MAX_COMMAND];
  readonly #backend: NetBackend;
  /** As it was when the device was made: it may not change (§5.1.4.1). */
  readonly #mtu: number;
  #mac: Uint8Array;
  #linkUp = true;
  /** The operator's. */
  #cable = true;
  #slot: DeviceSlot | undefined;
  #running: Running | undefined;
  #sent = 0;
  #sentBytes = 0;
  /** Of the sessions that are over. */
  #received = 0;
  #receivedBytes = 0;
  #dropped = 0;
  #refused = 0;

  /** @throws {RangeError} for an MTU that a device may not have (§5.1.4.1) */
  constructor(backend: NetBackend) {
    const { checksum, segmentation } = backend.offloads;
    const { mtu, name } = backend;
    if (!(mtu >= MTU_MIN && mtu <= MTU_MAX)) {
      throw new RangeError(
        `Cannot use network ${name}: its MTU is ${mtu}, wanted ${MTU_MIN} to ${MTU_MAX}`,
      );
    }
    this.#mtu = mtu;
    this.name = `net ${backend.name}`;
    this.features = ALWAYS | (checksum ? CHECKSUM : 0n) |
      (checksum && segmentation ? SEGMENTATION : 0n);
    this.#backend = backend;
    this.#mac = backend.mac.slice();
  }

  /**
   * Frames and their bytes without headers, `sent` and `received` as the driver sees it; `dropped` could not be given to
   * a running driver, or met a pulled cable; `refused` had a wrong header of the driver's.
   */
  get counters(): Readonly<
    Record<"sent" | "sentBytes" | "received" | "receivedBytes" | "dropped" | "refused", number>
  > {
    return {
      sent: this.#sent,
      sentBytes: this.#sentBytes,
      received: this.#received + (this.#running?.receive.received ?? 0),
      receivedBytes: this.#receivedBytes + (this.#running?.receive.receivedBytes ?? 0),
      dropped: this.#dropped + (this.#running?.receive.dropped ?? 0),
      refused: this.#refused + (this.#running?.transmit.refused ?? 0),
    };
  }

  /** As the driver sees it: the cable is plugged in, and what is behind it is up. */
  get carrier(): boolean {
    return this.#cable && this.#linkUp;
  }

  /** Plugs the cable in, or pulls it: no frame goes either way without it, and the driver is told. */
  setCable(plugged: boolean): void {
    if (plugged === this.#cable) return;
    const before = this.carrier;
    this.#cable = plugged;
    // A frame that waits for the backend, and one that the backend keeps for the driver, were sent: they are lost.
    if (!plugged) {
      this.#running?.transmit.writable();
      this.#backend.resume();
    }
    if (this.carrier !== before) this.#slot?.configChanged();
  }

  config(): Uint8Array {
    const bytes = new Uint8Array(CONFIG.size);
    const view = viewOf(bytes);
    bytes.set(this.#mac, CONFIG.at.mac0);
    le16.set(view, CONFIG.at.status, this.carrier ? STATUS_LINK_UP : 0);
    le16.set(view, CONFIG.at.mtu, this.#mtu);
    return bytes;
  }

  attached(slot: DeviceSlot): void {
    this.#slot = slot;
    this.#backend.open({
      receive: (frame) => {
        if (!this.#cable) {
          this.#dropped++;
          return true;
        }
        return this.#running?.receive.receive(frame) ?? true;
      },
      received: () => this.#running?.receive.publish(),
      writable: () => this.#running?.transmit.writable(),
      link: (up) => this.#setLink(up),
    });
  }

  start(session: DeviceSession): void {
    const { queues, features } = session;
    const receiveQueue = queues[QUEUE.receive];
    const transmitQueue = queues[QUEUE.transmit];
    const controlQueue = (features & FEATURE.CTRL_VQ) === 0n ? undefined : queues[QUEUE.control];
    if (receiveQueue === undefined || transmitQueue === undefined) {
      session.fail(
        new DriverError("queue-setup", "Cannot start network device: a queue is missing"),
      );
      return;
    }
    this.#backend.accepted?.({
      checksum: (features & FEATURE.GUEST_CSUM) !== 0n,
      segmentation: (features & SEGMENTS_TO_DRIVER) === SEGMENTS_TO_DRIVER,
    });
    this.#running = {
      receive: new NetReceive(
        session,
        receiveQueue,
        this.#mtu,
        () => this.#backend.resume(),
      ),
      transmit: new NetTransmit(session, transmitQueue, (frame) => this.#send(frame)),
      control: controlQueue &&
        new NetControl(session, controlQueue, (mac) => this.#setMac(mac)),
    };
    this.#running.control?.kick();
    this.#running.transmit.kick();
  }

  notified(queue: number): void {
    if (queue === QUEUE.receive) this.#running?.receive.notified();
    else if (queue === QUEUE.transmit) this.#running?.transmit.kick();
    else if (queue === QUEUE.control) this.#running?.control?.kick();
  }

  /** Nothing in it is the driver's to write: the MAC address goes through the control queue. */
  configWritten(_offset: number, _width: number, _value: number): void {}

  stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return Promise.resolve();
    running.receive.stop();
    running.transmit.stop();
    running.control?.stop();
    this.#received += running.receive.received;
    this.#receivedBytes += running.receive.receivedBytes;
    this.#dropped += running.receive.dropped;
    this.#refused += running.transmit.refused;
    this.#running = undefined;
    this.#setMac(this.#backend.mac);
    this.#backend.accepted?.({ checksum: false, segmentation: false });
    // The frame that it may keep is of a time that is over.
    this.#backend.resume();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#backend[Symbol.asyncDispose]();
  }

  #setLink(up: boolean): void {
    const before = this.carrier;
    this.#linkUp = up;
    if (this.carrier !== before) this.#slot?.configChanged();
  }

  #send(frame: Uint8Array): boolean {
    if (!this.#cable) {
      this.#dropped++;
      return true;
    }
    if (!this.#backend.send(frame)) return false;
    this.#sent++;
    this.#sentBytes += frame.length - HEADER.size;
    return true;
  }

  #setMac(mac: Uint8Array): void {
    if (mac.every((byte, i) => byte === this.#mac[i])) return;
    this.#mac = mac.slice();
    this.#slot?.configChanged();
  }
}
