/**
 * The control queues of a multiport console (virtio 1.3 §5.3.6.2): how ports are added, named and opened.
 *
 *     driver                          device
 *     DEVICE_READY        ->
 *                         <-          PORT_ADD                            each port
 *     PORT_READY          ->                                              each port
 *                         <-          CONSOLE_PORT, PORT_NAME, PORT_OPEN, RESIZE   as they apply, in this order
 *     PORT_OPEN           ->                                              when somebody in the card opens or closes it
 *
 * A port is added once in the life of a driver (§5.3.6.2.1), in order, and all of them before anything else is said: so
 * a host that adopts a driver knows from the used index how many it has.
 *
 * What is to be said is kept as a set of bits for each port, not as a queue: a driver that asks without end, or gives
 * no receive buffers, makes nothing grow, and several resizes become the last one.
 *
 * @module
 */
import { DriverError, viewOf, virtioConsole } from "../../protocol/mod.ts";
import type { DescriptorChain, DeviceQueue, DeviceSession } from "../driver/virtio_device.ts";
import { ChainPump } from "./chain_pump.ts";

const { CONTROL, EVENT, RESIZE } = virtioConsole;

/** What the control queues need to know of a port. */
export interface ControlledPort {
  readonly name: string | undefined;
  readonly console: boolean;
  readonly size: { readonly columns: number; readonly rows: number } | undefined;
  setOpen(open: boolean, assumed?: boolean): void;
}

/** What may be waiting to be said of a port that was added, in the order in which it is said. */
const SAYING = [
  EVENT.CONSOLE_PORT,
  EVENT.PORT_NAME,
  EVENT.PORT_OPEN,
  EVENT.RESIZE,
] as const;
type Saying = (typeof SAYING)[number];

export class ConsoleControl {
  readonly #session: DeviceSession;
  readonly #receive: DeviceQueue;
  readonly #pump: ChainPump;
  readonly #ports: readonly ControlledPort[];
  /** Events waiting for a receive buffer, for each port. */
  readonly #waiting: Set<Saying>[];
  /** Ports that the driver has been told of, the first ones; and whether it wants to be told. */
  #added = 0;
  #wantsPorts = false;
  /** Ports of which the driver has said PORT_READY. */
  readonly #ready = new Set<number>();
  #awaitingLink = false;
  #unpublished = false;
  #stopped = false;

  constructor(
    session: DeviceSession,
    receive: DeviceQueue,
    transmit: DeviceQueue,
    ports: readonly ControlledPort[],
  ) {
    this.#session = session;
    this.#receive = receive;
    this.#ports = ports;
    this.#waiting = ports.map(() => new Set());
    this.#pump = new ChainPump(session, transmit, (chain) => this.#take(chain));
    if (session.adopted) this.#adopt(transmit);
  }

