import { assertEquals } from "@std/assert";
import type { PairEvent } from "../../scripts/demo/pair.ts";
import { Timeline, type TimelineOptions } from "../../scripts/demo/timeline.ts";

const card = (event: Record<string, unknown>): PairEvent => ({ end: "host", type: "card", event });
const state = (name: string) => card({ type: "state", state: name });

/** What a timeline says of `events`, times left out. */
function told(events: readonly PairEvent[], options: Partial<TimelineOptions> = {}): string[] {
  const lines: string[] = [];
  const say = (line: string) => lines.push(line.replace(/^ *[\d.]+ s? */, "").trimEnd());
  const timeline = new Timeline({ quiet: false, verbose: false, say, ...options });
  for (const event of events) timeline.add(event);
  return lines;
}

const BOOT: readonly PairEvent[] = [
  { end: "host", type: "listening", port: 1 },
  card({ type: "found" }),
  state("booting"),
  card({ type: "post_code", text: "13" }),
  card({ type: "post_code", text: "FF" }),
  card({ type: "device_started", device: "block a" }),
  state("online"),
  card({ type: "post_code", text: "FF" }),
];

Deno.test("Timeline tells the steps of a boot, each once", () => {
  assertEquals(told(BOOT), [
    "host is listening",
    "card found, waiting for its OS",
    "downloading the card OS",
    "bootstrap done, the kernel starts",
    "driver ready: block a",
    "the card OS is up",
  ]);
});

Deno.test("Timeline tells the steps of the next boot again", () => {
  const steps = ["downloading the card OS", "the card OS is up"];
  const boot = [state("booting"), state("online")];
  assertEquals(told([...boot, ...boot]), [...steps, ...steps]);
});

Deno.test("Timeline tells problems even when it is quiet", () => {
  const problems: PairEvent[] = [
    { end: "host", type: "failed", error: "no kernel" },
    { end: "host", type: "backend", error: "no space" },
    { end: "host", type: "refused", text: "too new" },
    { end: "host", type: "stopped", reason: "crashed" },
    card({ type: "fault", error: "a loop" }),
  ];
  assertEquals(told([...BOOT, ...problems], { quiet: true }), [
    "host: no kernel",
    "host: no space",
    "host: too new",
    "host: the card OS crashed",
    "device fault: a loop",
  ]);
});

Deno.test("Timeline shows every event of both ends when asked to", () => {
  assertEquals(told([{ end: "card", type: "x", a: 1 }], { verbose: true }), [
    'card: {"type":"x","a":1}',
  ]);
});

Deno.test("Timeline.summary() lists the steps, and how it ended", () => {
  const lines: string[] = [];
  const timeline = new Timeline({ quiet: true, verbose: false, say: (line) => lines.push(line) });
  timeline.add(state("online"));
  timeline.summary(0);
  timeline.summary(3);
  assertEquals(lines.map((line) => line.replace(/\d+\.\d\d/, "T").trim()), [
    "Summary, seconds from the start:",
    "T  the card OS is up",
    "all went well",
    "Summary, seconds from the start:",
    "T  the card OS is up",
    "the tour ended with status 3",
  ]);
});
