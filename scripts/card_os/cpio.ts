/**
 * The "newc" cpio format that the kernel unpacks as its initial file system (Linux, initramfs buffer format): device
 * nodes and ownership are only fields here, so no root is needed to write them.
 *
 * @module
 */
export type CpioEntry =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | {
    readonly kind: "file";
    readonly path: string;
    readonly bytes: Uint8Array;
    readonly mode: number;
  }
  | {
    readonly kind: "device";
    readonly path: string;
    readonly major: number;
    readonly minor: number;
  };

const TYPE = { folder: 0o040755, link: 0o120777, file: 0o100000, device: 0o020600 } as const;
const encoder = new TextEncoder();

/** The archive of `entries`, in order: a folder comes before what it holds. */
export function cpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  const add = (bytes: Uint8Array) => {
    const padding = (4 - bytes.length % 4) % 4;
    parts.push(bytes, new Uint8Array(padding));
    length += bytes.length + padding;
  };
  const member = (
    fields: { inode: number; mode: number; major: number; minor: number },
    path: string,
    data: Uint8Array,
  ) => {
    const name = encoder.encode(path + "\0");
    // Fields in order: inode mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check.
    const numbers = [fields.inode, fields.mode, 0, 0, 1, 0, data.length, 0, 0];
    numbers.push(fields.major, fields.minor, name.length, 0);
    const header = "070701" + numbers.map((n) => n.toString(16).padStart(8, "0")).join("");
    const head = new Uint8Array(header.length + name.length);
    head.set(encoder.encode(header));
    head.set(name, header.length);
    add(head);
    add(data);
  };
  entries.forEach((entry, index) => {
    const data = entry.kind === "file"
      ? entry.bytes
      : entry.kind === "link"
      ? encoder.encode(entry.target)
      : new Uint8Array();
    const mode = entry.kind === "file" ? TYPE.file | entry.mode : TYPE[entry.kind];
    const { major, minor } = entry.kind === "device" ? entry : { major: 0, minor: 0 };
    member({ inode: index + 1, mode, major, minor }, entry.path, data);
  });
  member({ inode: 0, mode: 0, major: 0, minor: 0 }, "TRAILER!!!", new Uint8Array());
  const archive = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    archive.set(part, at);
    at += part.length;
  }
  return archive;
}
