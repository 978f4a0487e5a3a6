// The table of a card's states, walked by one that runs Linux: every step that an operator or a card OS can take.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { CardHappening } from "../../host/cards/events.ts";
import { LIFE_STATES } from "../../host/driver/states.ts";
import { temporaryFolder } from "../support/lab.ts";
import { LinuxCard } from "../support/linux_card.ts";

Deno.test("Linux on a card goes through every state, and sleeps over hosts with what it wrote", async () => {
  await using folder = await temporaryFolder();
  const state = `${folder.path}/state`;
  await using card = await LinuxCard.start(folder.path, state);
  /** `from>to` as they were seen. */
  const steps = new Set<string>();
  const watch = () => {
    const { control } = card;
    let from: string = control.status().state;
    const happened = control.happened.bind(control);
    control.happened = (happening: CardHappening) => {
      happened(happening);
      if (happening.type !== "card" || happening.event.type !== "state") return;
      const { state } = happening.event;
      if (state !== from) steps.add(`${from}>${state}`);
      from = state;
    };
  };
  watch();

  // Asleep with nothing on it, and back; a reset wakes it, too.
  await card.control.suspend();
  await card.control.resume();
  assertEquals(card.control.status().state, "ready");
  await card.control.suspend();
  await card.control.reset();
  await card.reaches("ready");

  // Reset on the way up, and before it has shut down.
  await card.control.boot();
  await assertRejects(() => card.control.shutdown(), TypeError, "it is booting, wanted online");
  await card.control.reset();
  await card.reaches("ready");
  assertEquals(card.control.boots().at(-1)!.online, undefined);
  await card.boot();
  await card.control.shutdown();
  await card.control.reset();
  await card.reaches("ready");
  assertMatch(card.control.why().sentence, /^mic0 is ready; it was reset/);

  // Asleep with Linux on it; the host ends meanwhile.
  await card.boot();
  await card.sh("echo before the sleep >/root/kept");
  await card.control.suspend();
  await card.reaches("suspended");
  const { suspendedOs, reason, bootCount } = card.control.status();
  assertEquals([suspendedOs, reason, bootCount], [true, "poweroff", 3]);
  await assertRejects(() => card.control.boot(), TypeError, "it is suspended, wanted ready");
  await card.changeHost("suspended");
  watch();
  assertEquals(card.control.status().suspendedOs, true);
  await card.control.resume();
  await card.reaches("online");
  assertEquals(await card.sh("cat /root/kept"), "before the sleep\n");
  assertEquals(card.control.status().bootCount, 4);

  // Woken before it is asleep.
  await card.control.suspend();
  await card.control.reset();
  await card.reaches("ready");

  // A machine that cannot be made again.
  await card.boot();
  card.broken = true;
  await card.control.reset();
  await card.reaches("reset_failed");
  assertMatch(card.control.why().sentence, /^mic0 did not become ready after a reset/);
  card.broken = false;
  await card.control.reset();
  await card.reaches("ready");

  const seen = [...steps].sort();
  assertEquals(seen, [
    "booting>online",
    "booting>resetting",
    "online>resetting",
    "online>shutting_down",
    "online>suspending",
    "ready>booting",
    "ready>suspended",
    "reset_failed>resetting",
    "resetting>ready",
    "resetting>reset_failed",
    "shutting_down>resetting",
    "suspended>ready",
    "suspended>resetting",
    "suspending>resetting",
    "suspending>suspended",
  ]);
  const states = seen.flatMap((step) => step.split(">"));
  assert(LIFE_STATES.every((one) => states.includes(one)));
  const records = card.control.boots();
  assertEquals(records.map(({ number }) => number), [1, 2, 3, 4, 5]);
  const steps3 = records[2]!.steps.map(({ step }) => step);
  for (const step of ["kernel", "initrd", "bootstrap", "os", "driver disk0", "online", "exec"]) {
    assert(steps3.includes(step), `${step} is not among ${steps3.join(", ")}`);
  }
});
