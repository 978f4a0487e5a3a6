/**
 * fio for a Linux card: Debian's, with all libraries that it loads, on a read-only ext4 of its own that is made once
 * and kept in the cache. It needs nothing of the card's root disk.
 *
 * @module
 */
import { PrivateApt } from "../../scripts/card_os/apt.ts";
import { ext4Image } from "../../scripts/card_os/image.ts";
import { ARCHITECTURE, SUITE } from "../../scripts/card_os/packages.ts";
import { run } from "../../scripts/card_os/run.ts";
import { cacheFolder } from "../../scripts/cli/mod.ts";
import { made } from "../../scripts/demo/disk.ts";

/** fio is built with engines for stores of all kinds, and loads the library of each when it starts. */
const PACKAGES = [
  ...["fio", "libacl1", "libaio1", "libargon2-1", "libblkid1", "libboost-iostreams1.74.0"],
  ...["libboost-thread1.74.0", "libbz2-1.0", "libc6", "libcom-err2", "libcryptsetup12"],
  ...["libdevmapper1.02.1", "libffi8", "libfmt9", "libgcc-s1", "libgfapi0", "libgfrpc0"],
  ...["libgfxdr0", "libglusterfs0", "libgmp10", "libgnutls30", "libgssapi-krb5-2", "libhogweed6"],
  ...["libibverbs1", "libicu72", "libidn2-0", "libjson-c5", "libk5crypto3", "libkeyutils1"],
  ...["libkrb5-3", "libkrb5support0", "liblzma5", "libnbd0", "libnettle8", "libnl-3-200"],
  ...["libnl-route-3-200", "libnuma1", "libp11-kit0", "libpcre2-8-0", "librados2", "librbd1"],
  ...["librdmacm1", "libselinux1", "libssl3", "libstdc++6", "libtasn1-6", "libtirpc3", "libudev1"],
  ...["libunistring2", "libuuid1", "libxml2", "libzstd1", "zlib1g"],
];
const IMAGE_BYTES = 160 * 1024 * 1024;
/** Raise it when what comes out changes. */
const RECIPE = 1;

/** Path of the image, made if it is not there: 30 MB of packages. */
export async function fioDisk(): Promise<string> {
  const folder = `${cacheFolder()}/fio-disk`;
  await Deno.mkdir(folder, { recursive: true });
  return await made(`${folder}/fio-${RECIPE}.img`, build);
}

/** fio's command in the card, with the image mounted at `mount`. */
export const fioCommand = (mount: string): string =>
  `${mount}/lib/ld-linux.so.2 --library-path ${mount}/lib:${mount}/lib/ceph ${mount}/fio`;

async function build(image: string): Promise<void> {
  const work = await Deno.makeTempDir({ dir: cacheFolder(), prefix: "fio-" });
  try {
    const apt = new PrivateApt({
      state: `${work}/apt`,
      architecture: ARCHITECTURE,
      suite: SUITE,
      mirror: undefined,
    });
    await apt.update();
    const pins = await apt.available(PACKAGES.map((name) => ({ name, version: "" })));
    const found = pins.map((pin, index) => {
      if (pin === undefined) throw new Error(`Cannot find package ${PACKAGES[index]}`);
      return pin;
    });
    await apt.download(found, `${work}/debs`);
    for await (const { name } of Deno.readDir(`${work}/debs`)) {
      await run("dpkg-deb", ["-x", `${work}/debs/${name}`, `${work}/unpacked`]);
    }
    await Deno.mkdir(`${work}/tree/lib/ceph`, { recursive: true });
    await Deno.copyFile(`${work}/unpacked/usr/bin/fio`, `${work}/tree/fio`);
    for (const place of ["lib", "usr/lib"]) {
      const libraries = `${work}/unpacked/${place}/i386-linux-gnu`;
      await copyLibraries(libraries, `${work}/tree/lib`);
      await copyLibraries(`${libraries}/ceph`, `${work}/tree/lib/ceph`);
    }
    await ext4Image(image, `${work}/tree`, IMAGE_BYTES);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Shared libraries of `from`, none if there is no such folder; links stay what they are. */
async function copyLibraries(from: string, to: string): Promise<void> {
  try {
    for await (const { name, isSymlink, isFile } of Deno.readDir(from)) {
      if (!/\.so(\.|$)/.test(name)) continue;
      const path = `${from}/${name}`;
      if (isSymlink) {
        await Deno.symlink((await Deno.readLink(path)).split("/").at(-1)!, `${to}/${name}`);
      } else if (isFile) await Deno.copyFile(path, `${to}/${name}`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
