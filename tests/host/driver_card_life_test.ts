import { assertEquals, assertThrows } from "@std/assert";
import { CardLife } from "../../host/driver/card_life.ts";

function life() {
  const told: string[] = [];
  let changes = 0;
  const life = new CardLife(
    (state, reason) => told.push(`${state} ${reason}`),
    () => changes++,
  );
  return { life, told, changes: () => changes };
}

Deno.test("CardLife tells every state once, and every stop with its reason", () => {
  const { life: card, told, changes } = life();
  for (const event of ["became_ready", "boot", "came_online", "shutdown"] as const) {
    card.advance(event);
  }
  assertEquals([card.state, card.runs], ["shutting_down", true]);
  card.reason = "poweroff";
  card.advance("stopped");
  card.advance("came_online");
  assertEquals(told, [
    "ready nop",
    "booting nop",
    "online nop",
    "shutting_down nop",
    "shutting_down poweroff",
  ]);
  assertEquals(changes(), 5);
});

Deno.test("CardLife.command() refuses what does not apply, and says where it would", () => {
  const { life: card } = life();
  assertThrows(
    () => card.command("boot"),
    TypeError,
    "Cannot boot card: it is resetting, wanted ready",
  );
  card.advance("became_ready");
  card.command("boot");
  assertEquals([card.state, card.after("boot"), card.after("gone")], [
    "booting",
    undefined,
    "shutting_down",
  ]);
});
