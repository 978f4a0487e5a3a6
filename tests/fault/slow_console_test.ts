// Readers of a console that read slowly, or not at all.
import { assert, assertEquals } from "@std/assert";
import { digest, temporaryFolder } from "../support/lab.ts";
import { LabConsole } from "../support/lab_console.ts";
import { missing } from "../support/needs.ts";
import { type DiskFigures, PressureLab } from "../support/pressure_lab.ts";

const ffi = !await missing("ffi");
const LAST = 400_000;
/** MiB that a console of diag and its exec ports may take, host/README.md. */
const CONSOLE = 14;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const LINES = Array.from({ length: LAST }, (_, i) => `${i + 1}\r\n`).join("");

/** Of what `seq LAST` printed: bytes shown, and bytes that the marks say are lost. */
function account(text: string): { readonly shown: number; readonly lost: number } {
  const output = text.slice(text.indexOf(`seq ${LAST}`), text.lastIndexOf("diag# "));
  let lost = 0;
  const shown = output.replaceAll(/\r\n\[knightsbridge: (\d+) bytes lost\]\r\n/g, (_, count) => {
    lost += Number(count);
    return "";
  });
  return { shown: shown.length, lost };
}

Deno.test("a console reader that reads slowly loses nothing; those that do not read lose some, are told, and hold up nobody", async () => {
  await using folder = await temporaryFolder();
  const tty = `${folder.path}/tty`;
  const socket = `${folder.path}/socket`;
  const consoles = ["tcp:127.0.0.1:0", `unix:${socket}`, ...(ffi ? [`pty:${tty}`] : [])];
  await using run = await PressureLab.start({
    os: "diag",
    host: [
      ...consoles.flatMap((choice) => ["--console", choice]),
      ...["--disk", "mem:64M"],
      // The last one lasts as long as the test does.
      ...["--exec", ["1", "1", "60"].map((s) => `bench vda seconds=${s} --json`).join("; ")],
    ],
  });
  const { host } = run.lab;
  await using unix = LabConsole.socket(await Deno.connect({ transport: "unix", path: socket }));
  await using terminal = ffi ? LabConsole.terminal(tty) : undefined;
  const asleep = terminal ? [unix, terminal] : [unix];
  const reader = await run.console();
  for (const each of [reader, ...asleep]) await each.shows(/diag# $/);
  await host.output(/^\{.*\}\n/);

  await run.begin();
  const wake = asleep.map((console) => console.hold());
  await reader.type(`seq ${LAST}\r`);
  // Slowly, but never nothing for a second.
  for (let i = 0; i < 10; i++) {
    const goOn = reader.hold();
    await pause(100);
    goOn();
    await pause(20);
  }
  await reader.shows(/\ndiag# $/);
  assertEquals(account(reader.text), { shown: `seq ${LAST}\r\n`.length + LINES.length, lost: 0 });
  assert(reader.text.includes(LINES));

  for (const goOn of wake) goOn();
  for (const sleeper of asleep) {
    await sleeper.shows(/\ndiag# $/);
    const { shown, lost } = account(sleeper.text);
    console.log(`  asleep: ${shown} bytes shown, ${lost} lost`);
    assertEquals(shown + lost, `seq ${LAST}\r\n`.length + LINES.length);
    assert(lost > 0);
    assert(sleeper.text.includes(`\n${LAST}\r\n`), "the end is there");
  }
  await host.output(/^(\{.*\}\n){2}/);
  const disk: DiskFigures[] = host.stdout.trim().split("\n").map((line) => JSON.parse(line));
  console.log(`  disk: ${disk[0]!.iops} IOPS before, ${disk[1]!.iops} meanwhile`);
  await run.check({ host: CONSOLE, card: 4 });
});

Deno.test("a stdout that nobody reads does not stop a card whose console it is", async () => {
  await using run = await PressureLab.start({
    os: "diag",
    host: ["--console", "stdio", "--console", "tcp:127.0.0.1:0"],
  });
  const { host } = run.lab;
  await host.output(/diag# $/);
  await run.ask("echo ready");
  await run.begin();
  const goOn = host.holdOutput();
  const { ms } = await run.ask(`seq ${LAST}`);
  console.log(`  ${LINES.length} bytes for who reads, in ${Math.round(ms)} ms`);
  assert((await run.console()).text.includes(LINES));
  goOn();
  await host.output(/\ndone-2\r\ndiag# $/);
  const { shown, lost } = account(host.stdout);
  console.log(`  stdout: ${shown} bytes shown, ${lost} lost`);
  assertEquals(shown + lost, `seq ${LAST}; echo done-2\r\ndone-2\r\n`.length + LINES.length);
  assert(lost > 0);
  await run.check({ host: CONSOLE, card: 4 });
});

Deno.test("a command's output waits for its reader, however long, and nothing else does", async () => {
  const last = 2_000_000;
  await using run = await PressureLab.start({
    os: "diag",
    host: [
      ...["--console", "tcp:127.0.0.1:0", "--disk", "mem:64M"],
      ...["--exec", `echo begin; seq ${last}`],
    ],
  });
  const { host } = run.lab;
  await host.output(/begin/);
  const goOn = host.holdOutput();
  await run.begin();
  const disk: DiskFigures[] = [];
  const echoes: number[] = [];
  for (let second = 0; second < 2; second++) {
    disk.push(await run.bench("vda", "depth=32 seconds=1"));
    echoes.push((await run.ask("echo")).ms);
  }
  console.log(`  disk: ${disk.map(({ iops }) => iops)} IOPS meanwhile`);
  console.log(`  console: ${echoes.map((ms) => ms.toFixed(1))} ms for an echo`);
  await run.check({ host: CONSOLE, card: 4 });
  goOn();
  const output = await run.lab.result();
  const wanted = "begin\n" + Array.from({ length: last }, (_, i) => `${i + 1}\n`).join("");
  const digestOf = (text: string) => digest("md5", new TextEncoder().encode(text));
  assertEquals([output.length, digestOf(output)], [wanted.length, digestOf(wanted)]);
});
