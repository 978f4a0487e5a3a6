/**
 * One card that is booted again and again, by its own OS from its console; host and card are processes, whose memory is
 * looked at meanwhile.
 *
 * @module
 */
import { emptyDisk, Lab, rootDisk } from "./lab.ts";
import { LabConsole } from "./lab_console.ts";
import { memoryUse } from "./memory_use.ts";

export interface ManyBootsOptions {
  readonly os: "linux" | "diag";
  readonly boots: number;
  /** Memory is looked at after so many boots, and each time that many more. */
  readonly every: number;
  readonly folder: string;
  /** Neither process lives longer than this, ms. */
  readonly limit?: number;
  say(line: string): void;
}

/** What the shell of each shows when it waits for a command; Linux's asks the terminal something behind it. */
const PROMPT = { linux: /:~# /, diag: /diag# $/ } as const;

/** Resident memory of both processes, MiB, after so many boots. */
export interface MemorySample {
  readonly boots: number;
  readonly host: number;
  readonly card: number;
}

/** Resolves with what the memory was, oldest first. */
export async function manyBoots(
  { os, boots, every, folder, say, ...options }: ManyBootsOptions,
): Promise<MemorySample[]> {
  const disk = os === "linux" ? (await rootDisk(folder)).path : await emptyDisk(folder, 1);
  const socket = `${folder}/console`;
  const host = ["--disk", disk, "--net", "none", "--console", `unix:${socket}`];
  await using lab = await Lab.start({ os, host, ...options });
  await lab.online();
  await using console = LabConsole.socket(await Deno.connect({ transport: "unix", path: socket }));
  const samples: MemorySample[] = [];
  for (let count = 1; count <= boots; count++) {
    await console.shows(PROMPT[os]);
    const { length } = lab.host.events;
    console.text = "";
    await console.type("reboot\r");
    await lab.online(length);
    // Nobody asks for them again.
    lab.host.events.splice(0, length);
    if (count % every !== 0) continue;
    const [hostUse, cardUse] = await Promise.all([
      memoryUse(lab.host.pid),
      memoryUse(lab.card.pid),
    ]);
    const sample = { boots: count, host: hostUse.now, card: cardUse.now };
    samples.push(sample);
    say(`${os}, ${count} boots: host ${sample.host} MiB, card ${sample.card} MiB`);
  }
  return samples;
}

/**
 * MiB by which the median of the second half exceeds that of the first: what does not come back. One collection that came
 * at the right moment, or did not, says nothing. The first sample does not count: until then the runtime warms up.
 */
export function growth([, ...samples]: readonly MemorySample[], of: "host" | "card"): number {
  const half = Math.floor(samples.length / 2);
  const median = (part: readonly MemorySample[]) => {
    const sorted = part.map((sample) => sample[of]).toSorted((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  };
  return median(samples.slice(half)) - median(samples.slice(0, half));
}
