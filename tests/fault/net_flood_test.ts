// More frames than a card can take, and more than its host can send on.
import { assert, assertEquals } from "@std/assert";
import { runCard } from "../../card/card.ts";
import { DiagMachine } from "../../card/machine/diag/machine.ts";
import { diagImages } from "../../host/control/images.ts";
import { NetDevice } from "../../host/devices/net.ts";
import { Host } from "../../host/host.ts";
import { listenTcp } from "../../protocol/mod.ts";
import { FloodNet } from "../support/flood_net.ts";
import { temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";
import { MemoryListener } from "../support/memory_listener.ts";
import { forgetPeak, memoryUse } from "../support/memory_use.ts";
import { Namespace, namespaces } from "../support/namespace.ts";
import { missing } from "../support/needs.ts";
import { type DiskFigures, PressureLab, RUNTIME_SLACK } from "../support/pressure_lab.ts";

const MIB = 1024 * 1024;
const CARD = "172.31.1.1";
const IMAGES = diagImages({
  ...{ cmdline: undefined, name: "mic0" },
  address: { card: CARD, prefix: 24, host: "172.31.1.254" },
});
/** MiB that a network device may take, host/README.md. */
const NET = 18;
const FLOOD = new URL("../support/udp_flood.ts", import.meta.url).pathname;

const noTap = await missing("ffi", "root", "tun", { program: "ip" }, { program: "nsenter" }, {
  program: "ping",
}) || !await namespaces();

Deno.test({
  name:
    "a card flooded through its TAP drops there what it cannot take, and is as before when it ends",
  ignore: noTap,
}, async () => {
  await using namespace = await Namespace.make();
  await using folder = await temporaryFolder();
  await using run = await PressureLab.start({
    os: "diag",
    within: namespace.within,
    host: [
      ...["--net", "tap:mic0", "--disk", "mem:64M", "--console", `unix:${folder.path}/console`],
      ...["--exec", "bench vda seconds=1 --json; bench vda seconds=3 --json; cat netdev"],
    ],
  });
  const { host } = run.lab;
  await host.output(/^\{.*\}\n/);
  await run.begin();
  const flooding = namespace.run("deno", "run", "--allow-net", FLOOD, CARD, "2");
  const echoes: number[] = [];
  for (let i = 0; i < 4; i++) echoes.push((await run.ask("echo")).ms);
  const sent = Number(await flooding);
  // The flood has ended; the queue behind it is short.
  const ping = await namespace.run("ping", "-c", "1", "-W", "1", CARD);
  const { stats64 } =
    JSON.parse(await namespace.run("ip", "-json", "-s", "link", "show", "mic0"))[0];
  await host.output(/^(\{.*\}\n){2}eth0: .*\n/);
  const disk: DiskFigures[] = host.stdout.split("\n", 2).map((line) => JSON.parse(line));
  const [, received] = /received (\d+)/.exec(host.stdout)!;
  console.log(
    `  ${sent} datagrams sent, ${received} frames received, ${stats64.tx.dropped} dropped`,
  );
  console.log(`  ${/time=.*/.exec(ping)?.[0]} for a ping right after`);
  console.log(`  disk: ${disk[0]!.iops} IOPS before, ${disk[1]!.iops} meanwhile`);
  console.log(`  console: ${echoes.map((ms) => ms.toFixed(1))} ms for an echo`);
  assert(stats64.tx.dropped > 0, "a flood that drops nothing is none");
  await run.check({ host: NET, card: 8 });
});

Deno.test("a card process under a flood takes what it has buffers for, and answers when it ends", async () => {
  await using net = new FloodNet();
  await using device = new NetDevice(net);
  const losses: string[] = [];
  await using host = new Host({
    listener: listenTcp("127.0.0.1", 0),
    cards: [{ name: "mic0", devices: [device], images: IMAGES }],
    onEvent: (event) => event.type === "link" && losses.push(event.status.type),
  });
  const connect = ["--connect", `127.0.0.1:${host.address.port}`, "--machine", "diag", "--json"];
  await using card = await LabProcess.start("card", connect);
  await host.cards.get("mic0")!.waitFor(["online"]);
  const before = await net.ping();
  await net.flood(500);
  await forgetPeak(card.pid);
  const [ours, theirs] = [Deno.memoryUsage().rss / MIB, (await memoryUse(card.pid)).now];
  let most = 0;
  const watch = setInterval(() => most = Math.max(most, Deno.memoryUsage().rss / MIB), 50);
  await net.flood(2000);
  clearInterval(watch);
  const after = await net.ping();
  const { peak } = await memoryUse(card.pid);
  console.log(`  flood: ${net.taken} frames taken, ${net.lost} dropped`);
  console.log(`  ping: ${before.toFixed(1)} ms before, ${after.toFixed(1)} right after`);
  console.log(`  host: ${Math.round(ours)} MiB before, ${Math.round(most)} at most`);
  console.log(`  card: ${theirs} MiB before, ${peak} at most`);
  assert(net.lost > 0);
  assert(most - ours <= NET + RUNTIME_SLACK && peak - theirs <= 8 + RUNTIME_SLACK);
  assertEquals(losses, ["up"]);
});

Deno.test("a card that floods a network which takes nothing is held back at its ring, and loses nothing that it was let send", async () => {
  await using net = new FloodNet();
  await using device = new NetDevice(net);
  const listener = new MemoryListener();
  await using host = new Host({
    listener,
    cards: [{ name: "mic0", devices: [device], images: IMAGES }],
  });
  let machine: DiagMachine | undefined;
  const stop = new AbortController();
  const card = runCard({
    dial: () => listener.dial(),
    machine: ({ memoryBytes }) => Promise.resolve(machine = new DiagMachine({ memoryBytes })),
    memoryBytes: 32 * MIB,
    identity: new Uint8Array(16).fill(1),
    signal: stop.signal,
  });
  await host.cards.get("mic0")!.waitFor(["online"]);
  const { driver } = machine!.os.interfaces[0]!;
  await net.ping();
  net.blocked = true;
  const sentBefore = net.sent;
  let taken = 0;
  for (let i = 0; i < 100_000; i++) {
    if (driver.send(new Uint8Array(1514))) taken++;
    if (i % 1000 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals([taken, net.sent], [64, sentBefore]);
  net.unblock();
  console.log(`  ping: ${(await net.ping()).toFixed(1)} ms right after`);
  assertEquals(net.sent, sentBefore + 64 + 1);
  stop.abort();
  await card;
});
