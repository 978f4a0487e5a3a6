// What a boot's record keeps of its end: the card's sentence, and the kernel's log.
import { assertEquals } from "@std/assert";
import { BootRecorder } from "../../host/cards/boot_recorder.ts";
import type { CardEvent } from "../../host/driver/events.ts";

/** A recorder of a card that was told `events`. */
function recorded(...events: CardEvent[]): BootRecorder {
  const recorder = new BootRecorder({ os: () => "linux", deviceName: () => undefined });
  for (const event of events) recorder.happened({ type: "card", event });
  return recorder;
}

const state = (name: "booting" | "online" | "shutting_down" | "ready", crashed = false) =>
  ({ type: "state", state: name, reason: crashed ? "crashed" : "nop" }) as const;
const CRASH = { type: "ended", reason: "crashed", detail: "The card OS panicked" } as const;
const LOG = { type: "kernel_log", text: "Kernel panic\n" } as const;

Deno.test("BootRecorder keeps the card's sentence and the kernel's log of a crash", () => {
  const events = [state("booting"), state("online"), CRASH, state("shutting_down", true), LOG];
  const { last, crashCount } = recorded(...events);
  assertEquals([last!.reason, last!.detail, last!.kernelLog, last!.asked, crashCount], [
    ...["crashed", "The card OS panicked", "Kernel panic\n", false, 1],
  ]);
});

Deno.test("BootRecorder keeps an end that no host saw: the next host is told of it", () => {
  const recorder = recorded(state("booting"), state("online"));
  recorder.happened({ type: "connected", peer: "1.2.3.4", identity: "" });
  for (const event of [CRASH, LOG, state("ready", true)]) {
    recorder.happened({ type: "card", event });
  }
  const { last, crashCount } = recorder;
  assertEquals([last!.reason, last!.detail, last!.kernelLog, crashCount], [
    ...["crashed", "The card OS panicked", "Kernel panic\n", 1],
  ]);
});
