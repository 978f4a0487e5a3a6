/**
 * Makes card memory ready for Linux: the kernel where it wants to run, the zero page (`struct boot_params`), the command
 * line, and the boot ROM that starts it all.
 *
 *     0x00090000  zero page, 4 KiB          0x000ffe00  boot ROM
 *     0x00091000  command line              0x00100000  and up: kernel, initrd, downloads
 *
 * The initrd stays where it was downloaded. The kernel's download may overlap what it loads; nothing else may overlap.
 *
 * - **Spec:** Linux Documentation/arch/x86/boot.rst and zero-page.rst.
 *
 * @module
 */
import { layout, le16, le32, u8, viewOf } from "../../../protocol/mod.ts";
import { type BootImage, BootRefused, type CardMemory } from "../types.ts";
import { bootRom, ROM_ADDRESS } from "./boot_rom.ts";
import { BOOT_FLAG, HEADER_MAGIC, isBzImage, LOADED_HIGH, parseBzImage, SETUP } from "./bzimage.ts";
import { isElf, parseElf, type Segment } from "./elf.ts";

const BOOT_PARAMS = 0x90000;
const BOOT_PARAMS_SIZE = 4096;
const CMDLINE = 0x91000;
/** COMMAND_LINE_SIZE of x86 is 2048 with the NUL. */
const CMDLINE_MAX = 2047;
/** End of conventional memory as a BIOS would leave it, less one page. */
const LOW_MEMORY_END = 0x9f000;
/** Below lie the boot parameters, the hole of the ISA bus, and the ROM. */
const ONE_MIB = 0x100000;

/** Zero page fields that are not in the setup header. */
const ZERO_PAGE = { alt_mem_k: 0x1e0, e820_entries: 0x1e8, e820_table: 0x2d0 } as const;
const E820_ENTRY = layout({
  address: le32,
  address_high: le32,
  size: le32,
  size_high: le32,
  type: le32,
});
const E820_RAM = 1;
const LOADER_UNDEFINED = 0xff;
/** What a kernel without a setup header of its own (ELF) is told: protocol 2.15. */
const PROTOCOL = 0x020f;

/** How one kind of kernel wants to be started. */
interface Plan {
  readonly entry: number;
  readonly segments: readonly Segment[];
  /** Bytes of physical memory that it takes before it reads the memory map. */
  readonly workArea: { readonly start: number; readonly end: number } | undefined;
  /** Setup header for the zero page. */
  readonly header: Uint8Array | undefined;
}

/**
 * Leaves memory such that a CPU reset starts the kernel of `image`.
 *
 * @param levelTriggered Bit n: ISA interrupt n is level-triggered.
 * @throws {BootRefused} if the kernel is not one this machine runs, or memory is too small; memory is then untouched
 */
export function prepareLinux(memory: CardMemory, image: BootImage, levelTriggered: number): void {
  const cmdline = new TextEncoder().encode(image.cmdline);
  if (cmdline.length > CMDLINE_MAX || cmdline.includes(0)) {
    throw new BootRefused(
      "CL",
      `Cannot boot: command line has ${cmdline.length} bytes, wanted at most ${CMDLINE_MAX} and no NUL`,
    );
  }
  for (const [name, part] of [["kernel", image.kernel], ["initrd", image.initrd]] as const) {
    if (part !== undefined) wantRoom(memory, `the ${name}`, part.address, part.length);
  }
  const { address, length } = image.kernel;
  const plan = planOf(memory.bytes().subarray(address, address + length));
  for (const segment of plan.segments) {
    wantRoom(memory, "what the kernel loads", segment.address, segment.memoryLength);
    wantApart(image, segment.address, segment.address + segment.memoryLength);
  }
  if (plan.workArea !== undefined) {
    const { start, end } = plan.workArea;
    wantRoom(memory, "what the kernel unpacks to", start, end - start);
    wantApart(image, start, end);
  }
  place(memory, image, plan.segments);
  put(memory, BOOT_PARAMS, bootParams(memory.size, image, plan.header));
  put(memory, CMDLINE, new Uint8Array([...cmdline, 0]));
  put(
    memory,
    ROM_ADDRESS,
    bootRom({ entry: plan.entry, bootParams: BOOT_PARAMS, levelTriggered }),
  );
}

