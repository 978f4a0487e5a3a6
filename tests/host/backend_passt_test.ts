import { assert, assertEquals, assertRejects } from "@std/assert";
import { ipv4Bytes } from "../../host/backends/_interface.ts";
import { PasstBackend } from "../../host/backends/passt.ts";
import { BackendError } from "../../protocol/mod.ts";
import { arpRequest, echoReplySequence, echoRequest, synFrame } from "../support/memory_net.ts";
import { missing } from "../support/needs.ts";
import { NetProbe } from "../support/net_probe.ts";

const ffi = await missing("ffi");
const ignore = ffi || await missing({ program: "passt" });

const MAC = Uint8Array.of(0x02, 0x4b, 0x42, 0, 0, 2);
const isArpReply = (frame: Uint8Array) => frame[24] === 8 && frame[25] === 6 && frame[33] === 2;

/** The card, and the gateway with the address that ARP finds. */
async function neighbours(passt: PasstBackend, probe: NetProbe) {
  const card = { mac: [...MAC], address: ipv4Bytes(passt.network.address!) };
  const gateway = ipv4Bytes(passt.network.gateway!);
  assert(passt.send(arpRequest(card, gateway)));
  const reply = await probe.frame(isArpReply);
  return { card, gateway: { mac: [...reply.subarray(18, 24)], address: gateway } };
}

Deno.test({ name: "PasstBackend answers ARP, and ping of the gateway", ignore }, async () => {
  await using passt = await PasstBackend.open({ mac: MAC });
  assertEquals(passt.mtu, 65520);
  const probe = new NetProbe(passt);
  await probe.linkIs(true);
  const { card, gateway } = await neighbours(passt, probe);
  assert(passt.send(echoRequest(card, gateway, 5)));
  await probe.frame((frame) => echoReplySequence(frame) === 5);
});

Deno.test(
  { name: "PasstBackend delivers a connection to the host's loopback", ignore },
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await using passt = await PasstBackend.open({ mac: MAC });
    const probe = new NetProbe(passt);
    const { card, gateway } = await neighbours(passt, probe);
    const accepted = listener.accept();
    assert(passt.send(synFrame(card, gateway, listener.addr.port)));
    (await accepted).close();
    const reply = await probe.frame((frame) => frame[24] === 8 && frame[35] === 6);
    assertEquals(reply[59]! & 0x12, 0x12, "SYN and ACK");
  },
);

Deno.test({
  name: "PasstBackend keeps a frame the card has no room for, until resume()",
  ignore,
}, async () => {
  await using passt = await PasstBackend.open({ mac: MAC });
  const probe = new NetProbe(passt);
  const { card, gateway } = await neighbours(passt, probe);
  probe.room = 0;
  passt.send(arpRequest(card, gateway.address));
  await probe.refusal();
  probe.room = Infinity;
  passt.resume();
  assertEquals(await probe.frame(isArpReply), probe.refused.at(-1)!);
});

Deno.test({
  name: "PasstBackend.send() is false while passt reads nothing, then writable comes",
  ignore,
}, async () => {
  await using passt = await PasstBackend.open({ mac: MAC });
  const probe = new NetProbe(passt);
  await probe.linkIs(true);
  const card = { mac: [...MAC], address: ipv4Bytes(passt.network.address!) };
  const gateway = ipv4Bytes(passt.network.gateway!);
  const frame = new Uint8Array(12 + 60_000).fill(0xff, 12);
  let sent = 0;
  while (passt.send(frame) && sent < 10_000) sent++;
  assert(sent < 10_000, "never full");
  await probe.until(() => probe.writables > 0);
  assert(passt.send(frame));
  while (!passt.send(frame)) {
    const before = probe.writables;
    await probe.until(() => probe.writables > before);
  }
  // The stream is whole: passt still finds the frames in it.
  await probe.until(() => passt.send(arpRequest(card, gateway)));
  await probe.frame(isArpReply);
});

Deno.test({
  name: "PasstBackend reports once, in passt's words, that it ended",
  ignore: ignore || await missing({ program: "kill" }),
}, async () => {
  const reports: string[] = [];
  await using passt = await PasstBackend.open({
    mac: MAC,
    report: (error) => reports.push(error.message),
  });
  const probe = new NetProbe(passt);
  await probe.linkIs(true);
  await new Deno.Command("kill", { args: ["-KILL", `${passt.pid}`] }).output();
  await probe.linkIs(false);
  assertEquals(reports.length, 1);
  assert(reports[0]!.startsWith("Cannot go on with passt: it was ended by SIGKILL"));
});

Deno.test({
  name: "PasstBackend.open() says which package is missing",
  ignore: ffi || (await Deno.permissions.query({ name: "run" })).state !== "granted",
}, async () => {
  const open = () => PasstBackend.open({ program: "no-such-passt" });
  await assertRejects(open, BackendError, "apt install passt");
});

Deno.test({
  name: "PasstBackend.open() fails with the status of a program that ends at once",
  ignore: ffi || await missing({ program: "false" }),
}, async () => {
  const open = () => PasstBackend.open({ program: "false" });
  await assertRejects(open, BackendError, "Cannot start passt: it ended with status 1");
});

Deno.test("PasstBackend.open() refuses an MTU that passt cannot give", async () => {
  await assertRejects(() => PasstBackend.open({ mtu: 9 }), RangeError, "wanted 1280 to 65520");
});