  /**
   * What the driver was told is in the used indices; what it said is not known. So it is told again what may be told
   * twice, and all its ports count as ready, and as open: a driver drops what comes in by one that is not.
   */
  #adopt(transmit: DeviceQueue): void {
    // Its first message is DEVICE_READY. If it was not used, it is here again.
    this.#wantsPorts = transmit.usedBefore > 0;
    this.#added = Math.min(this.#receive.usedBefore, this.#ports.length);
    this.#ports.forEach((port, id) => {
      port.setOpen(true, true);
      if (id < this.#added) this.#hear(id, port, EVENT.PORT_READY, 1);
    });
  }

  /** Receive buffers were made available. */
  receiveNotified(): void {
    this.#say();
  }

  /** Messages were made available. */
  transmitNotified(): void {
    this.#pump.kick();
  }

  /** The terminal behind `port` has another size. */
  resized(port: number): void {
    if (!this.#ready.has(port)) return;
    this.#want(port, EVENT.RESIZE);
    this.#say();
  }

  stop(): void {
    this.#stopped = true;
    this.#pump.stop();
  }

  #take(chain: DescriptorChain): boolean {
    if (chain.pushed.length < CONTROL.size) {
      throw new DriverError(
        "request",
        `Cannot read control message: ${chain.pushed.length} bytes, wanted ${CONTROL.size}`,
      );
    }
    const { id, event, value } = CONTROL.read(viewOf(chain.pushed));
    this.#pump.give(chain, 0);
    if (event === EVENT.DEVICE_READY) {
      if (value === 1) this.#wantsPorts = true;
    } else if (this.#ports[id] !== undefined) {
      this.#hear(id, this.#ports[id], event, value);
    }
    this.#say();
    return true;
  }

  /** Messages that mean nothing to a device are ignored, as are ports that do not exist. */
  #hear(id: number, port: ControlledPort, event: number, value: number): void {
    if (event === EVENT.PORT_OPEN) return port.setOpen(value === 1);
    if (event !== EVENT.PORT_READY || value !== 1) return;
    this.#ready.add(id);
    if (port.console) this.#want(id, EVENT.CONSOLE_PORT);
    if (port.name !== undefined) this.#want(id, EVENT.PORT_NAME);
    this.#want(id, EVENT.PORT_OPEN);
    this.#want(id, EVENT.RESIZE);
  }

  #want(port: number, event: Saying): void {
    // The driver is told a size only of a console, and only where there is a terminal.
    const { console, size } = this.#ports[port]!;
    if (event === EVENT.RESIZE && (!console || size === undefined)) return;
    this.#waiting[port]!.add(event);
  }

  /** Says what waits, as far as there are receive buffers. */
  #say(): void {
    if (this.#stopped) return;
    try {
      if (this.#sayPorts()) this.#sayOfPorts();
    } catch (error) {
      this.#stopped = true;
      this.#pump.fail(error);
    } finally {
      if (this.#unpublished) this.#receive.publish();
      this.#unpublished = false;
    }
  }

  /** True when the driver knows of all ports. */
  #sayPorts(): boolean {
    while (this.#wantsPorts && this.#added < this.#ports.length) {
      const id = this.#added;
      if (!this.#sayOne(message(id, EVENT.PORT_ADD, this.#ports[id]!))) return false;
      this.#added++;
    }
    return this.#added === this.#ports.length;
  }

  #sayOfPorts(): void {
    for (let port = 0; port < this.#ports.length; port++) {
      const waiting = this.#waiting[port]!;
      for (const event of SAYING) {
        if (!waiting.has(event)) continue;
        if (!this.#sayOne(message(port, event, this.#ports[port]!))) return;
        waiting.delete(event);
      }
    }
  }

  /** False when there is no buffer for it now. */
  #sayOne(bytes: Uint8Array): boolean {
    const chain = this.#nextBuffer();
    if (chain === undefined) return false;
    this.#fill(chain, bytes);
    this.#unpublished = true;
    return true;
  }

  #nextBuffer(): DescriptorChain | undefined {
    if (this.#session.writable) return this.#receive.pop();
    if (this.#awaitingLink) return undefined;
    this.#awaitingLink = true;
    this.#session.onWritable(() => {
      this.#awaitingLink = false;
      this.#say();
    });
    return undefined;
  }

  #fill(chain: DescriptorChain, bytes: Uint8Array): void {
    if (chain.writableLength < bytes.length) {
      throw new DriverError(
        "request",
        `Cannot use control receive buffer: ${chain.writableLength} bytes, wanted ${bytes.length}`,
      );
    }
    this.#receive.write(chain, 0, bytes);
    this.#receive.push(chain, bytes.length);
  }
}

function message(
  id: number,
  event: Saying | typeof EVENT.PORT_ADD,
  port: ControlledPort,
): Uint8Array {
  const tail = event === EVENT.PORT_NAME
    ? new TextEncoder().encode(port.name)
    : event === EVENT.RESIZE
    ? resize(port.size!)
    : new Uint8Array(0);
  const bytes = new Uint8Array(CONTROL.size + tail.length);
  CONTROL.write(viewOf(bytes), { id, event, value: event === EVENT.PORT_ADD ? 0 : 1 });
  bytes.set(tail, CONTROL.size);
  return bytes;
}

function resize({ columns, rows }: { columns: number; rows: number }): Uint8Array {
  const bytes = new Uint8Array(RESIZE.size);
  RESIZE.write(viewOf(bytes), { cols: clamp(columns), rows: clamp(rows) });
  return bytes;
}

/** Terminal dimensions as the 16 bits they have on the wire. */
export function clamp(cells: number): number {
  return Math.min(Math.max(Math.trunc(cells) || 0, 0), 0xffff);
}
