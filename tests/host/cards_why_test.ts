// Why a card is not online, in a sentence: every state as a table; and where it is cheap, the state itself, in memory.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { why, type WhyView } from "../../host/cards/why.ts";
import type { BootRecord, CardStatus, DeviceStatus } from "../../host/control/card_control.ts";
import { ExecChannel } from "../../host/control/exec.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { ConsoleDevice } from "../../host/devices/console.ts";
import { BootRefused } from "../../card/machine/types.ts";
import { bootedCard, HostBench, MIB, setUpDriver } from "../support/host_bench.ts";

const NOW = 1_000_000_000;
const DISK: DeviceStatus = {
  slot: 0,
  name: "disk0",
  kind: "block",
  backend: "nbd://store/root",
  status: 15,
  features: [],
  needsReset: false,
};
const STATUS: CardStatus = {
  name: "mic0",
  state: "online",
  reason: "nop",
  link: "up",
  since: NOW - 12_000,
  peer: "192.0.2.7:5000",
  identity: "ab".repeat(16),
  memoryMib: 64,
  boot: 3,
  bootCount: 3,
  crashCount: 0,
  postCode: "FF",
  restart: "never",
  suspendedOs: false,
  devices: [DISK],
};
const RECORD: BootRecord = {
  number: 3,
  os: "linux",
  begun: NOW - 40_000,
  steps: [{ step: "booting", time: NOW - 40_000 }],
  postCodes: [],
};
const ENDED = { online: NOW - 30_000, ended: NOW - 5000 };

type Change = Partial<Omit<WhyView, "status">> & { readonly status?: Partial<CardStatus> };

function view({ status, ...change }: Change): WhyView {
  return {
    now: NOW,
    record: RECORD,
    linkLost: undefined,
    failure: undefined,
    fault: undefined,
    bound: undefined,
    autoboot: true,
    hasImages: true,
    execWaits: undefined,
    refused: [],
    ...change,
    status: { ...STATUS, ...status },
  };
}

