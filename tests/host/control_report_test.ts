import { assertEquals } from "@std/assert";
import { type Happening, jsonOf, lineOf } from "../../host/control/report.ts";
import type { CardEvent } from "../../host/driver/events.ts";
import type { CardInfo } from "../../host/driver/card_info.ts";
import { LinkError } from "../../protocol/mod.ts";

const INFO: CardInfo = {
  vendorId: 0x8086,
  deviceId: 0x225c,
  subsystemVendorId: 0x8086,
  subsystemId: 0x2500,
  revision: 0x11,
  stepping: "B1",
  classCode: 0x0b4000,
  bars: [],
  capabilities: [],
  vectors: 32,
  platform: "diag",
  memoryMib: 128,
};
const error = new LinkError("it broke");

const CARD_LINES: readonly (readonly [CardEvent, string | undefined])[] = [
  [{ type: "found", info: INFO }, "found card 8086:225c stepping B1, 128 MiB, diag"],
  [{ type: "state", state: "online", reason: "nop" }, "state online"],
  [{ type: "state", state: "ready", reason: "crashed" }, "state ready (crashed)"],
  [{ type: "post_code", code: 0x3132, text: "12", time: 0 }, "POST 12"],
  [{ type: "progress", part: "kernel", done: 1, total: 2 }, undefined],
  [
    { type: "progress", part: "initrd", done: 2_500_000, total: 2_500_000 },
    "initrd downloaded, 2.5 MB",
  ],
  [{ type: "device_started", slot: 0, device: "block a" }, "driver ready: block a"],
  [
    { type: "fault", slot: 0, device: "block a", fault: "chain-loop", error },
    "block a needs a reset (chain-loop): it broke",
  ],
  [{ type: "suppressed", what: "faults of block a", count: 12 }, "and 12 more faults of block a"],
];

const LINES: readonly (readonly [Happening, string | undefined])[] = [
  [{ type: "connected", peer: "127.0.0.1:5", identity: "00" }, "card at 127.0.0.1:5"],
  [{ type: "link", status: { type: "up", resumed: false, peer: "p" } }, undefined],
  [
    { type: "link", status: { type: "up", resumed: true, peer: "p" } },
    "connection back from p, nothing lost",
  ],
  [
    { type: "link", status: { type: "lost", error } },
    "connection lost: it broke; the card OS waits",
  ],
  [
    {
      type: "link",
      status: { type: "goodbye", direction: "sent", reason: "shutdown", text: "" },
    },
    "goodbye sent: shutdown",
  ],
  [
    {
      type: "link",
      status: { type: "goodbye", direction: "received", reason: "busy", text: "later" },
    },
    "goodbye received: busy, later",
  ],
  [{ type: "link", status: { type: "closed" } }, undefined],
  [{ type: "stopped", reason: "poweroff" }, "card OS stopped: poweroff"],
  [{ type: "failed", error }, "it broke"],
  [
    { type: "refused", peer: "p", reason: "version", text: "too new" },
    "refused p: version, too new",
  ],
  [{ type: "accept_failed", error }, "cannot accept connections: it broke"],
  [{ type: "not_kept", error }, "it broke"],
];

Deno.test("lineOf() tells people of each event what they need to know", () => {
  for (const [event, line] of LINES) assertEquals(lineOf(event), line);
  for (const [event, line] of CARD_LINES) assertEquals(lineOf({ type: "card", event }), line);
});

Deno.test("jsonOf() is one line with a time, and errors as their text", () => {
  for (const [event] of LINES) {
    const line = jsonOf(event);
    assertEquals(line.includes("\n"), false);
    assertEquals(JSON.parse(line).type, event.type);
  }
  const { time, ...rest } = JSON.parse(jsonOf({ type: "failed", error }));
  assertEquals(rest, { type: "failed", error: "it broke" });
  assertEquals(Math.abs(time - Date.now()) < 60_000, true);
});
