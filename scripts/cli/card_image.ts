/**
 * Where built things are kept, and what is in the card image.
 *
 * @module
 */
import { CommandError, EXIT } from "./errors.ts";

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

/** Raise it when anything under `scripts/card_os` changes what comes out. */
export const RECIPE = 7;

/** A built card image. */
export interface CardImage {
  readonly folder: string;
  readonly manifest: Manifest;
}

/** Where the card image is kept: checkouts with different recipes do not build over each other's. */
export const cardImageFolder = (): string => `${cacheFolder()}/card-os-${RECIPE}`;

/** The card image in the cache; undefined when there is none of today's recipe. */
export async function cachedCardImage(): Promise<CardImage | undefined> {
  const folder = cardImageFolder();
  try {
    const manifest = JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`)) as Manifest;
    return manifest.recipe === RECIPE ? { folder, manifest } : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
