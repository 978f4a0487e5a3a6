/**
 * An initial file system that measures the disk and says so on the first serial port, instead of handing over to the
 * root file system: both variants of a Linux card run it, and neither needs a console for it.
 *
 * It is the card image's own archive with one more behind it: of two files with one name the kernel keeps the last.
 *
 * @module
 */
import { cpio } from "../../scripts/card_os/cpio.ts";

/** One `dd` in the card, and what it moves. */
export interface DiskPass {
  readonly name: string;
  /** Bytes of one request, and number of requests. */
  readonly size: number;
  readonly count: number;
  readonly write: boolean;
}

const MIB = 0x10_0000;
/** Where writes go: behind all that the passes read. */
const WRITE_AT = 512 * MIB;

export const DISK_PASSES: readonly DiskPass[] = [
  { name: "read 1 MiB", size: MIB, count: 128, write: false },
  { name: "write 1 MiB", size: MIB, count: 128, write: true },
  { name: "read 4 KiB", size: 4096, count: 2000, write: false },
  { name: "write 4 KiB", size: 4096, count: 2000, write: true },
];

/** Writes the archive to `path`; the card goes through `passes` `rounds` times, then waits. */
export async function writeBenchInitrd(
  original: string,
  path: string,
  passes: readonly DiskPass[],
  rounds: number,
): Promise<void> {
  const commands = passes.map(({ name, size, count, write }) => {
    const ends = write
      ? `if=/dev/zero of=/dev/vda oflag=direct conv=notrunc seek=${WRITE_AT / size}`
      : "if=/dev/vda of=/dev/null iflag=direct";
    return `echo "bench: begin ${name}"; dd ${ends} bs=${size} count=${count} 2>/dev/null; echo "bench: end"`;
  });
  const script = `#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in /modules/*.ko; do insmod "$module"; done
until [ -b /dev/vda ]; do usleep 20000; done
exec >/dev/ttyS0 2>&1
for round in $(seq ${rounds}); do
${commands.join("\n")}
done
echo "bench: over"
while :; do sleep 1000; done
`;
  const bytes = new TextEncoder().encode(script);
  const more = cpio([{ kind: "file", path: "init", bytes, mode: 0o755 }]);
  const base = await Deno.readFile(original);
  // The kernel looks for the next archive at a multiple of four.
  const start = Math.ceil(base.length / 4) * 4;
  const both = new Uint8Array(start + more.length);
  both.set(base);
  both.set(more, start);
  await Deno.writeFile(path, both);
}
