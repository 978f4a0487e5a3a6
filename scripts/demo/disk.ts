/**
 * The demo's own disks, kept from run to run: a copy of the card image's root disk, and an empty disk for the
 * diagnostic OS.
 *
 * @module
 */
import { run } from "../card_os/run.ts";
import { cachedCardImage, cacheFolder } from "../cli/mod.ts";

const DIAG_DISK_BYTES = 64 * 1024 * 1024;

/** Path of the disk, made if it is not there. A card image that was built anew brings a new root disk. */
export async function demoDisk(os: "linux" | "diag"): Promise<string> {
  const folder = `${cacheFolder()}/demo`;
  await Deno.mkdir(folder, { recursive: true });
  if (os === "diag") return await made(`${folder}/diag.img`, (path) => emptyDisk(path));
  const image = (await cachedCardImage())!;
  const version = image.manifest.files["root.img"].sha256.slice(0, 12);
  return await made(
    `${folder}/root-${version}.img`,
    (path) => copyDisk(`${image.folder}/root.img`, path),
  );
}

/** Copies a disk image; holes stay holes. */
export async function copyDisk(from: string, to: string): Promise<void> {
  await run("cp", ["--sparse=always", "--reflink=auto", from, to]);
}

async function emptyDisk(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  await file.truncate(DIAG_DISK_BYTES);
}

/**
 * `path`, made by `make` beside its place and put there whole, unless it is there by then: another demo may have made
 * it meanwhile, and be using it. Nothing half-made stays.
 */
export async function made(
  path: string,
  make: (path: string) => Promise<void>,
): Promise<string> {
  if (await exists(path)) return path;
  const part = `${path}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    await make(part);
    // A link, unlike a rename, takes nobody's place.
    await Deno.link(part, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  } finally {
    await Deno.remove(part).catch(() => {});
  }
  return path;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
