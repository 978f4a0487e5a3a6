/**
 * A machine: the CPU and memory of the card. It knows nothing of the link; the endpoint and the card driver stand
 * between the two.
 *
 * A machine lives for one boot: a card reset disposes it and makes a new one, which is how every trace of the old OS
 * goes. Memory of a new machine reads as zeros.
 *
 * @module
 */
import type { ShutdownReason } from "../../protocol/mod.ts";

/** The card's memory, offset 0 upward. */
export interface CardMemory {
  /** Bytes. */
  readonly size: number;
  /**
   * A view of all of it. Never keep it across an await or a call into the machine: an emulator's memory may move, and
   * a kept view then reads as empty. Cheap to ask for again.
   */
  bytes(): Uint8Array;
  view(): DataView;
  /** Must follow every write from outside the CPU, so that code compiled from those bytes is dropped. */
  written(start: number, end: number): void;
}

/** One PCI function as a machine's own PCI bus sees it: a configuration header, one I/O BAR, one INTx line. */
export interface PciFunction {
  readonly name: string;
  /** 256 bytes of PCI configuration space, type 0; BAR 0 is an I/O BAR whose address the machine assigns. */
  readonly pciConfig: Uint8Array;
  /** Bytes of BAR 0, a power of two. */
  readonly barSize: number;
  /** Bits of configuration space, a byte for each, that software may write besides those of the header. */
  readonly pciWritable?: Uint8Array;
  /** Software is about to read `width` bytes at `at` of `config`, the live configuration space. Must not throw. */
  configRead?(config: DataView, at: number, width: number): void;
  /** It wrote there. Must not throw. */
  configWrote?(config: DataView, at: number, width: number): void;
  read(offset: number, width: 1 | 2 | 4): number;
  write(offset: number, width: 1 | 2 | 4, value: number): void;
}

/** Level-triggered INTx of one function. The machine defers it to a safe point by itself where it must. */
export interface InterruptLine {
  set(asserted: boolean): void;
}

/** What was downloaded, verified, and where it lies in card memory (byte offsets). */
export interface BootImage {
  readonly kernel: { readonly address: number; readonly length: number };
  readonly initrd: { readonly address: number; readonly length: number } | undefined;
  readonly cmdline: string;
}

/** A boot that this machine refuses; `postCode` has two characters and `message` says what and why. */
export class BootRefused extends Error {
  override readonly name = "BootRefused";
  readonly postCode: string;
  constructor(postCode: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.postCode = postCode;
  }
}

/** What a machine reports; set once, before `boot`. */
export interface MachineEvents {
  /** The card OS stopped the CPU. Called once; the machine runs no further. */
  stopped(reason: ShutdownReason, detail: string): void;
  /** The card OS wrote its POST port (0x280, 16 bits as two characters, or one byte). */
  postCode(code: number): void;
  /** The card OS wrote a byte on its first serial port. Called from within the CPU: do little, never throw. */
  onSerial?(byte: number): void;
}

export interface Machine extends AsyncDisposable {
  readonly platform: "v86" | "diag";
  readonly memory: CardMemory;
  /** Where the host should put the kernel: 4 KiB aligned, with room behind it for any kernel this machine boots. */
  readonly loadAddress: number;
  /**
   * Whether the card OS was seen to take interrupts since this was asked last. Undefined on a machine whose OS shares
   * the life of the process.
   */
  alive?(): boolean;
  /** Sets the real-time clock: `time` is ms since 1970. Before `boot`, and whenever the host's clock is known anew. */
  setClock?(time: number): void;
  /** Plugs a function into the PCI bus. Only before `boot`. */
  plug(device: PciFunction): InterruptLine;
  /** Plugs a function where it can be pulled again; also while the OS runs. @throws {RangeError} if there is no place */
  plugHot(device: PciFunction): InterruptLine;
  /** Tells the OS that a function of `plugHot` leaves; it answers until `unplug`. */
  announceRemoval(device: PciFunction): void;
  /** A function of `plugHot` is gone. */
  unplug(device: PciFunction): void;
  /** Starts the downloaded OS. @throws {BootRefused} */
  boot(image: BootImage, events: MachineEvents): void;
  /** Asks the card OS to stop in good order (Ctrl-Alt-Del, power button); `stopped` follows if it obeys. */
  requestShutdown(): void;
}

export type MachineFactory = (options: { readonly memoryBytes: number }) => Promise<Machine>;
