/**
 * What the card is to boot: the card image of the cache, files named on the command line, or the diagnostic OS.
 *
 * @module
 */
import { BackendError, encodeDiagImage } from "../../protocol/mod.ts";
import { BootImage, type BootImages } from "../driver/boot_image.ts";
import { HEAD_SIZE, identify } from "../driver/kernel_kind.ts";
import { BootError } from "../driver/boot_error.ts";
import { type CardAddress, cardParameters, fixedAddress } from "./addresses.ts";

export interface ImageChoices {
  /** Files; undefined takes the card image's. */
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  /** Whole kernel command line; undefined takes the card image's and adds name and network. */
  readonly cmdline: string | undefined;
  readonly name: string;
  readonly address: CardAddress | undefined;
}

/** A card image as it lies in a folder. */
export interface ImageFolder {
  readonly kernel: string;
  readonly initrd: string;
  readonly cmdline: string;
}

/**
 * Images of a Linux card.
 * @throws {BackendError} if a file cannot be read, or there is none
 * @throws {BootError} if the kernel is none: before any card has come
 */
export async function linuxImages(
  choices: ImageChoices,
  folder: ImageFolder | undefined,
): Promise<BootImages> {
  const kernel = choices.kernel ?? folder?.kernel;
  if (kernel === undefined) {
    throw new BackendError(
      "Cannot boot Linux: there is no card image in the cache; run `deno task card-os`, or name a --kernel",
    );
  }
  // The card image's initial file system has modules for its own kernel only.
  const initrd = choices.initrd ?? (choices.kernel === undefined ? folder?.initrd : undefined);
  for (const path of [kernel, initrd]) {
    if (path === undefined) continue;
    using image = await BootImage.open(path);
    if (path !== kernel) continue;
    const { kind, text } = identify(await image.head(HEAD_SIZE));
    if (kind === undefined) {
      throw new BootError(
        `Cannot boot '${kernel}': found ${text}, wanted a 32-bit x86 Linux kernel (ELF or bzImage)`,
      );
    }
  }
  const parameters = cardParameters(choices.name, choices.address);
  const cmdline = choices.cmdline ?? `${folder?.cmdline ?? "console=hvc0"} ${parameters}`;
  return { kernel, initrd, cmdline };
}

/** The diagnostic OS, which is part of every card; its image only says so. */
export function diagImages(choices: Omit<ImageChoices, "kernel" | "initrd">): BootImages {
  const { address } = choices;
  const fixed = address === undefined || address === "dhcp" ? address : fixedAddress(address);
  return {
    kernel: { name: "diagnostic OS", bytes: encodeDiagImage() },
    cmdline: choices.cmdline ?? (fixed === undefined ? "" : `ip=${fixed}`),
  };
}
