// A card that stands aside: tried again by the operator and by card processes, one try at a time, and served at last.
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { ControlledLoan } from "../../host/cards/controlled_card.ts";
import { StandingAside } from "../../host/cards/standing_aside.ts";
import { ExecChannel } from "../../host/control/exec.ts";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { ConsoleDevice } from "../../host/devices/console.ts";
import { BackendError } from "../../protocol/mod.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { HostBench, IMAGES } from "../support/host_bench.ts";

const disk = () => new BlockDevice({ backend: new MemoryBackend(new Uint8Array(1 << 20)) });

/** What cannot be lent until the test says so. */
class Shelf {
  readonly text = "Cannot open disk image root.img: no such file";
  tries = 0;
  /** What it says at the next try; nothing: it lends. */
  missing: string | undefined = this.text;
  loan: ControlledLoan = { devices: [disk()], images: IMAGES };

  readonly lend = async (): Promise<ControlledLoan> => {
    this.tries++;
    await Promise.resolve();
    if (this.missing !== undefined) throw new BackendError(this.missing);
    return this.loan;
  };
}

const aside = (shelf: Shelf) => ({ devices: [], images: undefined, fault: shelf });

Deno.test("Card that stands aside is booted as soon as it can be, whatever autoboot says", async () => {
  const shelf = new Shelf();
  const exec = new ExecChannel();
  await using console = new ConsoleDevice(exec.ports);
  await using bench = new HostBench({ ...aside(shelf), autoboot: false });
  const { controlled } = bench;
  await assertRejects(() => controlled.boot(), BackendError, shelf.text);
  assertEquals(controlled.why().sentence, `the host cannot lend mic0 its devices: ${shelf.text}`);
  shelf.missing = "Cannot open disk image root.img: permission denied";
  await assertRejects(() => controlled.boot(), BackendError, "permission denied");
  assert(controlled.why().sentence.endsWith("permission denied"), "the last try's sentence");
  assertEquals([shelf.tries, controlled.status().devices], [2, []]);

  shelf.missing = undefined;
  shelf.loan = { devices: [disk(), console], images: IMAGES, exec };
  await controlled.boot();
  assertEquals([shelf.tries, controlled.status().state], [3, "absent"]);
  assertEquals(controlled.status().devices.map(({ name }) => name), ["disk0", "console0"]);
  assertEquals(
    bench.events.filter((e) => e.type === "lent"),
    [
      { type: "lent", card: "mic0", devices: ["disk0", "console0"] },
    ] as typeof bench.events,
  );
  const card = bench.startCard();
  await bench.seesState("booting");
  await bench.sees((e) =>
    e.type === "card" && e.event.type === "post_code" && e.event.text === "FF" || undefined
  );
  assertEquals(card.machine.functions.length, 2);
  // Commands find the channel that came with the devices.
  await assertRejects(
    () => controlled.exec("true", { stdout() {}, stderr() {} }),
    TypeError,
    "it is booting",
  );
  assertEquals(Object.keys(controlled.stats().devices), ["disk0", "console0"]);
});

Deno.test("Card that stands aside has its devices when a card process comes after they can be had", async () => {
  using clock = fakeClock();
  const shelf = new Shelf();
  await using bench = new HostBench(aside(shelf));
  bench.startCard({ identity: 1 });
  bench.startCard({ identity: 2 });
  const refused = () => bench.events.filter((e) => e.type === "refused").length;
  while (refused() < 10) await clock.tick(100);
  // The two came together each time.
  assert(shelf.tries >= 3 && shelf.tries <= 5, `${shelf.tries} tries`);
  assertEquals(bench.events.filter((e) => e.type === "failed"), [], "that was known");
  shelf.missing = undefined;
  while (bench.card.state !== "booting") await clock.tick(100);
  const { tries } = shelf;
  const before = refused();
  while (refused() < before + 3) await clock.tick(100);
  assertEquals(shelf.tries, tries, "the other one has nothing tried any more");
});

Deno.test("A process that is bound to another card causes no try", async () => {
  const [own, other] = [new Shelf(), new Shelf()];
  await using bench = new HostBench({
    cards: [
      { name: "mic0", ...aside(other) },
      { name: "mic1", ...aside(own), identity: "01".repeat(16) },
    ],
  });
  bench.startCard({ identity: 1 });
  await bench.sees((e) => e.type === "refused" || undefined);
  assertEquals([own.tries, other.tries], [1, 0]);
});

Deno.test("Card that stands aside and is suspended is not booted", async () => {
  const shelf = new Shelf();
  shelf.missing = undefined;
  await using bench = new HostBench({ ...aside(shelf), suspended: { ran: true } });
  await assertRejects(() => bench.controlled.boot(), TypeError, "it is suspended");
  assertEquals(shelf.tries, 0);
});

Deno.test("StandingAside makes one try at a time, and none that a process causes once it is over", async () => {
  let tries = 0;
  const outcome = Promise.withResolvers<string>();
  const lent: string[] = [];
  const one = new StandingAside({
    text: "no",
    lend: () => {
      tries++;
      return outcome.promise;
    },
  }, (loan) => lent.push(loan));
  const first = one.attempt();
  const second = one.attempt();
  assertEquals(one.knock(), undefined);
  let over = false;
  const closing = one[Symbol.asyncDispose]().then(() => over = true);
  for (let i = 0; i < 10; i++) await Promise.resolve();
  assertEquals([tries, over], [1, false], "whoever closes waits for the try");
  outcome.resolve("loan");
  await Promise.all([first, second, closing]);
  assertEquals([tries, lent, one.knock()], [1, ["loan"], undefined]);
});
