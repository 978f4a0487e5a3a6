/**
 * A card of the diagnostic OS whose devices change without end: disks come, grow, are swapped and go, its cable is pulled
 * and plugged in. What a cycle leaves behind is counted: open files, mapped regions, memory.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { runCard } from "../../card/card.ts";
import { DiagMachine } from "../../card/machine/diag/machine.ts";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { NetDevice } from "../../host/devices/net.ts";
import { Host } from "../../host/host.ts";
import { encodeDiagImage } from "../../protocol/mod.ts";
import { onHost } from "./lab.ts";
import { MemoryListener } from "./memory_listener.ts";
import { MemoryNet } from "./memory_net.ts";

const KIB = 1024;
/** Cycles before the first count: code is compiled, pools are filled. */
const WARM_UP = 5;

/** Files of others in this process may close under it, which `ls` takes for an error. */
const LIST_FILES = 'ls -l "/proc/$0/fd" 2>/dev/null || true';

/** What a process has; after a cycle the first two must be what they were. */
export interface HotUse {
  /** Of the images. */
  readonly openFiles: number;
  readonly mappedRegions: number;
  /** MiB, resident. */
  readonly memory: number;
}

/** Before and after `cycles`, with two image files in `folder`. */
export async function hotCycles(
  cycles: number,
  folder: string,
  say: (line: string) => void = () => {},
): Promise<{ readonly before: HotUse; readonly after: HotUse }> {
  await using stack = new AsyncDisposableStack();
  const root = stack.use(
    new BlockDevice({ backend: new MemoryBackend(new Uint8Array(64 * KIB)) }),
  );
  const net = stack.use(new NetDevice(new MemoryNet()));
  const listener = new MemoryListener();
  const images = { kernel: { name: "diag", bytes: encodeDiagImage() }, cmdline: "" };
  const cards = [{ name: "mic0", devices: [root, net], images }];
  const host = stack.use(new Host({ listener, cards }));
  const stop = new AbortController();
  const machines: DiagMachine[] = [];
  const running = runCard({
    dial: () => listener.dial(),
    machine: ({ memoryBytes }) => {
      machines.push(new DiagMachine({ memoryBytes }));
      return Promise.resolve(machines[0]!);
    },
    memoryBytes: 16 * KIB * KIB,
    identity: new Uint8Array(16).fill(1),
    signal: stop.signal,
  });
  stack.defer(async () => {
    stop.abort();
    await running;
  });
  const card = host.cards.get("mic0")!;
  await card.waitFor(["online"]);
  const { lent } = card;
  const report = (error: unknown) => {
    throw error;
  };
  const [one, two] = [`${folder}/one.img`, `${folder}/two.img`];
  const use = async (): Promise<HotUse> => ({
    openFiles: (await onHost("sh", "-c", LIST_FILES, `${Deno.pid}`)).split(folder).length - 1,
    mappedRegions: card.driver!.mappedRegions,
    memory: Math.round(Deno.memoryUsage().rss / KIB / KIB),
  });
  let before = await use();
  for (let cycle = 0; cycle < WARM_UP + cycles; cycle++) {
    if (cycle === WARM_UP) before = await use();
    const size = 64 * KIB;
    for (const path of [one, two]) await Deno.writeFile(path, new Uint8Array(size));
    assertEquals(await lent.addDisk(one, report), "disk1");
    await lent.resizeDisk("disk1", 2 * size);
    await Deno.truncate(two, 3 * size);
    await lent.swapDisk("disk1", two, report);
    // The root disk is swapped under its driver, which reads on.
    await lent.swapDisk("disk0", "mem:64K", report);
    await machines[0]!.os.disk.read(cycle % 128, 1);
    lent.setCarrier(false);
    lent.setCarrier(true);
    await lent.removeDisk("disk1");
    if (cycle % 50 === 49) say(`${cycle + 1} cycles, ${(await use()).memory} MiB`);
  }
  const after = await use();
  assertEquals(
    [after.openFiles, after.mappedRegions, lent.list.length],
    [before.openFiles, before.mappedRegions, 2],
  );
  return { before, after };
}
