/**
 * A disk, a console and a wire for {@linkcode LoopbackDevice}. Only for tests.
 */
import type { LoopbackChain, LoopbackDevice, LoopbackModel } from "./loopback_device.ts";

/** A disk in memory. `log` has each request as `type sector length`. */
export class LoopbackDisk implements LoopbackModel {
  readonly type = 2;
  /** FLUSH, DISCARD, WRITE_ZEROES. */
  readonly features = 1n << 9n | 1n << 13n | 1n << 14n;
  readonly queueSizes: readonly number[];
  readonly bytes: Uint8Array;
  readonly log: string[] = [];
  /** Chains are kept back while true; `release` completes them in reverse order. */
  hold = false;
  held: (() => void)[] = [];
  /** Sector that fails. */
  bad = -1;
  readonly #config = new Uint8Array(60);

  constructor(sectors: number, queueSize = 256) {
    this.bytes = new Uint8Array(sectors * 512);
    this.queueSizes = [queueSize];
    new DataView(this.#config.buffer).setBigUint64(0, BigInt(sectors), true);
  }

  config(): Uint8Array {
    return this.#config;
  }

  notified(queue: number, device: LoopbackDevice): void {
    for (let chain; (chain = device.pop(queue));) {
      const request = chain;
      if (this.hold) this.held.push(() => this.#serve(request));
      else this.#serve(request);
    }
  }

  release(): void {
    for (const serve of this.held.splice(0).reverse()) serve();
  }

  #serve(chain: LoopbackChain): void {
    const view = new DataView(chain.readable.buffer);
    const type = view.getUint32(0, true);
    const sector = Number(view.getBigUint64(8, true));
    const data = chain.readable.subarray(16);
    const room = chain.writableLength - 1;
    this.log.push(`${type} ${sector} ${data.length + room}`);
    const at = sector * 512;
    let status = 0;
    let written = 0;
    if (sector === this.bad || at + data.length + room > this.bytes.length && type < 2) status = 1;
    else if (type === 0) {
      chain.write(this.bytes.subarray(at, at + room));
      written = room;
    } else if (type === 1) this.bytes.set(data, at);
    else if (type === 8) {
      chain.write(new TextEncoder().encode("loopback\0\0\0\0\0\0\0\0\0\0\0\0"));
      written = room;
    } else if (type === 11 || type === 13) {
      const first = Number(view.getBigUint64(16, true)) * 512;
      this.bytes.fill(0, first, first + view.getUint32(24, true) * 512);
    } else if (type !== 4) status = 2;
    chain.write(Uint8Array.of(status), room);
    chain.push(written + 1);
  }
}

/** A multiport console. Output of each port gathers as text; `typed` sends input. */
export class LoopbackConsole implements LoopbackModel {
  readonly type = 3;
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  /** By port: its name, "" for the console. */
  readonly names: readonly string[];
  readonly output: string[] = [];
  readonly opened = new Set<number>();
  device: LoopbackDevice | undefined;
  readonly #config = new Uint8Array(12);
  readonly #waiting: { done: () => boolean; resolve: () => void }[] = [];
  readonly #input = new Map<number, Uint8Array[]>();
  /** Output of a port is not taken while it is in here. */
  readonly stalled = new Set<number>();

