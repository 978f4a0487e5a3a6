/**
 * The kernel's ELF image out of Debian's `vmlinuz`, and its modules in loading order.
 *
 * A bzImage unpacks itself inside the card, which costs an emulated CPU three to four seconds a boot; unpacked once
 * here, the card boots the ELF directly.
 *
 * @module
 */
import { le32, u8, viewOf } from "../../protocol/mod.ts";
import { CommandError, EXIT } from "../cli/mod.ts";
import { run } from "./run.ts";

/** Fields of the x86 boot protocol header (Linux, arch/x86 boot protocol 2.08 and later). */
const SETUP_SECTORS = 0x1f1;
const HEADER_MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

/** Unpacks the ELF `vmlinux` of a bzImage. @throws {CommandError} if it is none, or not compressed by xz */
export async function unpackKernel(bzImage: Uint8Array): Promise<Uint8Array> {
  const view = viewOf(bzImage);
  const refuse = (found: string): never => {
    throw new CommandError(
      EXIT.resource,
      `Cannot unpack the kernel: found ${found}, wanted an x86 bzImage with an xz payload`,
    );
  };
  if (
    bzImage.length < 0x400 ||
    new TextDecoder().decode(bzImage.subarray(HEADER_MAGIC, HEADER_MAGIC + 4)) !== "HdrS"
  ) {
    refuse("no boot protocol header");
  }
  const start = (u8.get(view, SETUP_SECTORS) + 1) * 512 + le32.get(view, PAYLOAD_OFFSET);
  // The last four bytes of the payload are the unpacked length, not part of the stream.
  const end = start + le32.get(view, PAYLOAD_LENGTH) - 4;
  if (!(end > start && end + 4 <= bzImage.length)) refuse("a payload outside the file");
  const payload = bzImage.subarray(start, end);
  if (payload[0] !== 0xfd || payload[1] !== 0x37) refuse("another compression");
  const elf = await run("xz", ["-dc", "--single-stream"], { stdin: payload });
  if (elf.length !== le32.get(view, end)) {
    refuse(`${elf.length} bytes unpacked, not ${le32.get(view, end)}`);
  }
  return elf;
}

/** Names of the modules that the `.ko` file says it needs. */
export function moduleDependencies(module: Uint8Array): string[] {
  // `.modinfo` is a run of zero-terminated `key=value`; "depends" is there exactly once.
  const key = new TextEncoder().encode("\0depends=");
  let at = -1;
  search: for (let i = module.indexOf(0); i >= 0 && i < module.length - key.length;) {
    for (let k = 1; k < key.length; k++) {
      if (module[i + k] !== key[k]) {
        i = module.indexOf(0, i + 1);
        continue search;
      }
    }
    at = i + key.length;
    break;
  }
  if (at < 0) return [];
  const text = new TextDecoder().decode(module.subarray(at, module.indexOf(0, at)));
  return text.split(",").filter((name) => name !== "").map((name) => name.replaceAll("-", "_"));
}

/** A module file, ready to load after those before it. */
export interface Module {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** `wanted` and all they need, each after what it needs. `folder` is `lib/modules/VERSION` of the kernel package. */
export async function modulesInOrder(folder: string, wanted: readonly string[]): Promise<Module[]> {
  const paths = new Map<string, string>();
  const walk = async (path: string): Promise<void> => {
    for await (const entry of Deno.readDir(path)) {
      const full = `${path}/${entry.name}`;
      if (entry.isDirectory) await walk(full);
      else if (entry.name.endsWith(".ko")) {
        paths.set(entry.name.slice(0, -3).replaceAll("-", "_"), full);
      }
    }
  };
  await walk(folder);
  const builtin = await Deno.readTextFile(`${folder}/modules.builtin`).catch(() => "");
  const builtins = new Set(
    builtin.split("\n").map((row) =>
      row.split("/").at(-1)?.replace(/\.ko$/, "").replaceAll("-", "_")
    ),
  );
  const order: Module[] = [];
  const seen = new Set<string>();
  const visit = async (name: string): Promise<void> => {
    if (seen.has(name) || builtins.has(name)) return;
    seen.add(name);
    const path = paths.get(name);
    if (path === undefined) {
      throw new CommandError(
        EXIT.resource,
        `Cannot find kernel module "${name}" in the kernel package`,
      );
    }
    const bytes = await Deno.readFile(path);
    for (const needed of moduleDependencies(bytes)) await visit(needed);
    order.push({ name, bytes });
  };
  for (const name of wanted) await visit(name);
  return order;
}
