/**
 * Builds the Linux card image: Debian packages in, kernel ELF, initial file system and ext4 root image out.
 *
 * Nothing needs root. The image is built beside its place and moved there whole, so two builders at once, or one that
 * is killed, never leave half an image.
 *
 * @module
 */
import { createHash } from "node:crypto";
import {
  cachedCardImage,
  cacheFolder,
  type CardImage,
  cardImageFolder,
  CommandError,
  EXIT,
  type ImageFile,
  type Manifest,
  megabytes,
  RECIPE,
  withProgress,
} from "../cli/mod.ts";
import { PrivateApt } from "./apt.ts";
import { cpio } from "./cpio.ts";
import { ext4Image } from "./image.ts";
import { modulesInOrder, unpackKernel } from "./kernel.ts";
import {
  ARCHITECTURE,
  BUSYBOX,
  KERNEL,
  KERNEL_META,
  MODULES,
  type Pin,
  SUITE,
  TOOLS,
} from "./packages.ts";
import { replaceFolder } from "./place.ts";
import { run } from "./run.ts";
import { initramfsTree, writeRootTree } from "./tree.ts";

const ROOT_BYTES = 1024 * 1024 * 1024;

/**
 * Kernel command line. The long part takes out what costs an emulated CPU seconds and a card has no use for: crypto
 * self tests, ISA plug and play, tracing, certificate lists.
 */
const CMDLINE = [
  "console=ttyS0",
  "root=/dev/vda",
  "tsc=reliable mitigations=off random.trust_cpu=on nowatchdog nosmp audit=0 apparmor=0 lsm=",
  "init_on_alloc=0 cryptomgr.notests noisapnp",
  "initcall_blacklist=tracer_init_tracefs,init_blk_tracer,load_system_certificate_list," +
  "blake2s_mod_init,digsig_init,init_ftrace_syscalls,slab_sysfs_init",
].join(" ");

export interface BuildOptions {
  readonly force?: boolean;
  readonly mirror?: string | undefined;
}

/** The card image, from the cache or built now. @throws {CommandError} with what is missing */
export async function cardImage(
  options: BuildOptions = {},
): Promise<CardImage & { readonly built: boolean }> {
  if (!options.force) {
    const image = await cachedCardImage();
    if (image) return { ...image, built: false };
  }
  const folder = cardImageFolder();
  await Deno.mkdir(cacheFolder(), { recursive: true });
  const work = await Deno.makeTempDir({ dir: cacheFolder(), prefix: "card-os-" });
  try {
    const manifest = await build(work, options);
    await replaceFolder(`${work}/image`, folder);
    return { folder, manifest, built: true };
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function build(work: string, options: BuildOptions): Promise<Manifest> {
  const image = `${work}/image`;
  await Deno.mkdir(image);
  const apt = new PrivateApt({
    state: `${work}/apt`,
    architecture: ARCHITECTURE,
    suite: SUITE,
    mirror: options.mirror,
  });
  await withProgress(`package lists of Debian ${SUITE}, ${ARCHITECTURE}`, () => apt.update());
  const pins = await choosePackages(apt);
  const debs = `${work}/debs`;
  await withProgress(
    `${pins.all.length} packages, kernel ${pins.kernel.version}`,
    () => apt.download(pins.all, debs),
    () => megabytes(folderSize(debs)),
  );
  const unpacked = `${work}/unpacked`;
  const sums = await withProgress("unpacking", () => unpack(debs, unpacked));
  const version = pins.kernel.name.replace(/^linux-image-|-unsigned$/g, "");
  const busybox = await Deno.readFile(`${unpacked}/bin/busybox`);
  await withProgress("kernel and initial file system", async () => {
    const kernel = await unpackKernel(await Deno.readFile(`${unpacked}/boot/vmlinuz-${version}`));
    await Deno.writeFile(`${image}/vmlinux`, kernel);
    const modules = await modulesInOrder(`${unpacked}/lib/modules/${version}`, MODULES);
    await Deno.writeFile(`${image}/initrd.img`, cpio(await initramfsTree(busybox, modules)));
  });
  await withProgress("root file system", async () => {
    await writeRootTree(`${work}/root`, unpacked, busybox);
    await ext4Image(`${image}/root.img`, `${work}/root`, ROOT_BYTES);
  });
  const files = await withProgress("checksums", async () => ({
    vmlinux: await describe(`${image}/vmlinux`),
    "initrd.img": await describe(`${image}/initrd.img`),
    "root.img": await describe(`${image}/root.img`),
  }));
  const manifest: Manifest = {
    recipe: RECIPE,
    kernel: version,
    cmdline: CMDLINE,
    packages: sums,
    files,
  };
  await Deno.writeTextFile(`${image}/manifest.json`, JSON.stringify(manifest, null, 2) + "\n");
  return manifest;
}

async function choosePackages(apt: PrivateApt): Promise<{ kernel: Pin; all: Pin[] }> {
  const wanted = [KERNEL, BUSYBOX, ...TOOLS];
  const found = await apt.available(wanted);
  found[0] ??= await newestKernel(apt);
  const all = wanted.map((pin, index) => {
    const taken = found[index];
    if (taken === undefined) {
      throw new CommandError(EXIT.resource, `Cannot find package ${pin.name} in the archive`);
    }
    if (taken.version !== pin.version) {
      console.error(
        `  ${pin.name} ${pin.version} is gone from the archive, taking ${taken.name} ${taken.version}`,
      );
    }
    return taken;
  });
  return { kernel: all[0]!, all };
}

async function newestKernel(apt: PrivateApt): Promise<Pin | undefined> {
  const name = await apt.dependency(KERNEL_META);
  if (name === undefined) return undefined;
  return (await apt.available([{ name: `${name}-unsigned`, version: "" }]))[0];
}

async function unpack(debs: string, into: string): Promise<Manifest["packages"]> {
  const sums: { name: string; version: string; sha256: string }[] = [];
  for await (const entry of Deno.readDir(debs)) {
    const path = `${debs}/${entry.name}`;
    const [name, version] = decodeURIComponent(entry.name).split("_");
    sums.push({ name: name!, version: version!, sha256: (await describe(path)).sha256 });
    await run("dpkg-deb", ["-x", path, into]);
  }
  return sums.sort((a, b) => a.name < b.name ? -1 : 1);
}

async function describe(path: string): Promise<ImageFile> {
  const hash = createHash("sha256");
  let length = 0;
  using file = await Deno.open(path);
  const buffer = new Uint8Array(1024 * 1024);
  for (let got; (got = await file.read(buffer)) !== null;) {
    hash.update(buffer.subarray(0, got));
    length += got;
  }
  return { length, sha256: hash.digest("hex") };
}

function folderSize(folder: string): number {
  try {
    let bytes = 0;
    for (const entry of Deno.readDirSync(folder)) {
      bytes += Deno.statSync(`${folder}/${entry.name}`).size;
    }
    return bytes;
  } catch {
    return 0; // apt is still renaming or has not begun
  }
}