const gone = { state: "absent", link: "none" } as const;
const TABLE: readonly (readonly [string, Change, string, RegExp])[] = [
  [
    "never had a process",
    { status: { ...gone, identity: undefined! }, bound: "07".repeat(16) },
    "no card process has connected as mic0",
    /deno task card --connect HOST:PORT", with identity 0707/,
  ],
  [
    "has a disk that the host cannot open",
    { status: gone, fault: "Cannot open disk '/srv/root.img': no such file" },
    "the host cannot lend mic0 its devices: Cannot open disk '/srv/root.img': no such file",
    /put that right, then "ctl boot mic0" or a card process that comes tries again/,
  ],
  [
    "turned somebody away",
    {
      status: { ...gone, identity: undefined! },
      refused: [{ peer: "10.0.0.9:1", text: "each card is another one's", time: NOW - 3000 }],
    },
    "no card process is mic0; one at 10.0.0.9:1 tried 3 s ago and was refused: each card is another one's",
    /pair it \("deno task host --pair"\)/,
  ],
  [
    "turned somebody away, and is bound to another identity",
    {
      status: gone,
      bound: "07".repeat(16),
      refused: [{ peer: "10.0.0.9:1", text: "no", time: NOW - 3000 }],
    },
    "no card process is mic0; one at 10.0.0.9:1 tried 3 s ago and was refused: no",
    /start the card with identity 0707.*, or bind mic0/,
  ],
  [
    "turned somebody away long ago, and its process crashed since",
    {
      status: { ...gone, reason: "crashed" },
      refused: [{ peer: "10.0.0.9:1", text: "no", time: NOW - 600_000 }],
    },
    "the card process of mic0 is gone for 12 s; its OS ran then",
    /start the card process again/,
  ],
  [
    "is gone, and suspended",
    { status: { ...gone, suspendedOs: true } },
    "the card process of mic0 is gone for 12 s; its OS had stopped",
    /stays suspended until "ctl resume mic0"/,
  ],
  [
    "had a process that is no card",
    { status: gone, failure: "Cannot use card: found PCI device 10de:0001" },
    "what connected as mic0 cannot be used: Cannot use card: found PCI device 10de:0001",
    /same version/,
  ],
  [
    "has lost its connection",
    { status: { link: "down" }, linkLost: NOW - 125_000 },
    "the connection to mic0 at 192.0.2.7:5000 is lost for 2 min; it was online, and goes on from there when it is back",
    /connects again by itself/,
  ],
  [
    "has just connected",
    { status: { state: "resetting", memoryMib: undefined! } },
    "mic0 is connected, and being probed",
    /wait/,
  ],
  [
    "is being reset",
    { status: { state: "resetting", postCode: "05" } },
    "mic0 is being reset for 12 s, last POST code 05",
    /wait/,
  ],
  [
    "failed its reset",
    { status: { state: "reset_failed", postCode: "EE" }, failure: "no memory" },
    "mic0 did not become ready after a reset, last POST code EE: no memory",
    /"ctl reset mic0", else start the card process anew/,
  ],
  [
    "is downloading",
    { status: { state: "booting", postCode: "12" } },
    "mic0 boots for 40 s; POST code 12, its images are being downloaded",
    /wait; if nothing moves, "ctl reset mic0"/,
  ],
  [
    "has a kernel that does not come up",
    {
      status: { state: "booting" },
      record: {
        ...RECORD,
        steps: [...RECORD.steps, { step: "os", time: NOW - 20_000, detail: "POST FF" }],
      },
    },
    "mic0 boots for 40 s; POST code FF, the last step was os (POST FF) 20 s ago",
    /its kernel runs: see "ctl console mic0"/,
  ],
  [
    "is not to boot by itself",
    { status: { state: "ready" }, record: undefined, autoboot: false },
    "mic0 is ready, and was not booted yet: its configuration says no autoboot",
    /"ctl boot mic0"/,
  ],
  [
    "has nothing to boot",
    { status: { state: "ready" }, record: undefined, hasImages: false },
    "mic0 is ready, and has nothing to boot",
    /name an OS/,
  ],
  [
    "crashed, and stays",
    {
      status: { state: "ready", reason: "crashed" },
      record: { ...RECORD, ...ENDED, reason: "crashed", detail: "Kernel panic" },
    },
    "mic0 is ready; its OS stopped 5 s ago (crashed: Kernel panic); its restart policy is never",
    /"ctl log mic0" for its kernel's last words/,
  ],
  [
    "crashed, and boots again soon",
    {
      status: { state: "ready", reason: "crashed", restart: "on-failure", nextBoot: NOW + 4000 },
      record: { ...RECORD, ...ENDED, reason: "crashed" },
    },
    "mic0 is ready; its OS stopped 5 s ago (crashed); the next boot begins in 4 s",
    /"ctl boot mic0" to boot it now/,
  ],
  [
    "was shut down",
    {
      status: { state: "ready", reason: "poweroff" },
      record: { ...RECORD, ...ENDED, reason: "poweroff", asked: true },
    },
    "mic0 is ready; its OS stopped 5 s ago (poweroff), as it was asked to",
    /"ctl boot mic0" boots it again/,
  ],
  [
    "was reset",
    {
      status: { state: "ready" },
      record: { ...RECORD, ...ENDED, reason: "nop", asked: true },
    },
    "mic0 is ready; it was reset 5 s ago",
    /"ctl boot mic0"/,
  ],
  [
    "refused its last boot",
    {
      status: { state: "ready" },
      record: { ...RECORD, ended: NOW, reason: "nop", asked: false, detail: "POST code 4E: no" },
    },
    "mic0 is ready; its last boot failed: POST code 4E: no",
    /put right what it says/,
  ],
  [
    "is shutting down",
    { status: { state: "shutting_down" } },
    "the OS of mic0 was asked to shut down 12 s ago",
    /"ctl reset mic0" to end it at once/,
  ],
  [
    "stopped by itself",
    { status: { state: "shutting_down", reason: "halted" } },
    "the OS of mic0 stopped (halted), and the card is being reset",
    /wait/,
  ],
  [
    "is being suspended",
    { status: { state: "suspending" } },
    "mic0 is being suspended for 12 s: its OS was asked to shut down",
    /wait/,
  ],
  [
    "is suspended",
    { status: { state: "suspended", suspendedOs: true } },
    "mic0 was suspended 12 s ago; its OS ran then",
    /"ctl resume mic0" boots it again/,
  ],
  [
    "was suspended with nothing on it",
    { status: { state: "suspended" } },
    "mic0 was suspended 12 s ago; nothing ran on it then",
    /"ctl resume mic0", then "ctl boot mic0"/,
  ],
  [
    "has a device that needs a reset",
    { status: { devices: [{ ...DISK, needsReset: true }] } },
    "mic0 is online, but its driver broke the rules of disk0: DEVICE_NEEDS_RESET",
    /or reset the card/,
  ],
  [
    "has a disk without its server",
    { status: { devices: [{ ...DISK, waiting: "waits for its server, which is gone for 7 s" }] } },
    "mic0 is online, but requests wait: disk0 (nbd://store/root) waits for its server, which is gone for 7 s",
    /start that server again/,
  ],
  [
    "has devices without drivers",
    { status: { devices: [{ ...DISK, status: 0 }, { ...DISK, name: "net0", status: 3 }] } },
    "mic0 is online, but disk0, net0 have no driver yet",
    /load the virtio drivers/,
  ],
  [
    "takes no commands",
    { execWaits: "card" },
    "mic0 is online, but takes no commands: its exec port is not open",
    /wait for its services/,
  ],
  [
    "works on an old command",
    { execWaits: "earlier-command" },
    "mic0 is online, and still works on a command of an earlier host",
    /wait for its end/,
  ],
  ["is as it should be", {}, "mic0 is online", /nothing is to be done/],
];

