/**
 * Console device (virtio 1.3 §5.3): up to 31 ports, each bound to a backend.
 *
 * Port 0 is the console; it works for drivers without MULTIPORT too, which know no other. The device owns the backends
 * of its ports and closes them.
 *
 * @module
 */
import { DriverError, viewOf, virtioConsole } from "../../protocol/mod.ts";
import type { ConsoleBackend } from "../backends/types.ts";
import type {
  DeviceQueue,
  DeviceSession,
  DeviceSlot,
  VirtioDevice,
} from "../driver/virtio_device.ts";
import { clamp, ConsoleControl } from "./console_control.ts";
import { ConsolePort } from "./console_port.ts";

const { CONFIG, FEATURE, MAX_PORTS, QUEUE, receiveQueue, transmitQueue } = virtioConsole;

const QUEUE_SIZE = 64;
/** Bytes of output worth pushing: the longest write of a common driver. */
const OUTPUT_LIMIT = 32 * 1024;
const CONTROL_LIMIT = 64;

/** One port. */
export interface PortOptions {
  /** How it is found in the card: `/sys/class/virtio-ports/‹port›/name`. */
  readonly name?: string;
  readonly backend: ConsoleBackend;
  /** A terminal of the card OS (`/dev/hvc‹n›`), not a plain port; true for port 0 and false for others if absent. */
  readonly console?: boolean;
}

export interface ConsoleDeviceOptions {
  /** A port's backend failed to write; what it should have written is lost. */
  readonly onError?: (error: unknown) => void;
}

interface Port {
  readonly port: ConsolePort;
  readonly name: string | undefined;
  readonly console: boolean;
  readonly size: { readonly columns: number; readonly rows: number } | undefined;
  setOpen(open: boolean, assumed?: boolean): void;
}

export class ConsoleDevice implements VirtioDevice {
  readonly name: string;
  readonly type: number = virtioConsole.TYPE;
  readonly features: bigint = FEATURE.SIZE | FEATURE.MULTIPORT | FEATURE.EMERG_WRITE;
  readonly queueSizes: readonly number[];
  readonly pushLimits: readonly number[];
  readonly #ports: readonly Port[];
  #slot: DeviceSlot | undefined;
  /** Ports with queues in this session, and the control queues if there are any. */
  #running: readonly Port[] = [];
  #control: ConsoleControl | undefined;

  /** @throws {RangeError} if there are no ports, or too many */
  constructor(ports: readonly PortOptions[], { onError = () => {} }: ConsoleDeviceOptions = {}) {
    if (ports.length < 1 || ports.length > MAX_PORTS) {
      throw new RangeError(
        `Cannot make a console of ${ports.length} ports: wanted 1 to ${MAX_PORTS}`,
      );
    }
    this.name = `console ${ports[0]!.backend.name}`;
    this.#ports = ports.map(({ backend, name, console }, id) => {
      const port = new ConsolePort(backend, onError);
      return {
        port,
        name,
        console: console ?? id === 0,
        get size() {
          return backend.size;
        },
        setOpen: (open, assumed) => port.setOpen(open, assumed),
      };
    });
    // Two for each port, and the control queues.
    const count = 2 * ports.length + 2;
    this.queueSizes = Array.from({ length: count }, () => QUEUE_SIZE);
    this.pushLimits = Array.from({ length: count }, (_, queue) => {
      if (queue % 2 === 0) return 0;
      return queue === QUEUE.controlTransmit ? CONTROL_LIMIT : OUTPUT_LIMIT;
    });
  }

  /** Of all ports. */
  get counters(): Readonly<Record<"inputBytes" | "outputBytes", number>> {
    const counters = { inputBytes: 0, outputBytes: 0 };
    for (const { port } of this.#ports) {
      counters.inputBytes += port.inputBytes;
      counters.outputBytes += port.outputBytes;
    }
    return counters;
  }

  config(): Uint8Array {
    const size = this.#ports[0]!.size;
    const bytes = new Uint8Array(CONFIG.size);
    CONFIG.write(viewOf(bytes), {
      cols: clamp(size?.columns ?? 0),
      rows: clamp(size?.rows ?? 0),
      max_nr_ports: this.#ports.length,
      emerg_wr: 0,
    });
    return bytes;
  }

  attached(slot: DeviceSlot): void {
    this.#slot = slot;
    this.#ports.forEach(({ port }, id) => {
      port.backend.open({
        input: (bytes) => port.input(bytes),
        resized: () => this.#resized(id),
      });
    });
  }

  start(session: DeviceSession): void {
    const multiport = (session.features & FEATURE.MULTIPORT) !== 0n;
    const queue = (index: number): DeviceQueue => {
      const found = session.queues[index];
      if (found !== undefined) return found;
      throw new DriverError("queue-setup", `Cannot start console device: no queue ${index}`);
    };
    try {
      this.#running = multiport ? this.#ports : this.#ports.slice(0, 1);
      this.#running.forEach(({ port }, id) => {
        port.start(session, queue(receiveQueue(id)), queue(transmitQueue(id)));
      });
      if (multiport) {
        const receive = queue(QUEUE.controlReceive);
        const transmit = queue(QUEUE.controlTransmit);
        this.#control = new ConsoleControl(session, receive, transmit, this.#ports);
        this.#control.transmitNotified();
        this.#control.receiveNotified();
      } else {
        // A driver without MULTIPORT has no way to say that it opened its only port.
        this.#ports[0]!.port.setOpen(true);
      }
    } catch (error) {
      this.#halt();
      session.fail(error);
    }
  }

  notified(queue: number): void {
    if (queue === QUEUE.controlReceive) return this.#control?.receiveNotified();
    if (queue === QUEUE.controlTransmit) return this.#control?.transmitNotified();
    const port = this.#running[queue < QUEUE.controlReceive ? 0 : (queue >> 1) - 1]?.port;
    if (queue % 2 === 0) port?.receiveNotified();
    else port?.transmitNotified();
  }

  /** Emergency write: a character, in whatever width (§5.3.4). */
  configWritten(offset: number, _width: number, value: number): void {
    if (offset === CONFIG.at.emerg_wr) this.#ports[0]!.port.emergencyWrite(value & 0xff);
  }

  stop(): Promise<void> {
    this.#halt();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#halt();
    await Promise.all(this.#ports.map(({ port }) => port.backend[Symbol.asyncDispose]()));
  }

  #halt(): void {
    this.#control?.stop();
    this.#control = undefined;
    for (const { port } of this.#running) port.stop();
    this.#running = [];
  }

  #resized(id: number): void {
    if (id === 0) this.#slot?.configChanged();
    this.#control?.resized(id);
  }
}
