import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { dhcp } from "../../card/machine/diag/os/ip/dhcp.ts";
import {
  checksum,
  formatAddress,
  netmask,
  parseAddress,
  prefixOf,
} from "../../card/machine/diag/os/ip/packets.ts";
import { Ipv4Stack, NetError } from "../../card/machine/diag/os/ip/stack.ts";
import { parseIpSetting } from "../../card/machine/diag/os/ip_option.ts";
import { DiagRig } from "../support/diag_rig.ts";
import { LoopbackConsole, LoopbackNet } from "../support/loopback_models.ts";

const CARD_MAC = "020000000042";
const HOST_MAC = "020000000001";
const CARD = 0x0a000002; // 10.0.0.2
const HOST = 0x0a000001;

const bytes = (hex: string) => Uint8Array.fromHex(hex.replaceAll(/\s/g, ""));
const never = new AbortController().signal;

// Typed by hand from RFC 826: Ethernet header, then the packet.
const ARP_QUESTION = `ffffffffffff ${CARD_MAC} 0806 0001 0800 06 04 0001 ` +
  `${CARD_MAC} 0a000002 000000000000 0a000001`;
const ARP_ANSWER = `${CARD_MAC} ${HOST_MAC} 0806 0001 0800 06 04 0002 ` +
  `${HOST_MAC} 0a000001 ${CARD_MAC} 0a000002`;

/** The wire's other end: 10.0.0.1, which answers ARP and echo requests. */
function host(frame: Uint8Array): Uint8Array | undefined {
  const type = frame.subarray(12, 14).toHex();
  if (type === "0806" && frame.subarray(38, 42).toHex() === "0a000001") return bytes(ARP_ANSWER);
  if (type !== "0800" || frame[34] !== 8) return undefined;
  const reply = frame.slice();
  reply.set(frame.subarray(6, 12), 0);
  reply.set(frame.subarray(0, 6), 6);
  reply.set(frame.subarray(26, 30), 30);
  reply.set(frame.subarray(30, 34), 26);
  reply[34] = 0;
  // One's complement sum: the type went from 8 to 0.
  const view = new DataView(reply.buffer);
  const sum = view.getUint16(36) + 0x0800;
  view.setUint16(36, (sum & 0xffff) + (sum >> 16));
  return reply;
}

/** A stack on a wire whose frames `answer` replies to. */
function stackOn(answer: (frame: Uint8Array) => Uint8Array | undefined) {
  const sent: string[] = [];
  const stack = new Ipv4Stack({
    mac: bytes(CARD_MAC),
    send(frame) {
      sent.push(frame.toHex());
      const reply = answer(frame);
      if (reply) queueMicrotask(() => stack.receive(reply));
      return true;
    },
  });
  stack.settings = { address: CARD, prefix: 24, gateway: 0 };
  return { stack, sent };
}

Deno.test("ping() asks by ARP, then by echo request, as RFC 826 and 792 write them", async () => {
  const { stack, sent } = stackOn(host);
  const ms = await stack.ping(HOST, { signal: never, length: 4 });
  assert(ms >= 0 && ms < 1000);
  assertEquals(sent[0], bytes(ARP_QUESTION).toHex());
  // Ethernet, IPv4 (20 + 12 bytes, TTL 64, ICMP), echo request, sequence 1; identifier and checksums vary.
  assertMatch(
    sent[1]!,
    new RegExp(
      `^${HOST_MAC}${CARD_MAC}0800` + "4500002000000000" + "4001....0a0000020a000001" +
        "0800........0001" + "00010203$",
    ),
  );
  assertEquals(checksum(bytes(sent[1]!).subarray(14, 34)), 0);
  assertEquals(checksum(bytes(sent[1]!).subarray(34)), 0);
  await stack.ping(HOST, { signal: never });
  assertEquals(sent.length, 3, "the address is known now");
});

Deno.test("ping() goes by the gateway, when the address is not on the wire", async () => {
  const { stack, sent } = stackOn(host);
  await assertRejects(() => stack.ping(0x08080808, { signal: never }), NetError, "no gateway");
  stack.settings = { ...stack.settings, gateway: HOST };
  await stack.ping(0x08080808, { signal: never });
  assertEquals(sent[0], bytes(ARP_QUESTION).toHex());
});

