// One host, many cards: they come and go at any time, and what one of them does or suffers is no other's.
import { assert, assertEquals } from "@std/assert";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { BackendError } from "../../protocol/mod.ts";
import { fault } from "../support/block_filters.ts";
import { CardFarm } from "../support/card_farm.ts";
import { comeAndGo, workOnDisk } from "../support/come_and_go.ts";
import { Random } from "../support/random.ts";

const KIB = 1024;

Deno.test("cards come and go at any moment, and others' disks work on", async () => {
  await using farm = await CardFarm.start({ cards: 6 });
  const steady = [0, 1, 2].map((number) => farm.power(number));
  await Promise.all([0, 1, 2].map((number) => farm.online(number)));
  const stop = new AbortController();
  const working = steady.map((card) => workOnDisk(card, stop.signal));
  const from = farm.events.length;
  await Promise.all([3, 4, 5].map((number) => comeAndGo(farm, number, 4, new Random(number))));
  stop.abort();
  const rounds = await Promise.all(working);
  assert(rounds.every((count) => count > 0), `${rounds}`);
  // Of the three that worked nothing was heard.
  const disturbed = farm.events.slice(from).filter((event) =>
    "card" in event && ["mic0", "mic1", "mic2"].includes(event.card)
  );
  assertEquals(disturbed, []);
  assertEquals(farm.events.filter(({ type }) => type === "failed"), []);
});

Deno.test("a card that crashes over and over, and one whose disk fails, disturb no other", async () => {
  let failures = 0;
  await using farm = await CardFarm.start({
    cards: 3,
    restart: "always",
    moreDisks: (number) =>
      number !== 2 ? [] : [
        fault(new MemoryBackend(new Uint8Array(64 * KIB)), () => {
          failures++;
          return new BackendError("Cannot read: the disk is broken");
        }),
      ],
  });
  const good = farm.power(0);
  for (const number of [1, 2]) farm.power(number);
  await Promise.all([0, 1, 2].map((number) => farm.online(number)));
  const from = farm.events.length;
  const stop = new AbortController();
  const working = workOnDisk(good, stop.signal);
  // Each of these is an error of a request, and no more.
  const failing = (async () => {
    while (!stop.signal.aborted) {
      const status = await farm.opened[2]!.exec.run("dd if=vdb bs=4k count=4", {
        stdout() {},
        stderr() {},
      });
      assert(status !== 0);
    }
  })();
  const crashing = farm.host.cards.get("mic1")!;
  for (let crash = 0; crash < 2; crash++) {
    const lost = farm.exec(1, "crash").catch(() => {});
    await crashing.waitFor(["ready"]);
    farm.opened[1]!.exec.fail(new BackendError("The card OS has crashed"));
    await lost;
    await crashing.waitFor(["online"]);
  }
  stop.abort();
  assert(await working > 0);
  await failing;
  assert(failures > 0);
  assertEquals(farm.host.cards.get("mic0")!.state, "online");
  assertEquals(farm.host.cards.get("mic2")!.state, "online");
  const heard = (card: string) =>
    farm.events.slice(from).filter((event) => "card" in event && event.card === card);
  assertEquals(heard("mic0"), []);
  assertEquals(
    heard("mic1").filter(({ type }) => type === "stopped").length,
    2,
  );
  // Its process goes with a crash, too.
  await farm.vanish(1);
  assertEquals(await farm.exec(0, "uname"), "knightsbridge-diag\n");
});
