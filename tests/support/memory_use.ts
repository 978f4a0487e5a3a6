/**
 * How much memory a process has: what the kernel counts, asked through a child, since Deno lets nobody look into /proc
 * but with all permissions.
 *
 * @module
 */
import { onHost } from "./lab.ts";

const MIB = 1024;

/** MiB of resident memory. */
export interface MemoryUse {
  readonly now: number;
  /** The most since the process began, or since `forgetPeak`. */
  readonly peak: number;
}

export async function memoryUse(pid: number): Promise<MemoryUse> {
  const status = await onHost("cat", `/proc/${pid}/status`);
  const field = (name: string) =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / MIB);
  return { now: field("VmRSS"), peak: field("VmHWM") };
}

/** The peak is what it is now. */
export async function forgetPeak(pid: number): Promise<void> {
  await onHost("sh", "-c", `echo 5 > /proc/${pid}/clear_refs`);
}
