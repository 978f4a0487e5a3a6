// A card's console over its boots: real driver, link and endpoint; the machine is the test's own.
import { assertEquals, assertMatch } from "@std/assert";
import { ConsoleHub } from "../../host/console/hub.ts";
import { bootedCard, HostBench } from "../support/host_bench.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("a card's console knows which boot it shows, and a crash keeps what it showed last", async () => {
  await using console = new ConsoleHub({ name: "mic0" });
  await using bench = new HostBench({ console });
  const card = await bootedCard(bench);
  console.write(bytesOf("first boot\r\n"));
  const crashed = bench.sees((e) => e.type === "stopped" || undefined);
  console.write(bytesOf("Kernel panic - not syncing\r\n"));
  card.machine.events!.stopped("crashed", "");
  await crashed;
  assertEquals(
    bench.controlled.boots()[0]!.kernelLog,
    "first boot\nKernel panic - not syncing\n",
  );
  await bench.controlled.waitFor(["ready"], AbortSignal.timeout(10_000));
  await bench.controlled.boot();
  await bench.controlled.waitFor(["online"], AbortSignal.timeout(10_000));
  console.write(bytesOf("second boot\r\n"));
  assertEquals(textOf(console.bootTail()), "second boot\r\n");
  const begins = (boot: number) => `knightsbridge: boot ${boot} of mic0 begins, `;
  assertMatch(
    textOf(console.tail()),
    new RegExp(
      `^\r\n.${begins(1)}[^\n]+\nfirst boot\r\nKernel[^\n]+\n\r\n.${begins(2)}[^\n]+\nsecond`,
    ),
  );
  assertEquals(bench.controlled.console, console);
});