Deno.test("ping() rejects, when there is no address, no answer, or the caller gives up", async () => {
  const { stack } = stackOn((frame) => frame[13] === 6 ? host(frame) : undefined);
  await assertRejects(
    () => stack.ping(HOST, { signal: never, timeout: 1 }),
    NetError,
    "No answer from 10.0.0.1 in 1 ms",
  );
  const abort = new AbortController();
  const ping = stack.ping(HOST, { signal: abort.signal });
  abort.abort(new Error("enough"));
  await assertRejects(() => ping, Error, "enough");
  stack.settings = { address: 0, prefix: 0, gateway: 0 };
  await assertRejects(() => stack.ping(HOST, { signal: never }), NetError, "no address");
});

Deno.test("receive() answers ARP requests for its own address only", () => {
  const { stack, sent } = stackOn(() => undefined);
  const question =
    `ffffffffffff ${HOST_MAC} 0806 0001 0800 06 04 0001 ${HOST_MAC} 0a000001 000000000000 `;
  stack.receive(bytes(question + "0a000003"));
  assertEquals(sent, []);
  stack.receive(bytes(question + "0a000002"));
  assertEquals(sent, [
    bytes(
      `${HOST_MAC} ${CARD_MAC} 0806 0001 0800 06 04 0002 ${CARD_MAC} 0a000002 ${HOST_MAC} 0a000001`,
    ).toHex(),
  ]);
});

// 10.0.0.1 to 10.0.0.2, echo request, identifier 1, sequence 1, payload "hi"; checksums done by hand.
const ECHO = `${CARD_MAC} ${HOST_MAC} 0800 4500001e 00000000 400166dd 0a000001 0a000002 ` +
  "0800 8f94 0001 0001 6869";

Deno.test("receive() answers an echo request with the same bytes", () => {
  const { stack, sent } = stackOn(() => undefined);
  stack.receive(bytes(ECHO));
  assertEquals(sent, [
    bytes(
      `${HOST_MAC} ${CARD_MAC} 0800 4500001e 00000000 400166dd 0a000002 0a000001 ` +
        "0000 9794 0001 0001 6869",
    ).toHex(),
  ]);
});

Deno.test("receive() drops frames that are broken, cut or for somebody else", () => {
  const { stack, sent } = stackOn(() => undefined);
  const good = bytes(ECHO);
  for (let length = 0; length < good.length; length++) stack.receive(good.subarray(0, length));
  for (let at = 12; at < good.length; at++) {
    const broken = good.slice();
    broken[at]! ^= 0xff;
    stack.receive(broken);
  }
  // Payload of zeros: the checksum does not see that it is cut.
  const zeros = ECHO.replace("8f94", "f7fd").replace("6869", "0000");
  stack.receive(bytes(zeros).subarray(0, -2));
  assertEquals(sent, []);
  stack.receive(bytes(zeros));
  assertEquals(sent.length, 1);
});

/** A DHCP server that gives 10.0.0.7/24 by 10.0.0.1; `types` gathers what it was asked. */
function dhcpServer(types: number[]): (frame: Uint8Array) => Uint8Array | undefined {
  return (frame) => {
    if (frame[12] !== 8 || frame[23] !== 17) return undefined;
    const message = frame.slice(42);
    const type = message[242]!;
    types.push(type);
    if (type === 3) {
      assertEquals(message.subarray(243, 255).toHex(), "32040a000007" + "36040a000001");
    }
    message[0] = 2;
    message.set([10, 0, 0, 7], 16);
    const options = "3501" + (type === 1 ? "02" : "05") + "36040a000001" + "0104ffffff00" +
      "03040a000001" + "ff";
    message.set(bytes(options), 240);
    const reply = new Uint8Array(42 + message.length);
    reply.set(bytes(`ffffffffffff ${HOST_MAC} 0800 4500`));
    const view = new DataView(reply.buffer);
    view.setUint16(16, 28 + message.length);
    reply.set([64, 17], 22);
    reply.set([10, 0, 0, 1, 255, 255, 255, 255], 26);
    view.setUint16(24, checksum(reply.subarray(14, 34)));
    view.setUint16(34, 67);
    view.setUint16(36, 68);
    view.setUint16(38, 8 + message.length);
    reply.set(message, 42);
    return reply;
  };
}

Deno.test("dhcp() takes the offer and sets address, prefix and gateway", async () => {
  const types: number[] = [];
  const { stack } = stackOn(dhcpServer(types));
  stack.settings = { address: 0, prefix: 0, gateway: 0 };
  assertEquals(await dhcp(stack, bytes(CARD_MAC), never), {
    address: 0x0a000007,
    prefix: 24,
    gateway: HOST,
  });
  assertEquals(types, [1, 3]);
});

