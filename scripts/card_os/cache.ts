/**
 * Where built things are kept, and what is in the card image.
 *
 * @module
 */
import { CommandError, EXIT } from "../cli/mod.ts";

/** The user's cache folder for knightsbridge: `$XDG_CACHE_HOME/knightsbridge` or `~/.cache/knightsbridge`. */
export function cacheFolder(): string {
  const base = Deno.env.get("XDG_CACHE_HOME") ??
    (Deno.env.get("HOME") ? `${Deno.env.get("HOME")}/.cache` : undefined);
  if (base === undefined) {
    throw new CommandError(EXIT.resource, "Cannot find a cache folder: set HOME or XDG_CACHE_HOME");
  }
  return `${base}/knightsbridge`;
}

/** A file of the image, by name in its folder. */
export interface ImageFile {
  readonly length: number;
  readonly sha256: string;
}

/** What `manifest.json` beside the image says. */
export interface Manifest {
  /** Changes with this builder: an image of another recipe is built anew. */
  readonly recipe: number;
  readonly kernel: string;
  readonly cmdline: string;
  readonly packages: readonly {
    readonly name: string;
    readonly version: string;
    readonly sha256: string;
  }[];
  readonly files: Readonly<Record<"vmlinux" | "initrd.img" | "root.img", ImageFile>>;
}

/** Reads a manifest; undefined when there is none that this builder wrote. */
export async function readManifest(folder: string, recipe: number): Promise<Manifest | undefined> {
  try {
    const manifest = JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`)) as Manifest;
    return manifest.recipe === recipe ? manifest : undefined;
  } catch {
    return undefined;
  }
}
