/**
 * A completer that writes down what it is asked, over a small memory at address 0.
 *
 * @module
 */
import { type Completer, UnsupportedRequest, type Width } from "../../protocol/mod.ts";

export class RecordingCompleter implements Completer {
  /** One line for each call but `batchEnd`. */
  readonly calls: string[] = [];
  readonly memory: Uint8Array;
  batches = 0;
  /** Thrown by every access while it is set. */
  broken: Error | undefined;
  onMessage: ((code: number, a: number, b: number) => void) | undefined;
  #changed: (() => void)[] = [];

  constructor(size = 0x10_0000) {
    this.memory = new Uint8Array(size);
  }

  /** Resolves once there are `count` calls. */
  async seen(count: number): Promise<void> {
    while (this.calls.length < count) {
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  /** Resolves once `call` was made. */
  async hears(call: string): Promise<void> {
    while (!this.calls.includes(call)) {
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  memoryWrite(address: number, bytes: Uint8Array): void {
    this.#call(`write ${address} ${bytes.length}`);
    this.#check(address, bytes.length);
    this.memory.set(bytes, address);
  }
  memoryRead(address: number, into: Uint8Array): void {
    this.#call(`read ${address} ${into.length}`);
    this.#check(address, into.length);
    into.set(this.memory.subarray(address, address + into.length));
  }
  configRead(register: number, width: Width): number {
    this.#call(`config read ${register} ${width}`);
    return 0x42;
  }
  configWrite(register: number, width: Width, value: number): void {
    this.#call(`config write ${register} ${width} ${value}`);
  }
  ioRead(port: number, width: Width): number {
    this.#call(`io read ${port} ${width}`);
    return 0x69;
  }
  ioWrite(port: number, width: Width, value: number): void {
    this.#call(`io write ${port} ${width} ${value}`);
  }
  message(code: number, a: number, b: number): void {
    this.#call(`message ${code} ${a} ${b}`);
    this.onMessage?.(code, a, b);
  }
  batchEnd(): void {
    this.batches++;
    const changed = this.#changed;
    this.#changed = [];
    for (const resolve of changed) resolve();
  }

  #call(line: string): void {
    this.calls.push(line);
    if (this.broken) throw this.broken;
  }
  #check(address: number, length: number): void {
    if (address + length > this.memory.length) {
      throw new UnsupportedRequest(`Cannot access ${length} bytes at ${address}`);
    }
  }
}
