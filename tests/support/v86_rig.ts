/**
 * Machines that run kernels of a few bytes, and what they leave behind.
 *
 * @module
 */
import * as asm from "./tiny_kernel.ts";
import type { Machine, PciFunction } from "../../card/machine/types.ts";
import { postText, type ShutdownReason } from "../../protocol/mod.ts";

export const MIB = 0x10_0000;
/** Bytes of memory of a machine under test. */
export const memoryBytes = 16 * MIB;
/** Where tiny kernels leave their results. */
export const RESULT = 0x30_0000;

/** What became of a boot: the POST codes as text, and how it ended. */
export interface Run {
  readonly codes: string[];
  readonly stopped: Promise<{ reason: ShutdownReason; detail: string }>;
}

/** Puts `file` where a host would; what `boot` is given. */
export function download(machine: Machine, file: Uint8Array) {
  const address = machine.loadAddress;
  machine.memory.bytes().set(file, address);
  machine.memory.written(address, address + file.length);
  return { kernel: { address, length: file.length }, initrd: undefined, cmdline: "" };
}

/** Boots `file` and gathers what becomes of it. */
export function run(
  machine: Machine,
  file: Uint8Array,
  onPost: (text: string) => void = () => {},
): Run {
  const codes: string[] = [];
  const { promise, resolve } = Promise.withResolvers<{ reason: ShutdownReason; detail: string }>();
  machine.boot(download(machine, file), {
    stopped: (reason, detail) => resolve({ reason, detail }),
    postCode: (code) => {
      codes.push(postText(code));
      onPost(postText(code));
    },
  });
  return { codes, stopped: promise };
}

/** Result `index` that the kernel left. */
export const result = (machine: Machine, index: number): number =>
  machine.memory.view().getUint32(RESULT + 4 * index, true);

/** A function that records what happens to it, and reads as what it is told. */
export function recorder(barSize = 16) {
  const log: string[] = [];
  let answer = 0;
  const pciConfig = new Uint8Array(256);
  pciConfig.set([0xf4, 0x1a, 0x42, 0x10]);
  const device: PciFunction = {
    name: "recorder",
    pciConfig,
    barSize,
    read(offset, width) {
      log.push(`read${width} ${offset}`);
      return answer;
    },
    write: (offset, width, value) => void log.push(`write${width} ${offset} ${value.toString(16)}`),
  };
  return { device, log, answer: (value: number) => answer = value };
}

/** Remaps the interrupt controllers to vectors 0x20 and 0x28, and lets through what `mask` leaves. */
export const remapPics = (mask: number): number[] =>
  [
    [[0x20, 0x11], [0xa0, 0x11], [0x21, 0x20], [0xa1, 0x28], [0x21, 0x04], [0xa1, 0x02]],
    [[0x21, 0x01], [0xa1, 0x01], [0x21, mask & 0xff], [0xa1, mask >> 8]],
  ].flat().flatMap(([port, value]) => asm.out(port!, value!, 1));