function planOf(file: Uint8Array): Plan {
  if (isElf(file)) return { ...parseElf(file), workArea: undefined, header: undefined };
  if (!isBzImage(file)) {
    throw new BootRefused(
      "KF",
      "Cannot boot: found no kernel, wanted an ELF (vmlinux) or a bzImage",
    );
  }
  const { header, protectedStart, workArea } = parseBzImage(file);
  const length = file.length - protectedStart;
  return {
    entry: ONE_MIB,
    segments: [{
      offset: protectedStart,
      fileLength: length,
      address: ONE_MIB,
      memoryLength: length,
    }],
    workArea,
    header: file.slice(header.start, header.end),
  };
}

function wantRoom(memory: CardMemory, what: string, address: number, length: number): void {
  if (address < ONE_MIB) {
    throw new BootRefused(
      "KM",
      `Cannot boot: ${what} lies at 0x${address.toString(16)}, wanted nothing below 1 MiB`,
    );
  }
  if (address + length > memory.size) {
    throw new BootRefused(
      "KM",
      `Cannot boot: ${what} reaches to ${mib(address + length)} MiB, the card has ${
        mib(memory.size)
      } MiB of memory`,
    );
  }
}

const mib = (bytes: number): number => Math.ceil(bytes / 0x10_0000);

/** The kernel takes [start, end) long before it looks at its initrd. */
function wantApart({ initrd }: BootImage, start: number, end: number): void {
  if (initrd === undefined || initrd.length === 0) return;
  if (start < initrd.address + initrd.length && initrd.address < end) {
    throw new BootRefused(
      "KM",
      `Cannot boot: the kernel wants 0x${start.toString(16)} to 0x${
        end.toString(16)
      }, where the initrd lies`,
    );
  }
}

function place(memory: CardMemory, image: BootImage, segments: readonly Segment[]): void {
  const { address: start, length } = image.kernel;
  const download = (): Uint8Array => memory.bytes().subarray(start, start + length);
  // A segment may land on the download of the next one, so what it may hit is taken aside first.
  const hit = segments.some((s) =>
    s.address < start + length && start < s.address + s.memoryLength
  );
  const aside = hit ? download().slice() : undefined;
  for (const { offset, fileLength, address, memoryLength } of segments) {
    const file = aside ?? download();
    put(memory, address, file.subarray(offset, offset + fileLength));
    memory.bytes().fill(0, address + fileLength, address + memoryLength);
    memory.written(address + fileLength, address + memoryLength);
  }
}

function put(memory: CardMemory, address: number, bytes: Uint8Array): void {
  memory.bytes().set(bytes, address);
  memory.written(address, address + bytes.length);
}

/** The zero page: 4 KiB that tell the kernel of its memory, command line and initrd. */
export function bootParams(
  memoryBytes: number,
  image: BootImage,
  header: Uint8Array | undefined,
): Uint8Array {
  const page = new Uint8Array(BOOT_PARAMS_SIZE);
  const view = viewOf(page);
  if (header !== undefined) {
    page.set(header, SETUP.setup_sects);
  } else {
    le16.set(view, SETUP.boot_flag, BOOT_FLAG);
    le32.set(view, SETUP.header, HEADER_MAGIC);
    le16.set(view, SETUP.version, PROTOCOL);
  }
  u8.set(view, SETUP.type_of_loader, LOADER_UNDEFINED);
  u8.set(view, SETUP.loadflags, u8.get(view, SETUP.loadflags) | LOADED_HIGH);
  le32.set(view, SETUP.cmd_line_ptr, CMDLINE);
  le32.set(view, SETUP.ramdisk_image, image.initrd?.address ?? 0);
  le32.set(view, SETUP.ramdisk_size, image.initrd?.length ?? 0);

  le32.set(view, ZERO_PAGE.alt_mem_k, (memoryBytes - ONE_MIB) / 1024);
  const ram = [[0, LOW_MEMORY_END], [ONE_MIB, memoryBytes - ONE_MIB]] as const;
  u8.set(view, ZERO_PAGE.e820_entries, ram.length);
  for (const [i, [address, size]] of ram.entries()) {
    E820_ENTRY.write(
      view,
      { address, address_high: 0, size, size_high: 0, type: E820_RAM },
      ZERO_PAGE.e820_table + i * E820_ENTRY.size,
    );
  }
  return page;
}
