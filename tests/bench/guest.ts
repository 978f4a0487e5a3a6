/**
 * What the Linux card runs in a benchmark, and what it says of it on the first serial port: both variants of a card run
 * it, and neither needs a console for it.
 *
 * It takes the place of the exec agent on a copy of the card image's root disk: the card's init starts it when everything
 * is up, and nothing before that differs from an ordinary boot.
 *
 * @module
 */
import { run } from "../../scripts/card_os/run.ts";
import { copyDisk } from "../../scripts/demo/disk.ts";

const MIB = 0x10_0000;
const AGENT = "/lib/knightsbridge/exec-agent";
/** Behind the file system, for the writes. */
const SCRATCH_BYTES = 256 * MIB;
/** The last command of the script: iperf3 listens. */
export const NET_READY = "bench: net";

/** `dd` in the card, and what it moves. */
export interface DiskPass {
  readonly name: string;
  /** Bytes of one request. */
  readonly size: number;
  /** Requests of each of `depth` processes. */
  readonly count: number;
  readonly depth: number;
  readonly write: boolean;
}

/** One `share`th of as many requests as tell something. */
export function diskPasses(share: 1 | 4 | 8): DiskPass[] {
  const large = { size: MIB, count: 128 / share, depth: 1 };
  const small = { size: 4096, count: 2000 / share, depth: 1 };
  const deep = { size: 4096, count: 256 / share, depth: 16 };
  return [
    { name: "read 1 MiB", ...large, write: false },
    { name: "write 1 MiB", ...large, write: true },
    { name: "read 4 KiB", ...small, write: false },
    { name: "write 4 KiB", ...small, write: true },
    { name: "read 4 KiB, 16 at once", ...deep, write: false },
    { name: "write 4 KiB, 16 at once", ...deep, write: true },
  ];
}

/** Copies the root disk of the card image to `path`, with the script on it: rounds of passes, then the network. */
export async function writeBenchDisk(
  original: string,
  path: string,
  rounds: readonly (readonly DiskPass[])[],
): Promise<void> {
  await copyDisk(original, path);
  const { size } = await Deno.stat(path);
  await Deno.truncate(path, size + SCRATCH_BYTES);
  const script = `${path}.sh`;
  await Deno.writeTextFile(script, agent(rounds.flat(), size), { mode: 0o755 });
  const commands = [`rm ${AGENT}`, `write ${script} ${AGENT}`, `sif ${AGENT} mode 0100755`];
  await run("debugfs", ["-w", "-f", "/dev/stdin", path], {
    stdin: new TextEncoder().encode(commands.join("\n") + "\n"),
  });
}

function agent(passes: readonly DiskPass[], writeAt: number): string {
  const commands = passes.flatMap(({ name, size, count, depth, write }) => {
    const dd = (place: number) =>
      write
        ? `dd if=/dev/zero of=/dev/vda bs=${size} count=${count} oflag=direct conv=notrunc ` +
          `seek=${writeAt / size + place} 2>/dev/null`
        : `dd if=/dev/vda of=/dev/null bs=${size} count=${count} iflag=direct skip=${place} ` +
          `2>/dev/null`;
    const together = Array.from({ length: depth }, (_, i) => `${dd(i * count)} &`);
    return [`echo "bench: begin ${name}"`, ...together, "wait", `echo "bench: end"`];
  });
  // Port 5201 is 0x1451.
  return `#!/bin/sh
export PATH=/bin
exec >/dev/ttyS0 2>&1
${commands.join("\n")}
iperf3 -s >/dev/null &
until grep -q :1451 /proc/net/tcp /proc/net/tcp6; do usleep 20000; done
echo "${NET_READY}"
wait
`;
}
