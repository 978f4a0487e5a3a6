/**
 * A card made of byte arrays, for tests of the host driver: no link and no CPU, just configuration space, card memory
 * and registers behind a Requester that applies posted writes in order, in the next microtask, as a link would.
 *
 * What the card does on boot, reset and doorbells is the test's own: hooks. Independent of card/ on purpose.
 *
 * @module
 */
import type { RootPort } from "../../host/driver/root_port.ts";
import {
  CARD_STATE,
  type CardState,
  le16,
  le32,
  MESSAGE,
  page,
  PLATFORM,
  postCode,
  REGISTER_BLOCK_SIZE,
  REGISTERS,
  type Requester,
  SHUTDOWN_REASON,
  type ShutdownReason,
  type Span,
  UnsupportedRequest,
  viewOf,
  type Width,
} from "../../protocol/mod.ts";

const MIB = 2 ** 20;
const DOORBELL_COUNT = 64;

export interface FakeCardOptions {
  readonly memoryMib?: number;
  readonly loadAddress?: number;
  readonly platform?: keyof typeof PLATFORM;
}

export class FakeCard {
  /** Configuration space as the host reads it. */
  readonly config: Uint8Array = new Uint8Array(256);
  /** Card memory, then (at the next power of two) the card page. */
  readonly aperture: Uint8Array;
  readonly memoryBytes: number;
  readonly pageOffset: number;
  readonly registers: Uint8Array = new Uint8Array(REGISTER_BLOCK_SIZE);
  /** Every doorbell rung: number and value. */
  readonly doorbells: [number, number][] = [];
  /** Every configuration write: register and value. */
  readonly configWrites: [number, number][] = [];
  /** Every posted write, in order: bus address and bytes. */
  readonly writes: { readonly address: number; readonly bytes: Uint8Array }[] = [];
  onBoot: () => void = () => {};
  onReset: () => void = () => this.becomeReady();
  onDoorbell: (number: number, value: number) => void = () => {};
  /** It answers nothing that it is asked. */
  mute = false;
  /** What the header of its host page says of serial output. */
  serial = {
    serial_piece: 0,
    serial_length: 0,
    serial_position: 0,
    serial_waiting: 0,
  };
  /** Back-pressure of the link, by hand. */
  writable = true;
  readonly requester: Requester;

  readonly #root: RootPort;
  readonly #options: Required<FakeCardOptions>;
  readonly #queue: (() => void)[] = [];
  #scheduled = false;
  #resume: (() => void)[] = [];

  constructor(root: RootPort, options: FakeCardOptions = {}) {
    this.#root = root;
    this.#options = { memoryMib: 4, loadAddress: MIB, platform: "diag", ...options };
    this.memoryBytes = this.#options.memoryMib * MIB;
    this.pageOffset = this.memoryBytes;
    this.aperture = new Uint8Array(2 * this.memoryBytes);
    this.#identify();
    this.requester = this.#makeRequester();
    this.becomeReady();
  }

  get registerView(): DataView {
    return viewOf(this.registers);
  }

  /** The card page, as the card reads it. */
  get page(): Uint8Array {
    return this.aperture.subarray(this.pageOffset, this.pageOffset + page.PAGE_SIZE);
  }

  get hostPage(): number {
    return le32.get(this.registerView, REGISTERS.host_page_low.at) +
      le32.get(this.registerView, REGISTERS.host_page_high.at) * 2 ** 32;
  }

  /** Bus address that the host gave BAR `index`. */
  bar(index: number): number {
    const view = viewOf(this.config);
    const low = le32.get(view, 0x10 + 4 * index);
    const high = (low & 6) === 4 ? le32.get(view, 0x14 + 4 * index) : 0;
    return ((low & (low & 1 ? ~3 : ~15)) >>> 0) + high * 2 ** 32;
  }

  /** Waits for a download: POST code 12 and the ready bit. */
  becomeReady(): void {
    const { loadAddress, memoryMib, platform } = this.#options;
    const view = this.registerView;
    le32.set(view, REGISTERS.download_info.at, loadAddress | 1);
    le32.set(view, REGISTERS.memory_mib.at, memoryMib);
    le32.set(view, REGISTERS.platform.at, PLATFORM[platform]);
    le32.set(view, REGISTERS.card_page_offset.at, this.pageOffset);
    le32.set(view, REGISTERS.card_page_size.at, page.PAGE_SIZE);
    this.post("12");
  }

  post(code: string): void {
    le32.set(this.registerView, REGISTERS.post_code.at, postCode(code));
    this.#root.message(MESSAGE.post_code, postCode(code), 0);
    this.#root.batchEnd();
  }

  /** Posted write to host memory. */
  write(address: number, bytes: Uint8Array): void {
    this.#root.memoryWrite(address, bytes);
  }

  write32(address: number, value: number): void {
    const bytes = new Uint8Array(4);
    le32.set(viewOf(bytes), 0, value);
    this.write(address, bytes);
  }

  /** MSI, and the end of the batch. */
  interrupt(vector: number): void {
    this.#root.message(MESSAGE.msi, vector, 0);
    this.#root.batchEnd();
  }

  /** Writes the host page header and interrupts. */
  report(state: CardState, reason: ShutdownReason = "nop", text = ""): void {
    const bytes = new TextEncoder().encode(text);
    const header = new Uint8Array(page.HOST_HEADER.size);
    page.HOST_HEADER.write(viewOf(header), {
      magic: page.PAGE_MAGIC,
      version: page.PAGE_VERSION,
      reserved: 0,
      card_state: CARD_STATE[state],
      shutdown_reason: SHUTDOWN_REASON[reason],
      heartbeat: 1,
      text_length: bytes.length,
      ...this.serial,
    });
    if (bytes.length > 0) this.write(this.hostPage + page.TEXT_OFFSET, bytes);
    this.write(this.hostPage, header);
    this.interrupt(0);
  }

