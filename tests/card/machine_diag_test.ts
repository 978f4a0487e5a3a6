import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { DiagMachine } from "../../card/machine/diag/machine.ts";
import { DiskError } from "../../card/machine/diag/os/disk.ts";
import { BootRefused } from "../../card/machine/types.ts";
import { DeviceError } from "../../protocol/mod.ts";
import { DiagRig } from "../support/diag_rig.ts";
import { LoopbackConsole, LoopbackDisk } from "../support/loopback_models.ts";
import { turnsUntil } from "../support/turns.ts";

const EXEC = [
  "org.knightsbridge.exec.in",
  "org.knightsbridge.exec.out",
  "org.knightsbridge.exec.err",
];
const NONCE = "0123456789abcdef0123456789abcdef";
const PROMPT = /diag# $/;

/** A booted machine with a shell; `run` types a line and gives back what was printed for it. */
async function shell(disk = new LoopbackDisk(256)) {
  const console = new LoopbackConsole(["", ...EXEC]);
  const rig = new DiagRig([disk, console]).boot("from=test");
  await rig.machine.os.ready;
  await console.printed(PROMPT);
  const run = async (line: string) => {
    console.typed(line + "\r");
    const text = await console.printed(PROMPT);
    return text.replaceAll("\r", "").slice(line.length + 1, -"diag# ".length);
  };
  return { rig, console, disk, run, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
}

Deno.test("DiagMachine.boot() refuses what is no diagnostic OS image", async () => {
  await using rig = new DiagRig([]);
  for (const image of ["", "KBDIAG1", "KBDIAG2\n", "\x7fELF\x01\x01\x01\0\0\0\0"]) {
    const error = assertThrows(() => rig.boot("", new TextEncoder().encode(image)), BootRefused);
    assertEquals(error.postCode, "KF");
  }
});

Deno.test("DiagMachine() refuses too little memory", () => {
  assertThrows(() => new DiagMachine({ memoryBytes: 1 << 20 }), RangeError);
});

Deno.test("DiagMachine boots without any device, and says so by POST codes", async () => {
  await using rig = new DiagRig([]).boot();
  await rig.machine.os.ready;
  assertEquals(rig.posts, ["50", "FF"]);
  assertThrows(() => rig.machine.os.disk, TypeError);
});

Deno.test("DiagMachine takes options from image and command line", async () => {
  await using rig = new DiagRig([]);
  rig.boot("b=2", new TextEncoder().encode("KBDIAG1\na=1"));
  assertEquals(rig.machine.os.cmdline, "a=1 b=2");
});

for (
  const { what, features } of [
    { what: "indirect descriptors and event index", features: 1n << 32n | 3n << 28n },
    { what: "neither of them", features: 1n << 32n },
  ]
) {
  Deno.test(`Disk reads what was written, with ${what}`, async () => {
    const model = new LoopbackDisk(8192);
    await using rig = new DiagRig([model], features).boot();
    await rig.machine.os.ready;
    const { disk } = rig.machine.os;
    assertEquals(disk.sectors, 8192);
    const data = crypto.getRandomValues(new Uint8Array(4096));
    await disk.write(8, data);
    assertEquals(model.bytes.subarray(4096, 8192), data);
    assertEquals(await disk.read(8, 8), data);
    const large = new Uint8Array(3 << 20).map((_, i) => i % 251);
    await disk.write(0, large);
    assertEquals(await disk.read(0, large.length / 512), large);
    await disk.flush();
    assertEquals(await disk.id(), "loopback");
    assertEquals(model.log.slice(0, 2), ["1 8 4096", "0 8 4096"]);
    await disk.writeZeroes(0, 1, false);
    await disk.discard(1, 1);
    assertEquals(await disk.read(0, 2), new Uint8Array(1024));
    assertEquals(rig.devices[0]!.refused, []);
  });
}

Deno.test("Disk.read() rejects with what failed and where, and the disk goes on", async () => {
  const model = new LoopbackDisk(64);
  await using rig = new DiagRig([model]).boot();
  await rig.machine.os.ready;
  const { disk } = rig.machine.os;
  model.bad = 7;
  await assertRejects(() => disk.read(7, 1), DiskError, "Cannot read vda at sector 7: I/O error");
  await assertRejects(() => disk.read(64, 1), DiskError, "I/O error");
  assertEquals(await disk.read(8, 1), new Uint8Array(512));
});

Deno.test("Disk keeps more requests than there are slots, and takes them back in any order", async () => {
  const model = new LoopbackDisk(1024);
  await using rig = new DiagRig([model]).boot();
  await rig.machine.os.ready;
  const { disk } = rig.machine.os;
  for (let i = 0; i < 300; i++) model.bytes[512 * i] = i & 0xff;
  model.hold = true;
  const reads = Array.from({ length: 300 }, (_, i) => disk.read(i, 1));
  assertEquals(model.held.length, 128, "all slots are out");
  model.hold = false;
  model.release();
  assertEquals((await Promise.all(reads)).map((bytes) => bytes[0]), [
    ...Array.from({ length: 300 }, (_, i) => i & 0xff),
  ]);
});

Deno.test("Disk notifies no device that has not looked yet", async () => {
  const model = new LoopbackDisk(64);
  await using rig = new DiagRig([model]).boot();
  await rig.machine.os.ready;
  const device = rig.devices[0]!;
  const before = device.notifications;
  const serve = model.notified.bind(model);
  model.notified = () => {};
  const reads = [0, 1, 2].map((sector) => rig.machine.os.disk.read(sector, 1));
  assertEquals(device.notifications - before, 1);
  serve(0, device);
  assertEquals((await Promise.all(reads)).length, 3);
});

Deno.test("Disk rejects what is in flight, when the device needs a reset", async () => {
  const model = new LoopbackDisk(64);
  await using rig = new DiagRig([model]).boot();
  await rig.machine.os.ready;
  const { disk } = rig.machine.os;
  model.hold = true;
  const read = disk.read(0, 1);
  rig.devices[0]!.fn.needsReset();
  await assertRejects(() => read, DiskError, "the device is gone");
  await assertRejects(() => disk.read(0, 1), DeviceError, "needs a reset");
});

Deno.test("Disk sees a new capacity, when the configuration changed", async () => {
  const model = new LoopbackDisk(64);
  await using rig = new DiagRig([model]).boot();
  await rig.machine.os.ready;
  const changed = Promise.withResolvers<void>();
  rig.machine.os.disk.driver.onConfig = changed.resolve;
  model.config()[0] = 65;
  rig.devices[0]!.configChanged();
  await changed.promise;
  assertEquals(rig.machine.os.disk.sectors, 65);
});

Deno.test("a machine that is disposed rejects what waits in it", async () => {
  const model = new LoopbackDisk(64);
  const rig = new DiagRig([model]).boot();
  await rig.machine.os.ready;
  model.hold = true;
  const read = assertRejects(() => rig.machine.os.disk.read(0, 1), DiskError, "the device is gone");
  await rig[Symbol.asyncDispose]();
  await read;
});

Deno.test("lspci -v shows functions, resources and negotiated state", async () => {
  await using it = await shell();
  assertEquals(
    await it.run("lspci -v"),
    "00:00.0 SCSI storage controller [0100]: Virtio block device [1af4:1042] (rev 01)\n" +
      "\tIRQ 16\n\tI/O ports at 1000 [size=256]\n" +
      "\tVirtio features: 0x130006200\n\tVirtio queues: 1, status: 0f\n" +
      "00:01.0 Communication controller [0780]: Virtio console [1af4:1043] (rev 01)\n" +
      "\tIRQ 17\n\tI/O ports at 1100 [size=256]\n" +
      "\tVirtio features: 0x130000003\n\tVirtio queues: 10, status: 0f\n",
  );
});

Deno.test("the shell answers each command", async () => {
  await using it = await shell();
  assertMatch(await it.run("help"), /lspci \[-v\][\s\S]*bench DISK/);
  assertEquals(
    await it.run("lsblk"),
    "NAME SIZE RO SECTORS BLOCK FLUSH DISCARD ID\nvda 128K 0 256 512 yes yes loopback\n",
  );
  assertEquals(
    await it.run("echo one 'two  three' ; echo four&&echo five"),
    "one two  three\nfour\nfive\n",
  );
  assertEquals(await it.run("nonsense && echo never"), "nonsense: not found (try help)\n");
  assertEquals(await it.run("cat cmdline"), "from=test\n");
  assertEquals(await it.run("uname"), "knightsbridge-diag\n");
  assertEquals(await it.run("seq 3; seq 0"), "1\n2\n3\n");
  assertMatch(await it.run("seq many"), /Cannot count to 'many'\nusage: seq LAST/);
  assertMatch(await it.run("dd if=vdb"), /Cannot find disk 'vdb': there are vda\nusage: dd if=/);
  assertMatch(await it.run("bench vda bs=3"), /Cannot use bs=3/);
  assertMatch(await it.run("ping 10.0.0.1"), /there is no interface/);
  assertEquals(await it.run(""), "");
});

Deno.test("dd copies between disk, zero and null in blocks", async () => {
  await using it = await shell();
  it.disk.bytes.fill(0xaa);
  assertMatch(
    await it.run("dd if=zero of=vda bs=1k count=2 seek=1 conv=fsync"),
    /^2\+0 records in\n2\+0 records out\n2048 bytes copied, /,
  );
  assertEquals(it.disk.bytes.indexOf(0), 1024);
  assertEquals(it.disk.bytes.indexOf(0xaa, 1024), 3072);
  assertEquals(it.disk.log.slice(-3), ["1 2 1024", "1 4 1024", "4 0 0"]);
  assertMatch(
    await it.run("dd if=vda of=null bs=96k"),
    /^1\+1 records in\n1\+1 records out\n131072 bytes/,
  );
  assertMatch(await it.run("dd if=vda bs=64k count=3"), /^2\+0[\s\S]*end of disk\n$/);
});

Deno.test("sha256 and discard work on a range of a disk", async () => {
  await using it = await shell();
  it.disk.bytes.forEach((_, i, bytes) => bytes[i] = (i * 31 + (i >> 8)) & 0xff);
  const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  assertEquals(await it.run("sha256 vda"), `${digest(it.disk.bytes)}  vda\n`);
  assertEquals(
    await it.run("sha256 vda offset=512 length=1k"),
    `${digest(it.disk.bytes.subarray(512, 1536))}  vda\n`,
  );
  assertEquals(await it.run("discard vda offset=512 length=512"), "");
  assert(it.disk.bytes.subarray(512, 1024).every((byte) => byte === 0));
});

Deno.test("bench counts every request it was asked for", async () => {
  await using it = await shell();
  const before = it.disk.log.length;
  const text = await it.run("bench vda rw=randread bs=4k depth=32 count=1000 --json");
  const result = JSON.parse(text);
  assertEquals([result.requests, result.errors, result.bs, result.depth], [1000, 0, 4096, 32]);
  assertEquals(it.disk.log.length - before, 1000);
  assert(
    result.latency_us.p50 <= result.latency_us.p99 &&
      result.latency_us.p99 <= result.latency_us.max,
  );
  assertMatch(await it.run("bench vda rw=write bs=512 depth=1 count=3"), /3 requests, 0 errors/);
});

Deno.test("bench with places goes to so many places, spread evenly over the disk", async () => {
  await using it = await shell();
  const before = it.disk.log.length;
  await it.run("bench vda rw=randread bs=4k depth=8 count=200 places=4");
  assertEquals(
    new Set(it.disk.log.slice(before)),
    new Set([0, 64, 128, 192].map((sector) => `0 ${sector} 4096`)),
  );
  assertMatch(await it.run("bench vda places=0"), /Cannot use places=0/);
});

Deno.test("the terminal edits its line", async () => {
  await using it = await shell();
  it.console.typed("echx\x7fo a\x15echo \x1b[Ab\r");
  const text = await it.console.printed(PROMPT);
  assertEquals(text.split("\r\n").at(-2), "b");
  it.console.typed("half a line\x03");
  assertEquals(await it.console.printed(/\^C\r\ndiag# $/), "half a line^C\r\ndiag# ");
});

Deno.test("stty size follows the terminal", async () => {
  await using it = await shell();
  it.console.resize(132, 50);
  assertEquals(await it.run("stty size"), "50 132\n");
});

Deno.test("Ctrl-C ends a command", async () => {
  await using it = await shell();
  it.console.typed("bench vda seconds=1000\r");
  it.console.typed("\x03");
  await it.console.printed(PROMPT);
  assertEquals(await it.run("echo still here"), "still here\n");
});

Deno.test("the exec ports run one command at a time, outputs apart, status at the end", async () => {
  await using it = await shell();
  assertEquals([...it.console.opened].sort(), [0, 1, 2, 3]);
  const ask = (command: string) => it.console.typed(`${NONCE} ${btoa(command)}\n`, 1);
  ask("echo hello; dd if=null");
  ask("nonsense");
  assertEquals(await it.console.printed(/127\n$/, 2), `hello\n${NONCE} 0\n${NONCE} 127\n`);
  assertMatch(
    await it.console.printed(/127\n$/, 3),
    new RegExp(
      `^0\\+0 records in\\n[\\s\\S]*${NONCE} 0\\nnonsense: not found[^\\n]*\\n${NONCE} 127\\n$`,
    ),
  );
});

Deno.test("the exec ports drop a line that is no request", async () => {
  await using it = await shell();
  it.console.typed("hello\n" + "x".repeat(70_000) + "\n", 1);
  it.console.typed(`${NONCE} ${btoa("echo -n ok")}\n`, 1);
  assertEquals(await it.console.printed(/\n$/, 2), `ok${NONCE} 0\n`);
});

Deno.test("output waits for a console that is slow, and is whole", async () => {
  await using it = await shell();
  it.console.stalled.add(2);
  // More than the driver has buffers for.
  const words = "w".repeat(40_000);
  const request = `${NONCE} ${btoa(`echo ${words}`)}\n`;
  it.console.typed(request.slice(0, 10), 1);
  it.console.typed(request.slice(10) + request.repeat(9), 1);
  assertEquals(await it.run("echo meanwhile"), "meanwhile\n");
  assertEquals(it.console.output[2], "");
  it.console.stalled.clear();
  it.console.notified(7, it.rig.devices[1]!);
  const all = `${words}\n${NONCE} 0\n`.repeat(10);
  await it.console.until(() => it.console.output[2]!.length >= all.length);
  assertEquals(it.console.output[2], all);
});

Deno.test("a console without MULTIPORT has its shell on port 0, with the size of the configuration", async () => {
  const console = new LoopbackConsole();
  await using rig = new DiagRig([console]).boot();
  await rig.machine.os.ready;
  await console.printed(PROMPT);
  console.typed("stty size\n");
  assertMatch(await console.printed(/\n.*diag# $/), /25 80\r\n/);
});

for (
  const { command, reason, post } of [
    { command: "poweroff", reason: "poweroff", post: "PO" },
    { command: "halt", reason: "halted", post: "HA" },
    { command: "reboot", reason: "restart", post: "RS" },
  ]
) {
  Deno.test(`${command} flushes the disks and stops with "${reason}"`, async () => {
    await using it = await shell();
    it.console.typed(`${NONCE} ${btoa(command)}\n`, 1);
    assertEquals((await it.rig.stopped).reason, reason);
    assertEquals(it.disk.log.at(-1), "4 0 0");
    assertEquals(it.rig.posts.at(-1), post);
    assertEquals(it.console.output[2], `${NONCE} 0\n`, "the command was answered");
  });
}

Deno.test("crash stops without a flush", async () => {
  await using it = await shell();
  it.console.typed("crash\r");
  assertEquals(await it.rig.stopped, { reason: "crashed", detail: "crash command" });
  assert(!it.disk.log.includes("4 0 0"));
});

Deno.test("hang leaves a machine that is not alive, does nothing and does not shut down", async () => {
  await using it = await shell();
  let stopped = false;
  void it.rig.stopped.then(() => stopped = true);
  assertEquals(it.rig.machine.alive(), true);
  it.console.typed("hang\r");
  await turnsUntil(() => !it.rig.machine.alive(), "it hangs");
  it.rig.machine.requestShutdown();
  let turns = 0;
  await turnsUntil(() => ++turns === 100, "it has not obeyed");
  assertEquals([stopped, it.disk.log.includes("4 0 0")], [false, false]);
});

Deno.test("requestShutdown() stops in good order, and ends what runs", async () => {
  await using it = await shell();
  it.console.typed("bench vda seconds=1000\r");
  it.rig.machine.requestShutdown();
  assertEquals((await it.rig.stopped).reason, "poweroff");
  assertEquals(it.disk.log.at(-1), "4 0 0");
});
