import { assertEquals } from "@std/assert";
import { echoReply } from "../../host/backends/_echo.ts";
import {
  arpReply,
  arpRequest,
  echoReplySequence,
  echoRequest,
  internetSum,
  MemoryNet,
} from "../support/memory_net.ts";
import { NetProbe } from "../support/net_probe.ts";

/** 10.0.0.1 (02:00:00:00:00:01) pings 10.0.0.2 (02:00:00:00:00:02): id 0x1234, sequence 1, four bytes. */
// deno-fmt-ignore
const REQUEST = [
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, // virtio-net header: to be zeroed
  2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, // Ethernet
  0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 1, 0x26, 0xdb, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
  8, 0, 0x1b, 0xf7, 0x12, 0x34, 0, 1, 0x61, 0x62, 0x68, 0x71, // ICMP
];
// deno-fmt-ignore
const REPLY = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00,
  0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 1, 0x26, 0xdb, 10, 0, 0, 2, 10, 0, 0, 1,
  0, 0, 0x23, 0xf7, 0x12, 0x34, 0, 1, 0x61, 0x62, 0x68, 0x71,
];

Deno.test("echoReply() turns a request round, byte by byte", () => {
  assertEquals(internetSum(Uint8Array.from(REQUEST), 26, 46), 0xffff, "the vector itself");
  assertEquals(internetSum(Uint8Array.from(REQUEST), 46, 58), 0xffff, "the vector itself");
  assertEquals([...echoReply(Uint8Array.from(REQUEST), [10, 0, 0, 2])!], REPLY);
});

Deno.test("echoReply() leaves alone what is not for it", () => {
  const cases: [string, (frame: Uint8Array) => void][] = [
    ["another address", (frame) => frame[45] = 3],
    ["not IPv4", (frame) => frame[25] = 6],
    ["version 6", (frame) => frame[26] = 0x65],
    ["a header shorter than any", (frame) => frame[26] = 0x44],
    ["a header longer than the frame", (frame) => frame[26] = 0x4f],
    ["more fragments", (frame) => frame[32] = 0x20],
    ["a later fragment", (frame) => frame[33] = 1],
    ["UDP", (frame) => frame[35] = 17],
    ["a reply", (frame) => frame[46] = 0],
    ["another code", (frame) => frame[47] = 1],
  ];
  for (const [what, change] of cases) {
    const frame = Uint8Array.from(REQUEST);
    change(frame);
    assertEquals(echoReply(frame, [10, 0, 0, 2]), undefined, what);
  }
  for (let length = 0; length < 54; length++) {
    assertEquals(echoReply(Uint8Array.from(REQUEST.slice(0, length)), [10, 0, 0, 2]), undefined);
  }
});

Deno.test("MemoryNet answers ARP and ping, and keeps what the card has no room for", async () => {
  await using net = new MemoryNet();
  const probe = new NetProbe(net);
  const card = { mac: [...net.mac], address: [172, 31, 1, 1] };
  net.send(arpRequest(card, net.peer.address));
  const reply = await probe.frame(() => true);
  assertEquals(reply, arpReply(arpRequest(card, net.peer.address), net.peer)!);
  probe.room = 0;
  net.send(echoRequest(card, net.peer, 3));
  await probe.refusal();
  probe.room = 1;
  net.resume();
  assertEquals(echoReplySequence(await probe.frame(() => true)), 3);
});
