// A card's serial port on its console, over boots, hosts and lost connections: all real but the machine and the wire.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { BootLog } from "../../host/console/boot_log.ts";
import { ConsoleHub } from "../../host/console/hub.ts";
import { bootedCard, HostBench, type TestCard } from "../support/host_bench.ts";
import { temporaryFolder } from "../support/lab.ts";
import { SeenConsole } from "../support/seen_console.ts";
import { turnsUntil } from "../support/turns.ts";

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A console whose boots are kept in `folder`, and its host; the state of the card is kept there too. */
function openHost(folder: string) {
  const log = new BootLog({ folder: `${folder}/console`, report() {} });
  const console = new ConsoleHub({ name: "mic0", log });
  const bench = new HostBench({ console, state: `${folder}/state` });
  return {
    console,
    bench,
    /** Lines of boot `number`, without their times. */
    lines: async (number: number) =>
      textOf(await log.read(number) ?? new Uint8Array()).trimEnd().split("\n").map((line) =>
        line.slice(25)
      ),
    async [Symbol.asyncDispose]() {
      await bench[Symbol.asyncDispose]();
      await console[Symbol.asyncDispose]();
    },
  };
}

const online = (bench: HostBench) =>
  bench.controlled.waitFor(["online"], AbortSignal.timeout(20_000));

/** Lines `from` to `to` as a kernel counts them. */
function* numbered(from: number, to: number): Generator<string> {
  for (let i = from; i <= to; i++) yield `[ ${i}.0] line ${i}`;
}
const all = (from: number, to: number) => [...numbered(from, to)];

Deno.test("who comes late sees two boots from the first byte, who looked on the panic, and each boot's log its own", async () => {
  await using folder = await temporaryFolder();
  await using host = openHost(folder.path);
  const { bench, console } = host;
  const viewer = new SeenConsole("viewer");
  console.attach(viewer, { use: "never" });
  const card = await bootedCard(bench);
  card.machine.say("POST\nLinux version\n");
  // More than a piece, all in the last slice.
  const words = all(1, 1000);
  card.machine.say(words.join("\r\n") + "\r\nKernel panic\r\n");
  card.machine.events!.stopped("crashed", "");
  await bench.controlled.waitFor(["ready"], AbortSignal.timeout(20_000));
  assert(viewer.text.endsWith("line 1000\r\nKernel panic\r\n"), viewer.text.slice(-100));
  await bench.controlled.boot();
  await online(bench);
  card.machine.say("Linux version again\n");
  await turnsUntil(() => viewer.text.includes("again"), "the second boot says something");
  using _late = console.attach(new SeenConsole("late"), { use: "never", scrollback: 1 << 18 });
  assertMatch(
    textOf(console.tail()),
    /^\r\n\[knightsbridge: boot 1 [^\n]+\nPOST\r\nLinux version\r\n\[ 1.0\][^]+Kernel panic\r\n\r\n\[knightsbridge: boot 2 [^\n]+\nLinux version again\r\n$/,
  );
  assertEquals(await host.lines(1), ["POST", "Linux version", ...words, "Kernel panic"]);
  assertEquals(await host.lines(2), ["Linux version again"]);
  assertEquals(bench.controlled.boots()[0]!.kernelLog!.split("\n").slice(-2), ["Kernel panic", ""]);
});

Deno.test("a connection that breaks again and again loses no line, and brings none twice", async () => {
  await using folder = await temporaryFolder();
  await using host = openHost(folder.path);
  const card = await bootedCard(host.bench);
  for (let i = 1; i <= 400; i++) {
    card.machine.say(`[ ${i}.0] line ${i}\n`);
    if (i % 50 === 0) card.cut();
    await turn();
  }
  const end = () => textOf(host.console.tail(200)).includes("line 400\r\n");
  await turnsUntil(end, "the last line is there");
  assertEquals(await host.lines(1), all(1, 400));
});

Deno.test("a host that comes after another shows what that one has not, once", async () => {
  await using folder = await temporaryFolder();
  await using first = openHost(folder.path);
  const card: TestCard = await bootedCard(first.bench);
  await online(first.bench);
  card.machine.say(all(1, 300).join("\n") + "\n");
  await turnsUntil(() => textOf(first.console.tail()).includes("line 40\r\n"), "it is shown");
  await first.bench.control[Symbol.asyncDispose]();
  card.machine.say(all(301, 400).join("\n") + "\n");
  await using second = openHost(folder.path);
  card.turnTo(second.bench);
  await online(second.bench);
  card.machine.say(all(401, 500).join("\n") + "\n");
  await turnsUntil(() => textOf(second.console.tail(100)).includes("line 500\r\n"), "it goes on");
  await first.console.log!.flushed();
  assertEquals(await second.lines(1), all(1, 500));
  assertEquals(textOf(second.console.tail()).includes("line 1\r\n"), false);
});

Deno.test("a card OS that panics while it has no host is heard by the next", async () => {
  await using folder = await temporaryFolder();
  await using first = openHost(folder.path);
  const card = await bootedCard(first.bench);
  await online(first.bench);
  card.machine.say("heard\n");
  await turnsUntil(() => textOf(first.console.tail()).includes("heard"), "it is shown");
  await first.bench.control[Symbol.asyncDispose]();
  card.machine.say(all(1, 300).join("\n") + "\nKernel panic\n");
  card.machine.events!.stopped("crashed", "");
  await using second = openHost(folder.path);
  card.turnTo(second.bench);
  await second.bench.seesState("ready");
  assertEquals(await second.lines(1), ["heard", ...all(1, 300), "Kernel panic"]);
  assertMatch(textOf(second.console.tail()), /^\r\n\[knightsbridge: boot 1 of mic0 goes on/);
  assertEquals(second.bench.controlled.boots()[0]!.reason, "crashed");
});

Deno.test("a card OS that floods its serial port takes a small part of the link, and what is lost is told", async () => {
  await using folder = await temporaryFolder();
  await using host = openHost(folder.path);
  const card = await bootedCard(host.bench);
  await online(host.bench);
  const { link } = host.bench.card;
  const before = link!.counters.bytesReceived;
  const line = "x".repeat(1023) + "\n";
  const flood = line.repeat(256);
  const end = performance.now() + 1000;
  let written = 0;
  while (performance.now() < end) {
    card.machine.say(flood);
    written += flood.length;
    await turn();
  }
  const received = link!.counters.bytesReceived - before;
  assert(written > 4 * received, `it wrote ${written}, of which ${received} went over the link`);
  assert(received < 300_000, `${received} bytes in a second`);
  assertMatch(
    textOf(host.console.tail()),
    /\[knightsbridge: \d+ bytes of the serial port lost\]\r\n/,
  );
  card.machine.say("\nalive\n");
  await turnsUntil(
    () => textOf(host.console.tail(1024)).includes("alive\r\n"),
    "the flood is over",
  );
});