  /** Without names there is no MULTIPORT. */
  constructor(names: readonly string[] = []) {
    this.names = names;
    this.features = 1n | (names.length > 0 ? 2n : 0n);
    this.queueSizes = new Array(names.length > 0 ? 2 * names.length + 2 : 2).fill(16);
    const view = new DataView(this.#config.buffer);
    view.setUint16(0, 80, true);
    view.setUint16(2, 25, true);
    view.setUint32(4, Math.max(1, names.length), true);
    for (let i = 0; i < Math.max(1, names.length); i++) this.output.push("");
  }

  config(): Uint8Array {
    return this.#config;
  }

  notified(queue: number, device: LoopbackDevice): void {
    this.device = device;
    if (queue === 3) {
      for (let chain; (chain = device.pop(3));) {
        this.#control(new DataView(chain.readable.buffer));
        chain.push(0);
      }
    } else if (queue === 2 || queue % 2 === 0) this.#deliver();
    else {
      const port = queue === 1 ? 0 : (queue - 3) / 2;
      if (this.stalled.has(port)) return;
      for (let chain; (chain = device.pop(queue));) {
        this.output[port] += new TextDecoder().decode(chain.readable);
        chain.push(0);
      }
    }
    this.#check();
  }

  /** Input to a port. */
  typed(text: string, port = 0): void {
    this.#send(port === 0 ? 0 : 2 * port + 2, new TextEncoder().encode(text));
  }

  resize(columns: number, rows: number): void {
    const message = new Uint8Array(12);
    const view = new DataView(message.buffer);
    view.setUint16(4, 5, true);
    view.setUint16(8, columns, true);
    view.setUint16(10, rows, true);
    this.#send(2, message);
  }

  /** Resolves when port `port` printed something that matches, and clears it. */
  async printed(pattern: RegExp, port = 0): Promise<string> {
    await this.until(() => pattern.test(this.output[port]!));
    const text = this.output[port]!;
    this.output[port] = "";
    return text;
  }

  until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ done, resolve });
      this.#check();
    });
  }

  #check(): void {
    for (const waiter of [...this.#waiting]) {
      if (!waiter.done()) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      waiter.resolve();
    }
  }

  #control(view: DataView): void {
    const id = view.getUint32(0, true);
    const event = view.getUint16(4, true);
    const value = view.getUint16(6, true);
    if (event === 0 && value === 1) this.names.forEach((_, port) => this.#say(port, 1, 0));
    else if (event === 3 && value === 1) {
      if (this.names[id] === "") this.#say(id, 4, 1);
      else this.#say(id, 7, 1, this.names[id]);
      this.#say(id, 6, 1);
    } else if (event === 6) this.opened.add(id);
  }

  #say(id: number, event: number, value: number, text = ""): void {
    const message = new Uint8Array(8 + text.length);
    const view = new DataView(message.buffer);
    view.setUint32(0, id, true);
    view.setUint16(4, event, true);
    view.setUint16(6, value, true);
    message.set(new TextEncoder().encode(text), 8);
    this.#send(2, message);
  }

  #send(queue: number, bytes: Uint8Array): void {
    const list = this.#input.get(queue) ?? [];
    this.#input.set(queue, list);
    list.push(bytes);
    this.#deliver();
  }

  #deliver(): void {
    for (const [queue, list] of this.#input) {
      while (list.length > 0) {
        const chain = this.device?.pop(queue);
        if (!chain) break;
        const piece = list[0]!.subarray(0, chain.writableLength);
        chain.write(piece);
        if (piece.length === list[0]!.length) list.shift();
        else list[0] = list[0]!.subarray(piece.length);
        chain.push(piece.length);
      }
    }
  }
}

/** A network device whose frames a test answers. */
export class LoopbackNet implements LoopbackModel {
  readonly type = 1;
  /** MAC, MTU, STATUS. */
  readonly features = 1n << 5n | 1n << 3n | 1n << 16n;
  readonly queueSizes = [16, 16];
  readonly #config = Uint8Array.of(2, 0, 0, 0, 0, 0x42, 1, 0, 0, 0, 0xdc, 5);
  /** Gets each frame; what it returns goes back. */
  answer: (frame: Uint8Array) => Uint8Array | undefined = () => undefined;
  readonly sent: Uint8Array[] = [];
  #device: LoopbackDevice | undefined;

  config(): Uint8Array {
    return this.#config;
  }

  notified(queue: number, device: LoopbackDevice): void {
    this.#device = device;
    if (queue !== 1) return;
    for (let chain; (chain = device.pop(1));) {
      const frame = chain.readable.slice(12);
      chain.push(0);
      this.sent.push(frame);
      const reply = this.answer(frame);
      if (reply) this.deliver(reply);
    }
  }

  /** A frame from the wire; false if the driver has no buffer for it. */
  deliver(frame: Uint8Array): boolean {
    const chain = this.#device?.pop(0);
    if (!chain) return false;
    chain.write(new Uint8Array(12));
    chain.write(frame, 12);
    chain.push(12 + frame.length);
    return true;
  }
}