for (const [what, change, sentence, advice] of TABLE) {
  Deno.test(`why() explains a card that ${what}`, () => {
    const said = why(view(change));
    assertEquals(said.sentence, sentence);
    assertMatch(said.advice, advice);
  });
}

// The same of real cards.
const signal = () => AbortSignal.timeout(10_000);
const sentence = (bench: HostBench): string => bench.controlled.why().sentence;

Deno.test("why() tells of a card's process: none yet, refused, connected, lost, gone", async () => {
  await using bench = new HostBench({ identity: "01".repeat(16) });
  assertEquals(sentence(bench), "no card process has connected as mic0");
  const stranger = bench.startCard({ identity: 2 });
  await bench.sees((e) => e.type === "refused" || undefined);
  assertMatch(
    sentence(bench),
    /^no card process is mic0; one at .* ago and was refused: .*its identity is 0202/,
  );
  await stranger[Symbol.asyncDispose]();
  const card = bench.startCard();
  await bench.controlled.waitFor(["online"], signal());
  card.unplug();
  card.cut();
  await bench.sees((e) => e.type === "link" && e.status.type === "lost" || undefined);
  assertMatch(sentence(bench), /^the connection to mic0 at .* is lost for \d+ ms; it was online/);
  card.plug();
  await bench.sees((e) =>
    e.type === "link" && e.status.type === "up" && e.status.resumed || undefined
  );
  assertEquals(sentence(bench), "mic0 is online");
  // The card knows of it, too, and can say goodbye.
  await bench.controlled.configSpace();
  await card[Symbol.asyncDispose]();
  await bench.controlled.waitFor(["absent"], signal());
  // The stranger was there a moment ago, and is what to look at first.
  assertMatch(sentence(bench), /was refused/);
});

Deno.test("why() tells of a boot: refused by the card, stuck without drivers, and how it ended", async () => {
  await using device = new BlockDevice({ backend: new MemoryBackend(new Uint8Array(1 << 20)) });
  const exec = new ExecChannel();
  await using console = new ConsoleDevice(exec.ports);
  await using bench = new HostBench({ devices: [device, console], exec });
  const card = bench.startCard();
  card.refusal = new BootRefused("4E", "no such kernel");
  await bench.sees((e) => e.type === "failed" || undefined);
  await bench.controlled.waitFor(["ready"], signal());
  assertMatch(
    sentence(bench),
    /^mic0 is ready; its last boot failed: .*POST code 4E: no such kernel/,
  );
  card.machine.refusal = undefined;
  await bench.controlled.boot();
  await bench.sees((e) =>
    e.type === "card" && e.event.type === "post_code" && e.event.text === "FF" || undefined
  );
  assertMatch(
    sentence(bench),
    /^mic0 boots for .*; POST code FF, the last step was os \(POST FF\)/,
  );
  setUpDriver(card.machine, 0);
  await bench.controlled.waitFor(["online"], signal());
  assertEquals(sentence(bench), "mic0 is online, but console0 has no driver yet");
  card.machine.requestShutdown = () => {};
  await bench.controlled.shutdown();
  assertStringIncludes(sentence(bench), "the OS of mic0 was asked to shut down");
  card.machine.events!.stopped("halted", "");
  await bench.controlled.waitFor(["ready"], signal());
  assertMatch(
    sentence(bench),
    /^mic0 is ready; its OS stopped .* ago \(halted\), as it was asked to/,
  );
});

Deno.test("why() tells of a driver that broke the rules", async () => {
  await using device = new BlockDevice({ backend: new MemoryBackend(new Uint8Array(1 << 20)) });
  await using bench = new HostBench({ devices: [device] });
  const card = await bootedCard(bench);
  const driver = setUpDriver(card.machine, 0);
  await bench.controlled.waitFor(["online"], signal());
  // Behind the end of card memory.
  driver.add([{ address: 5 * MIB, length: 16 }], []);
  card.machine.functions[0]!.write(0x40, 2, 0);
  await bench.sees((e) => e.type === "card" && e.event.type === "fault" || undefined);
  assertMatch(sentence(bench), /^mic0 is online, but its driver broke the rules of disk0/);
});