Deno.test("dhcp() ends when its signal does", async () => {
  const { stack } = stackOn(() => undefined);
  const abort = new AbortController();
  const waiting = dhcp(stack, bytes(CARD_MAC), abort.signal);
  abort.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
});

Deno.test("addresses, masks and ip= settings are read or refused", () => {
  assertEquals(parseAddress("10.0.0.1"), HOST);
  for (const text of ["", "10.0.0", "10.0.0.256", "10.0.0.1.2", "10.0.0.x"]) {
    assertEquals(parseAddress(text), undefined);
  }
  assertEquals(formatAddress(0xfffefdfc), "255.254.253.252");
  assertEquals([0, 1, 24, 32].map(netmask), [0, 0x80000000, 0xffffff00, 0xffffffff]);
  assertEquals([prefixOf(0xffffff00), prefixOf(0xff00ff00)], [24, undefined]);
  const static_ = { address: CARD, prefix: 24, gateway: HOST };
  assertEquals(parseIpSetting("10.0.0.2/24,10.0.0.1"), static_);
  assertEquals(parseIpSetting("10.0.0.2::10.0.0.1:255.255.255.0:card:eth0:off"), static_);
  assertEquals(parseIpSetting("10.0.0.2/8"), { address: CARD, prefix: 8, gateway: 0 });
  assertEquals(["dhcp", ":::::eth0:dhcp"].map(parseIpSetting), ["dhcp", "dhcp"]);
  for (const text of ["", "10.0.0.2", "10.0.0.2/33", "10.0.0.2/24,x", "x::y:z"]) {
    assertEquals(parseIpSetting(text), undefined);
  }
});

Deno.test("the diagnostic OS pings over its network device, and shows its address", async () => {
  const net = new LoopbackNet();
  net.answer = host;
  const console = new LoopbackConsole([""]);
  await using rig = new DiagRig([net, console]).boot("ip=10.0.0.2/24");
  const { os } = rig.machine;
  await os.ready;
  await console.printed(/diag# $/);
  assertEquals(os.net.address, "10.0.0.2");
  assert(await os.net.ping("10.0.0.1", never) < 1000);
  await assertRejects(() => os.net.ping("nonsense", never), RangeError);
  console.typed("ping -c 1 10.0.0.1\r");
  assertMatch(
    await console.printed(/diag# $/),
    /64 bytes from 10\.0\.0\.1: seq=1 time=.* ms\r\n1 sent, 1 received, 0% lost\r\nround-trip/,
  );
  console.typed("ip\r");
  assertMatch(
    await console.printed(/diag# $/),
    /eth0: up mtu 1500 ether 02:00:00:00:00:42 inet 10\.0\.0\.2\/24\r\n/,
  );
  console.typed("ip set 10.1.0.2/16 10.1.0.1\r");
  assertMatch(await console.printed(/diag# $/), /inet 10\.1\.0\.2\/16 via 10\.1\.0\.1\r\n/);
});

Deno.test("the network driver receives more frames than it has buffers, and follows the carrier", async () => {
  const net = new LoopbackNet();
  await using rig = new DiagRig([net]).boot("ip=10.0.0.2/24");
  await rig.machine.os.ready;
  const { driver } = rig.machine.os.net;
  for (let round = 0; round < 10; round++) {
    let delivered = 0;
    while (net.deliver(bytes(ECHO))) delivered++;
    assertEquals(delivered, 16);
    // The interrupt is taken in a microtask.
    await Promise.resolve();
  }
  assertEquals(driver.counters.received, 160);
  assertEquals(net.sent.length, 160);
  assert(!driver.send(new Uint8Array(65_536)), "too long for a frame");
  net.config()[6] = 0;
  rig.devices[0]!.configChanged();
  await Promise.resolve();
  assert(!driver.linkUp);
});

Deno.test("a ping right after the start waits for the address that DHCP gives", async () => {
  const net = new LoopbackNet();
  const server = dhcpServer([]);
  net.answer = (frame) => server(frame) ?? host(frame);
  await using rig = new DiagRig([net]).boot("ip=dhcp");
  const { os } = rig.machine;
  await os.ready;
  assertEquals(os.net.address, undefined);
  await os.net.ping("10.0.0.1", never);
  assertEquals(os.net.address, "10.0.0.7");
});
