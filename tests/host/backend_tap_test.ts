import { assert, assertEquals, assertThrows } from "@std/assert";
import { echoReply } from "../../host/backends/_echo.ts";
import { TapBackend } from "../../host/backends/tap.ts";
import { BackendError } from "../../protocol/mod.ts";
import {
  arpReply,
  arpRequest,
  echoReplySequence,
  echoRequest,
  type Station,
} from "../support/memory_net.ts";
import { missing } from "../support/needs.ts";
import { NetProbe } from "../support/net_probe.ts";

const ignore = await missing("ffi", "root", "tun");
const noPing = ignore || await missing({ program: "ping" });
const noIp = ignore || await missing({ program: "ip" });

/** A name and a network of its own for each test: TAPs are made in this machine's own network namespace. */
function fresh(): { name: string; subnet: number; host: Station; card: Station } {
  const [a, subnet] = crypto.getRandomValues(new Uint8Array(2)) as Uint8Array & [number, number];
  const name = `kbt${Deno.pid % 100000}x${a.toString(16)}`;
  const card = { mac: [0x02, 0x4b, 0x42, 0, 0, 1], address: [198, 18, subnet, 1] };
  return { name, subnet, card, host: { mac: [0, 0, 0, 0, 0, 0], address: [198, 18, subnet, 254] } };
}

function open(at: ReturnType<typeof fresh>, report?: (error: BackendError) => void): TapBackend {
  return TapBackend.open(at.name, {
    mac: Uint8Array.from(at.card.mac),
    network: { address: at.host.address.join("."), prefix: 24 },
    ...(report && { report }),
  });
}

const isArpReply = (frame: Uint8Array) => frame[24] === 8 && frame[25] === 6 && frame[33] === 2;

Deno.test({ name: "TapBackend answers ARP and ping by the host's kernel", ignore }, async () => {
  const at = fresh();
  await using tap = open(at);
  assertEquals(tap.mtu, 1500);
  assertEquals([...tap.mac], at.card.mac);
  assertEquals(tap.offloads, { checksum: true, segmentation: true });
  const probe = new NetProbe(tap);
  await probe.linkIs(true);
  assert(tap.send(arpRequest(at.card, at.host.address)));
  const reply = await probe.frame(isArpReply);
  const host = { ...at.host, mac: [...reply.subarray(18, 24)] };
  assert(tap.send(echoRequest(at.card, host, 7)));
  await probe.frame((frame) => echoReplySequence(frame) === 7);
  assert(probe.batches > 0);
});

Deno.test({ name: "TapBackend delivers what the host pings", ignore: noPing }, async () => {
  const at = fresh();
  await using tap = open(at);
  const probe = new NetProbe(tap);
  await probe.linkIs(true);
  const ping = new Deno.Command("ping", {
    args: ["-c", "1", "-W", "5", at.card.address.join(".")],
    stdout: "null",
  }).spawn();
  const asked = await probe.frame((frame) => arpReply(frame, at.card) !== undefined);
  tap.send(arpReply(asked, at.card)!);
  const request = await probe.frame((frame) =>
    frame[24] === 8 && frame[25] === 0 && frame[35] === 1
  );
  tap.send(echoReply(request, at.card.address)!);
  assert((await ping.status).success);
});

Deno.test({
  name: "TapBackend keeps a frame the card has no room for, until resume()",
  ignore,
}, async () => {
  const at = fresh();
  await using tap = open(at);
  const probe = new NetProbe(tap);
  await probe.linkIs(true);
  probe.room = 0;
  tap.send(arpRequest(at.card, at.host.address));
  await probe.refusal();
  const refused = probe.refused.at(-1)!;
  probe.room = Infinity;
  tap.resume();
  assertEquals(await probe.frame(() => true), refused);
});

Deno.test({
  name: "TapBackend reports carrier loss and counts frames sent while the interface is down",
  ignore: noIp,
}, async () => {
  const at = fresh();
  await using tap = open(at);
  const probe = new NetProbe(tap);
  await probe.linkIs(true);
  await ip("link", "set", at.name, "down");
  await probe.linkIs(false);
  assert(tap.send(arpRequest(at.card, at.host.address)));
  assertEquals(tap.dropped, 1);
  await ip("link", "set", at.name, "up");
  await probe.linkIs(true);
});

Deno.test(
  { name: "TapBackend says once that its interface was removed", ignore: noIp },
  async () => {
    const at = fresh();
    const reports: string[] = [];
    await using tap = open(at, (error) => reports.push(error.message));
    const probe = new NetProbe(tap);
    await probe.linkIs(true);
    await ip("link", "del", at.name);
    await probe.linkIs(false);
    assert(tap.send(arpRequest(at.card, at.host.address)));
    assertEquals(reports, [`Cannot go on with TAP interface tap:${at.name}: it was removed`]);
  },
);

Deno.test(
  { name: "TapBackend.accepted() drops what was queued before", ignore: noPing },
  async () => {
    const at = fresh();
    await using tap = open(at);
    const probe = new NetProbe(tap);
    await probe.linkIs(true);
    probe.room = 0;
    tap.send(arpRequest(at.card, at.host.address));
    await probe.refusal();
    tap.accepted({ checksum: false, segmentation: false });
    probe.room = Infinity;
    const host = await askForHost(tap, probe, at);
    assert(tap.send(echoRequest(at.card, host, 9)));
    await probe.frame((frame) => echoReplySequence(frame) === 9);
  },
);

async function askForHost(tap: TapBackend, probe: NetProbe, at: ReturnType<typeof fresh>) {
  tap.send(arpRequest(at.card, at.host.address));
  return { ...at.host, mac: [...(await probe.frame(isArpReply)).subarray(18, 24)] };
}

Deno.test({ name: "TapBackend.open() names an interface that is in use", ignore }, async () => {
  const at = fresh();
  await using _tap = open(at);
  assertThrows(() => TapBackend.open(at.name), BackendError, `${at.name}: another program has it`);
});

Deno.test({ name: "TapBackend.open() refuses what is no TAP", ignore }, () => {
  assertThrows(() => TapBackend.open("lo"), BackendError, "Cannot open TAP interface lo");
});

Deno.test("TapBackend.open() refuses a name that no interface can have", () => {
  for (const name of ["", "a/b", "with space", "sixteen-letters-"]) {
    assertThrows(() => TapBackend.open(name), RangeError, `"${name}"`);
  }
});

async function ip(...args: string[]): Promise<void> {
  const { success } = await new Deno.Command("ip", { args }).output();
  assert(success, `ip ${args.join(" ")}`);
}
