/**
 * BAR 4 of the card: the rows of REGISTERS joined with what they do, the doorbells, and the MSI-X structures.
 *
 * One instance lives from one fundamental reset to the next: a card reset by the reset register keeps what the host
 * has set up here (interrupts, address of the host page), as it keeps configuration space.
 *
 * - **Invariant:** every access is 32 bits and aligned; the caller has checked that.
 *
 * @module
 */
import {
  ADOPT_SIGNAL,
  BOOT_SIGNAL,
  DOORBELL,
  DOWNLOAD_INFO,
  MESSAGE,
  page,
  REGISTERS,
  type Requester,
} from "../../protocol/mod.ts";
import { MSIX_PENDING_OFFSET, MSIX_PENDING_SIZE, MSIX_TABLE_OFFSET } from "./function.ts";
import { type Interrupts, MSIX_TABLE_SIZE } from "./interrupts.ts";
import { type Handlers, RegisterBlock } from "./register_block.ts";

const MIB = 1 << 20;
const DWORD = 0x1_0000_0000;
/** Bus addresses end here. */
const ADDRESS_END = 2 ** 52;
const { doorbell: DOORBELLS, ...WORDS } = REGISTERS;
/** Doorbells lie from here to (not including) DOORBELL_END, 4 bytes each. */
const DOORBELL_START = DOORBELLS.at;
const DOORBELL_END = DOORBELLS.at + 4 * DOORBELL.count;

/** What the host asks for by writing registers. Called while frames are applied: must not throw. */
export interface RegisterEvents {
  /** Doorbell `number` was rung with `value`. */
  doorbell(number: number, value: number): void;
  /** The boot register got BOOT_SIGNAL. */
  boot(): void;
  /** The boot register got ADOPT_SIGNAL. */
  adopt(): void;
  /** Bit 0 of the reset register was written. */
  reset(): void;
}

export interface CardRegistersOptions {
  readonly memoryBytes: number;
  /** Offset of the card page in BAR 0. */
  readonly cardPageOffset: number;
  /** Offset of the kernel log in BAR 0. */
  readonly logOffset: number;
  /** Takes a copy of the kernel log, which is there from now on; its bytes. */
  copyLog(): number;
  readonly interrupts: Interrupts;
  readonly requester: Pick<Requester, "message" | "writable" | "onWritable">;
  readonly events: RegisterEvents;
}

export class CardRegisters {
  /** What the reset register reads as. */
  resetting = false;
  /** PLATFORM number of the machine, 0 while there is none. */
  platform = 0;
  /** I/O BAR's index port: the offset that its data port stands for. */
  index = 0;
  readonly #options: CardRegistersOptions;
  readonly #words: RegisterBlock<typeof WORDS>;
  #downloadInfo = 0;
  #postCode = 0;
  #postCodeHeld = false;
  #hostPageLow = 0;
  #hostPageHigh = 0;

  constructor(options: CardRegistersOptions) {
    this.#options = options;
    this.#words = new RegisterBlock(WORDS, this.#handlers());
  }

  #handlers(): Handlers<typeof WORDS> {
    const { memoryBytes, cardPageOffset, logOffset, interrupts, events } = this.#options;
    return {
      post_code: { read: () => this.#postCode },
      reset: {
        read: () => Number(this.resetting),
        write(value) {
          if (value & 1) events.reset();
        },
      },
      interrupt_cause: {
        read: () => interrupts.cause,
        write: (sources) => interrupts.acknowledge(sources),
      },
      interrupt_enable: {
        read: () => interrupts.enabled,
        write: (sources) => interrupts.enable(sources),
      },
      interrupt_disable: { write: (sources) => interrupts.disable(sources) },
      boot: {
        write(value) {
          if (value === BOOT_SIGNAL) events.boot();
          else if (value === ADOPT_SIGNAL) events.adopt();
        },
      },
      download_info: { read: () => this.#downloadInfo },
      memory_mib: { read: () => memoryBytes / MIB },
      platform: { read: () => this.platform },
      card_page_offset: { read: () => cardPageOffset },
      card_page_size: { read: () => page.PAGE_SIZE },
      log_offset: { read: () => logOffset },
      log_length: { read: () => this.#options.copyLog() },
      host_page_low: {
        read: () => this.#hostPageLow,
        write: (value) => this.#hostPageLow = value,
      },
      host_page_high: {
        read: () => this.#hostPageHigh,
        write: (value) => this.#hostPageHigh = value,
      },
    };
  }

  /** Bus address of the host page as the host wrote it, 0 if it has not; undefined if no page can lie there. */
  get hostPage(): number | undefined {
    const address = this.#hostPageHigh * DWORD + this.#hostPageLow;
    return address + page.PAGE_SIZE <= ADDRESS_END ? address : undefined;
  }

  get postCode(): number {
    return this.#postCode;
  }

  /**
   * Two characters, low byte first. The host is told of each change, or of the latest one only while the link takes no
   * more: a card OS that counts through codes must not fill memory.
   */
  set postCode(code: number) {
    if (code === this.#postCode) return;
    this.#postCode = code;
    const { requester } = this.#options;
    if (requester.writable) {
      requester.message(MESSAGE.post_code, code);
    } else if (!this.#postCodeHeld) {
      this.#postCodeHeld = true;
      requester.onWritable(() => {
        this.#postCodeHeld = false;
        requester.message(MESSAGE.post_code, this.#postCode);
      });
    }
  }

  /** Ready for download to `loadAddress` (a multiple of 4096 below 4 GiB), or not ready at all. */
  setDownload(loadAddress: number | undefined): void {
    this.#downloadInfo = loadAddress === undefined ? 0 : (loadAddress | DOWNLOAD_INFO.ready) >>> 0;
  }

  /** Not ready for download: what runs waits for a host that adopts it. `setDownload` ends that. */
  setAdoptable(): void {
    this.#downloadInfo = DOWNLOAD_INFO.adoptable;
  }

  /** @throws {UnsupportedRequest} if nothing is at `offset` */
  read(offset: number): number {
    if (offset >= DOORBELL_START && offset < DOORBELL_END) return 0;
    const { interrupts } = this.#options;
    const inTable = offset - MSIX_TABLE_OFFSET;
    if (inTable >= 0 && inTable < MSIX_TABLE_SIZE) return interrupts.readTable(inTable);
    const inPending = offset - MSIX_PENDING_OFFSET;
    if (inPending >= 0 && inPending < MSIX_PENDING_SIZE) {
      return inPending === 0 ? interrupts.msixPending : 0;
    }
    return this.#words.read(offset);
  }

  /** @throws {UnsupportedRequest} if nothing is at `offset`, or it is read-only */
  write(offset: number, value: number): void {
    if (offset >= DOORBELL_START && offset < DOORBELL_END) {
      this.#options.events.doorbell((offset - DOORBELL_START) >> 2, value);
      return;
    }
    const inTable = offset - MSIX_TABLE_OFFSET;
    if (inTable >= 0 && inTable < MSIX_TABLE_SIZE) {
      this.#options.interrupts.writeTable(inTable, value);
      return;
    }
    this.#words.write(offset, value);
  }
}
