/**
 * Console driver of the diagnostic OS (virtio 1.3 §5.3): port 0, and with MULTIPORT the named ones.
 *
 * A port appears when the device adds it, gets its buffers then, and is told about to the OS once its name is known or
 * it is said to be a console. Output waits for a free buffer, so a device that reads slowly holds its writers back.
 *
 * @module
 */
import {
  DeviceError,
  type DriverQueue,
  type UsedChain,
  viewOf,
  virtioConsole,
} from "../../../../protocol/mod.ts";
import type { Board } from "../board.ts";
import type { Heap } from "./heap.ts";
import { BufferPool } from "./buffer_pool.ts";
import { ConsolePort } from "./console_port.ts";
import type { VirtioDriver, VirtioTransport } from "./virtio.ts";

const { CONFIG, CONTROL, EVENT, FEATURE, QUEUE, RESIZE, receiveQueue, transmitQueue } =
  virtioConsole;

/** Longest control message that is taken: the head and a name. */
const CONTROL_BUFFER = 256;
const CONTROL_BUFFERS = 16;
/** Answers that wait for a buffer at most: a device that asks and reads none of them is broken. */
const BACKLOG_MAX = 256;
const QUEUE_WISH = { size: 64, indirect: 0 };

export interface ConsoleEvents {
  /** The device said that a port is a console, or its name. Asked again when more is known, until it is taken (true). */
  portFound(port: ConsolePort): boolean;
}

export class ConsoleDriver implements VirtioDriver {
  readonly transport: VirtioTransport;
  readonly #board: Board;
  readonly #heap: Heap;
  readonly #events: ConsoleEvents;
  readonly #multiport: boolean;
  readonly #maxPorts: number;
  readonly #ports = new Map<number, ConsolePort>();
  readonly #queues = new Map<number, DriverQueue>();
  readonly #taken = new Set<number>();
  readonly #used: UsedChain = { head: 0, written: 0 };
  #controlIn: BufferPool | undefined;
  #controlOut: BufferPool | undefined;
  #backlog: { readonly id: number; readonly event: number; readonly value: number }[] = [];

  static async open(
    board: Board,
    heap: Heap,
    transport: VirtioTransport,
    events: ConsoleEvents,
    signal: AbortSignal,
  ): Promise<ConsoleDriver> {
    await transport.negotiate(FEATURE.SIZE | FEATURE.MULTIPORT, signal);
    const driver = new ConsoleDriver(board, heap, transport, events);
    transport.start(driver);
    driver.#begin();
    return driver;
  }

  private constructor(board: Board, heap: Heap, transport: VirtioTransport, events: ConsoleEvents) {
    this.#board = board;
    this.#heap = heap;
    this.transport = transport;
    this.#events = events;
    this.#multiport = (transport.features & FEATURE.MULTIPORT) !== 0n;
    const config = this.#config();
    this.#maxPorts = this.#multiport
      ? Math.min(Math.max(1, config.max_nr_ports), virtioConsole.MAX_PORTS)
      : 1;
    // Queues have to be set up before DRIVER_OK, those of ports that may come later too.
    for (let port = 0; port < this.#maxPorts; port++) {
      for (const index of [receiveQueue(port), transmitQueue(port)]) {
        const queue = transport.queue(index, QUEUE_WISH);
        if (queue) this.#queues.set(index, queue);
      }
    }
    if (this.#multiport) {
      this.#controlIn = this.#pool(QUEUE.controlReceive, CONTROL_BUFFERS, CONTROL_BUFFER);
      this.#controlOut = this.#pool(QUEUE.controlTransmit, CONTROL_BUFFERS, CONTROL_BUFFER);
    }
  }

