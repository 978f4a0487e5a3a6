/**
 * The real-time clock of the PC, set to what the host's clock shows: a kernel reads it when it boots, and `hwclock -s`
 * at any time. It counts UTC.
 *
 * @module
 */
import type { Cpu } from "./v86_types.ts";

/** `time` is ms since 1970. */
export function setRealTimeClock(cpu: Cpu, time: number): void {
  const { rtc } = cpu.devices;
  rtc.rtc_time = time;
  rtc.last_update = Date.now();
}
