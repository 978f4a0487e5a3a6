/**
 * A console device between terminals that the test types on and a driver that it is.
 *
 * @module
 */
import type { ConsoleBackend, ConsoleEvents } from "../../host/backends/types.ts";
import { ConsoleDevice, type PortOptions } from "../../host/devices/console.ts";
import { type FakeChain, type FakeQueue, FakeSession, FakeSlot } from "./fake_queue.ts";

/** A terminal that the test types on and reads from. */
export class Terminal implements ConsoleBackend {
  readonly name: string;
  size: { columns: number; rows: number } | undefined;
  events!: ConsoleEvents;
  output = "";
  resumes = 0;
  closed = 0;
  /** True, false, or that it is assumed. */
  readonly openings: (boolean | "assumed")[] = [];
  /** What the next writes wait for, or fail with. */
  gate: Promise<void> | undefined;
  failure: Error | undefined;
  #typed = new Uint8Array(0);

  constructor(name = "tty", size?: { columns: number; rows: number }) {
    this.name = name;
    this.size = size;
  }
  write(bytes: Uint8Array): void | Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.output += new TextDecoder().decode(bytes);
    return this.gate;
  }
  open(events: ConsoleEvents): void {
    this.events = events;
  }
  opened(open: boolean, assumed: boolean): void {
    this.openings.push(assumed ? "assumed" : open);
  }
  resume(): void {
    this.resumes++;
    this.type("");
  }
  type(text: string): void {
    this.#typed = new Uint8Array([...this.#typed, ...new TextEncoder().encode(text)]);
    this.#typed = this.#typed.slice(this.events.input(this.#typed));
  }
  get left(): string {
    return new TextDecoder().decode(this.#typed);
  }
  [Symbol.asyncDispose](): Promise<void> {
    this.closed++;
    return Promise.resolve();
  }
}

export class Console implements AsyncDisposable {
  readonly device: ConsoleDevice;
  readonly slot = new FakeSlot();
  readonly errors: unknown[] = [];
  session: FakeSession;
  constructor(ports: readonly PortOptions[], { drop = 0n } = {}) {
    this.device = new ConsoleDevice(ports, { onError: (error) => this.errors.push(error) });
    this.device.attached(this.slot);
    this.session = this.begin(this.device.features & ~drop);
  }
  begin(features: bigint): FakeSession {
    const session = new FakeSession(this.device.queueSizes, features);
    this.device.start(session);
    return session;
  }
  queue(index: number): FakeQueue {
    return this.session.queues[index]!;
  }
  /** Driver's control message. */
  say(...bytes: number[]): void {
    this.queue(3).add({ readable: Uint8Array.from(bytes) });
    this.device.notified(3);
  }
  /** Receive buffers on `queue`. */
  buffers(queue: number, count: number, size = 64): FakeChain[] {
    const chains = Array.from({ length: count }, () => this.queue(queue).add({ writable: size }));
    this.device.notified(queue);
    return chains;
  }
  /** Device's control messages so far. */
  heard(): number[][] {
    return this.queue(2).used.map(({ memory, written }) => [...memory.subarray(0, written)]);
  }
  output(queue: number, text: string, pushed?: number): FakeChain {
    const readable = new TextEncoder().encode(text);
    const chain = this.queue(queue).add({ readable, pushed: pushed ?? readable.length });
    this.device.notified(queue);
    return chain;
  }
  /** What the driver got on `queue`. */
  input(queue: number): string {
    return this.queue(queue).used
      .map(({ memory, written }) => new TextDecoder().decode(memory.subarray(0, written))).join("");
  }
  async reset(): Promise<void> {
    this.session.abort();
    await this.device.stop();
    this.session.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.reset();
    await this.device[Symbol.asyncDispose]();
  }
}

// Control messages byte by byte (virtio 1.3 §5.3.6.2): le32 id, le16 event, le16 value.
export const DEVICE_READY = [0, 0, 0, 0, 0, 0, 1, 0];
export const portReady = (id: number) => [id, 0, 0, 0, 3, 0, 1, 0];
export const portOpen = (id: number, open: number) => [id, 0, 0, 0, 6, 0, open, 0];
export const portAdd = (id: number) => [id, 0, 0, 0, 1, 0, 0, 0];
export const consolePort = (id: number) => [id, 0, 0, 0, 4, 0, 1, 0];
export const resize = (
  id: number,
  cols: number,
  rows: number,
) => [id, 0, 0, 0, 5, 0, 1, 0, cols, 0, rows, 0];
export const portName = (id: number, name: string) => {
  return [id, 0, 0, 0, 7, 0, 1, 0, ...new TextEncoder().encode(name)];
};

export async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}