  get ports(): readonly ConsolePort[] {
    return [...this.#ports.values()];
  }

  used(): void {
    this.#usedControl();
    for (const port of this.#ports.values()) port.used();
  }

  configChanged(): void {
    // With MULTIPORT sizes come as RESIZE messages (§5.3.4).
    if (!this.#multiport) this.#sizeFromConfig();
  }

  failed(error: Error): void {
    for (const port of this.#ports.values()) port.close(error);
  }

  #begin(): void {
    if (this.#multiport) {
      this.#controlIn!.offerAll();
      this.transport.kick(QUEUE.controlReceive);
      this.#send(0, EVENT.DEVICE_READY, 1);
      return;
    }
    const port = this.#addPort(0);
    if (!port) throw new DeviceError("Cannot drive console: it has no queues");
    port.console = true;
    this.#sizeFromConfig();
    this.#announce(port);
  }

  #usedControl(): void {
    this.#sendBacklog();
    const pool = this.#controlIn;
    if (!pool) return;
    do {
      while (pool.queue.popUsed(this.#used)) {
        const { head, written } = this.#used;
        const message = this.#board.memory.slice(
          pool.address(head),
          pool.address(head) + written,
        );
        pool.recycle(head);
        pool.offer();
        if (message.length >= CONTROL.size) this.#control(message);
      }
    } while (!pool.queue.awaitUsed());
    this.transport.kick(QUEUE.controlReceive);
  }

  #control(message: Uint8Array): void {
    const view = viewOf(message);
    const { id, event, value } = CONTROL.read(view);
    if (event === EVENT.PORT_ADD) {
      const added = id < this.#maxPorts && this.#addPort(id);
      this.#send(id, EVENT.PORT_READY, added ? 1 : 0);
      return;
    }
    const port = this.#ports.get(id);
    if (!port) return;
    const rest = message.subarray(CONTROL.size);
    if (event === EVENT.CONSOLE_PORT) {
      port.console = true;
      this.#announce(port);
    } else if (event === EVENT.PORT_NAME) {
      const end = rest.indexOf(0);
      port.name = new TextDecoder().decode(end < 0 ? rest : rest.subarray(0, end));
      this.#announce(port);
    } else if (event === EVENT.RESIZE && rest.length >= RESIZE.size) {
      const { cols, rows } = RESIZE.read(view, CONTROL.size);
      port.resize(cols, rows);
    } else if (event === EVENT.PORT_OPEN) {
      port.peerOpen = value !== 0;
    } else if (event === EVENT.PORT_REMOVE) {
      this.#ports.delete(id);
      this.#taken.delete(id);
      port.close(new DeviceError(`Console port ${id} was removed`));
    }
  }

  #addPort(id: number): ConsolePort | undefined {
    const present = this.#ports.get(id);
    if (present) return present;
    const receive = this.#queues.get(receiveQueue(id));
    const transmit = this.#queues.get(transmitQueue(id));
    if (!receive || !transmit) return undefined;
    const port = new ConsolePort({
      id,
      board: this.#board,
      heap: this.#heap,
      receive,
      transmit,
      kickReceive: () => this.transport.kick(receiveQueue(id)),
      kickTransmit: () => this.transport.kick(transmitQueue(id)),
      opened: () => {
        if (this.#multiport) this.#send(id, EVENT.PORT_OPEN, 1);
      },
    });
    this.#ports.set(id, port);
    return port;
  }

  #announce(port: ConsolePort): void {
    if (this.#taken.has(port.id)) return;
    if (this.#events.portFound(port)) this.#taken.add(port.id);
  }

  #send(id: number, event: number, value: number): void {
    if (this.#backlog.length === BACKLOG_MAX) {
      throw new DeviceError("Cannot answer console control messages: the device reads none");
    }
    this.#backlog.push({ id, event, value });
    this.#sendBacklog();
  }

  #sendBacklog(): void {
    const pool = this.#controlOut;
    if (!pool) return;
    for (;;) {
      while (pool.queue.popUsed(this.#used)) pool.recycle(this.#used.head);
      while (this.#backlog.length > 0) {
        const address = pool.claim();
        if (address === undefined) break;
        CONTROL.write(this.#board.view, this.#backlog.shift()!, address);
        pool.send(address, CONTROL.size);
      }
      this.transport.kick(QUEUE.controlTransmit);
      if (this.#backlog.length === 0) return pool.queue.ignoreUsed();
      if (pool.queue.awaitUsed()) return;
    }
  }

  #sizeFromConfig(): void {
    const port = this.#ports.get(0);
    if (!port || !(this.transport.features & FEATURE.SIZE)) return;
    const { cols, rows } = this.#config();
    port.resize(cols, rows);
  }

  #config() {
    const bytes = new Uint8Array(CONFIG.size);
    bytes.set(this.transport.deviceConfig().subarray(0, CONFIG.size));
    return CONFIG.read(viewOf(bytes));
  }

  #pool(index: number, count: number, size: number): BufferPool {
    const queue = this.transport.queue(index, QUEUE_WISH);
    if (!queue) throw new DeviceError("Cannot drive console: it has no control queues");
    return new BufferPool(this.#heap, queue, count, size);
  }
}