  /** Lets everything posted so far arrive. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  }

  resume(): void {
    this.writable = true;
    for (const resume of this.#resume.splice(0)) resume();
  }

  /** Type 0 header, three BARs and an MSI capability, typed by hand. */
  #identify(): void {
    const view = viewOf(this.config);
    le16.set(view, 0x00, 0x8086);
    le16.set(view, 0x02, 0x225c);
    le16.set(view, 0x06, 0x0010);
    this.config.set([0x11, 0x00, 0x40, 0x0b], 0x08);
    this.config.set([0x0c, 0, 0, 0], 0x10);
    this.config.set([0x01, 0, 0, 0], 0x18);
    this.config.set([0x86, 0x80, 0x00, 0x25], 0x2c);
    this.config[0x34] = 0x50;
    this.config.set([0x05, 0x00, 0x8a, 0x01], 0x50);
  }

  #configMask(at: number): number {
    const size = this.aperture.length;
    switch (at & ~3) {
      case 0x04:
        return 0x0000_0547;
      case 0x10:
        return (~(size - 1) & ~15) >>> 0;
      case 0x14:
        return 0xffff_ffff;
      case 0x18:
        return 0xffff_ffc0;
      case 0x20:
        return (~(REGISTER_BLOCK_SIZE - 1)) >>> 0;
      case 0x50:
        return 0x0071_0000;
      case 0x54:
      case 0x58:
      case 0x5c:
      case 0x60:
        return 0xffff_ffff;
      default:
        return 0;
    }
  }

  #configWrite(at: number, width: Width, value: number): void {
    this.configWrites.push([at, value]);
    const mask = this.#configMask(at);
    for (let i = 0; i < width; i++) {
      const writable = (mask >>> (8 * ((at + i) & 3))) & 0xff;
      const byte = (value >>> (8 * i)) & 0xff;
      this.config[at + i] = (this.config[at + i]! & ~writable) | (byte & writable);
    }
  }

  #memoryWrite(address: number, bytes: Uint8Array): void {
    this.writes.push({ address, bytes });
    const aperture = this.bar(0);
    const registers = this.bar(4);
    if (address >= aperture && address + bytes.length <= aperture + this.aperture.length) {
      this.aperture.set(bytes, address - aperture);
      return;
    }
    if (address < registers || address + bytes.length > registers + REGISTER_BLOCK_SIZE) {
      throw new Error(`Cannot write ${bytes.length} bytes at 0x${address.toString(16)}: no BAR`);
    }
    const at = address - registers;
    const value = le32.get(viewOf(bytes), 0);
    this.registers.set(bytes, at);
    const doorbell = (at - REGISTERS.doorbell.at) / 4;
    if (doorbell >= 0 && doorbell < DOORBELL_COUNT) {
      this.doorbells.push([doorbell, value]);
      this.onDoorbell(doorbell, value);
    } else if (at === REGISTERS.reset.at) {
      le32.set(this.registerView, REGISTERS.download_info.at, 0);
      this.aperture.fill(0);
      this.onReset();
    } else if (at === REGISTERS.boot.at) {
      this.onBoot();
    }
  }

  #memoryRead(address: number, length: number): Uint8Array {
    const registers = this.bar(4);
    const aperture = this.bar(0);
    if (address >= registers && address + length <= registers + REGISTER_BLOCK_SIZE) {
      return this.registers.slice(address - registers, address - registers + length);
    }
    if (address < aperture || address + length > aperture + this.aperture.length) {
      throw new UnsupportedRequest(`Cannot read at 0x${address.toString(16)}: no BAR`);
    }
    return this.aperture.slice(address - aperture, address - aperture + length);
  }

  #enqueue(action: () => void): void {
    this.#queue.push(action);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      for (const next of this.#queue.splice(0)) next();
    });
  }

  #ask<T>(answer: () => T, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      this.#enqueue(() => {
        if (this.mute) return;
        try {
          resolve(answer());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #makeRequester(): Requester {
    const writable = () => this.writable;
    return {
      maxPayload: 65_536,
      postWrite: (address, bytes) => {
        const copy = bytes.slice();
        this.#enqueue(() => this.#memoryWrite(address, copy));
      },
      openWrite: (spans: readonly Span[]) => {
        const list = spans.map((span) => ({ ...span }));
        const bytes = new Uint8Array(list.reduce((sum, span) => sum + span.length, 0));
        this.#enqueue(() => {
          let at = 0;
          for (const { address, length } of list) {
            this.#memoryWrite(address, bytes.slice(at, at + length));
            at += length;
          }
        });
        return bytes;
      },
      message: () => {},
      memoryRead: (address, length, signal) =>
        this.#ask(() => this.#memoryRead(address, length), signal),
      configRead: (at, width, signal) =>
        this.#ask(() => {
          const view = viewOf(this.config);
          return width === 4
            ? le32.get(view, at)
            : width === 2
            ? le16.get(view, at)
            : view.getUint8(at);
        }, signal),
      configWrite: (at, width, value, signal) =>
        this.#ask(() => this.#configWrite(at, width, value), signal),
      ioRead: () => Promise.reject(new UnsupportedRequest("Cannot read I/O port: none here")),
      ioWrite: () => Promise.reject(new UnsupportedRequest("Cannot write I/O port: none here")),
      flush: () => {},
      get writable() {
        return writable();
      },
      onWritable: (resume) => {
        if (this.writable) queueMicrotask(resume);
        else this.#resume.push(resume);
      },
    };
  }
}
