/**
 * The two file trees of the card: the initial file system (in memory) and the root file system (on the disk).
 *
 * @module
 */
import type { CpioEntry } from "./cpio.ts";
import type { Module } from "./kernel.ts";
import { TOOL_FILES } from "./packages.ts";
import { CommandError, EXIT } from "../cli/mod.ts";

/** Names of the applets in a busybox binary: its table of them is one run of zero-terminated words from "[" on. */
export function busyboxApplets(busybox: Uint8Array): string[] {
  const text = new TextDecoder("latin1").decode(busybox);
  const start = text.indexOf("\0[\0[[\0");
  const end = text.indexOf("\0\0", start + 1);
  if (start < 0 || end < 0) {
    throw new CommandError(EXIT.resource, "Cannot read the applet table of the busybox package");
  }
  return text.slice(start + 1, end).split("\0");
}

const files = (path: string): URL => new URL(`./files/${path}`, import.meta.url);

/** Entries of the initial file system: busybox, the modules in loading order, our init. */
export async function initramfsTree(
  busybox: Uint8Array,
  modules: readonly Module[],
): Promise<CpioEntry[]> {
  const folders = ["bin", "dev", "proc", "sys", "root", "modules"];
  const applets = [
    "sh",
    "cat",
    "echo",
    "insmod",
    "mount",
    "setsid",
    "switch_root",
    "usleep",
    "watchdog",
    "[",
  ];
  return [
    ...folders.map((path) => ({ kind: "folder", path }) as const),
    { kind: "device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "bin/busybox", bytes: busybox, mode: 0o755 },
    ...applets.map((name) => ({ kind: "link", path: `bin/${name}`, target: "busybox" }) as const),
    ...modules.map(({ bytes }, index) =>
      ({
        kind: "file",
        path: `modules/${String(index).padStart(2, "0")}.ko`,
        bytes,
        mode: 0o644,
      }) as const
    ),
    {
      kind: "file",
      path: "init",
      bytes: await Deno.readFile(files("initramfs/init")),
      mode: 0o755,
    },
  ];
}

/** Lays out the root file system in `root` from the unpacked packages in `packages`. */
export async function writeRootTree(
  root: string,
  packages: string,
  busybox: Uint8Array,
): Promise<void> {
  for (
    const path of [
      "bin",
      "dev",
      "etc",
      "lib/i386-linux-gnu",
      "mnt",
      "proc",
      "root",
      "run",
      "sys",
      "tmp",
      "usr/share/misc",
      "var",
    ]
  ) {
    await Deno.mkdir(`${root}/${path}`, { recursive: true });
  }
  for (
    const [link, target] of [["sbin", "bin"], ["usr/bin", "../bin"], ["usr/sbin", "../bin"], [
      "usr/lib",
      "../lib",
    ]]
  ) {
    await Deno.symlink(target!, `${root}/${link}`);
  }
  await Deno.symlink("/run/resolv.conf", `${root}/etc/resolv.conf`);
  await Deno.symlink("/proc/mounts", `${root}/etc/mtab`);

  await Deno.writeFile(`${root}/bin/busybox`, busybox, { mode: 0o755 });
  const own = new Set<string>();
  await copyTree(files("root/").pathname, root, own);
  for (const tool of TOOL_FILES) {
    const name = tool.replace(/^usr\/bin/, "bin");
    await Deno.copyFile(`${packages}/${tool}`, `${root}/${name}`);
    own.add(name);
  }
  for (const applet of busyboxApplets(busybox)) {
    if (!own.has(`bin/${applet}`) && applet !== "busybox") {
      await Deno.symlink("busybox", `${root}/bin/${applet}`);
    }
  }
  await copyLibraries(packages, root);
}

async function copyTree(
  from: string,
  root: string,
  copied: Set<string>,
  under = "",
): Promise<void> {
  for await (const entry of Deno.readDir(`${from}${under}`)) {
    const path = `${under}${entry.name}`;
    if (entry.isDirectory) {
      await Deno.mkdir(`${root}/${path}`, { recursive: true });
      await copyTree(from, root, copied, `${path}/`);
    } else {
      await Deno.copyFile(`${from}${path}`, `${root}/${path}`);
      const script = /^(bin|lib)\/|^etc\/(rc\.|udhcpc)/.test(path);
      await Deno.chmod(`${root}/${path}`, script ? 0o755 : 0o644);
      copied.add(path);
    }
  }
}

/** Shared libraries of the packages, wherever Debian put them, into the one library folder. */
async function copyLibraries(packages: string, root: string): Promise<void> {
  for (const folder of ["lib/i386-linux-gnu", "usr/lib/i386-linux-gnu"]) {
    for await (const entry of Deno.readDir(`${packages}/${folder}`)) {
      if (!/\.so(\.|$)/.test(entry.name)) continue;
      const from = `${packages}/${folder}/${entry.name}`;
      const to = `${root}/lib/i386-linux-gnu/${entry.name}`;
      if (entry.isSymlink) await Deno.symlink((await Deno.readLink(from)).split("/").at(-1)!, to);
      else if (entry.isFile) await Deno.copyFile(from, to);
    }
  }
  await Deno.symlink("i386-linux-gnu/ld-linux.so.2", `${root}/lib/ld-linux.so.2`);
}
