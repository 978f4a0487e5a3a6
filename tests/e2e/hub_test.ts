// Cards that reach each other through the host, and through a TAP as the hub's uplink the host itself.
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Hub } from "../../host/backends/hub/hub.ts";
import { Hubs } from "../../host/backends/hub/hubs.ts";
import { CardFarm } from "../support/card_farm.ts";

Deno.test("two diag cards ping each other through a hub, without root", async () => {
  await using hubs = new Hubs();
  hubs.add(new Hub("lab"));
  await using farm = await CardFarm.start({ cards: 3, net: "hub:lab", hubs });
  for (const number of [0, 1, 2]) farm.power(number);
  await Promise.all([0, 1, 2].map((number) => farm.online(number)));
  const [there, back] = await Promise.all([
    farm.exec(0, "ping -c 3 172.31.0.2"),
    farm.exec(1, "ping -c 3 172.31.0.1"),
  ]);
  assertMatch(there, /3 sent, 3 received, 0% lost/);
  assertMatch(back, /3 sent, 3 received, 0% lost/);
  await farm.vanish(1);
  await assertRejects(() => farm.exec(0, "ping -c 1 172.31.0.2"), Error, "0 received");
  assertMatch(await farm.exec(0, "ping -c 1 172.31.0.3"), /1 received/);
  farm.power(1);
  await farm.online(1);
  assertMatch(await farm.exec(2, "ping -c 1 172.31.0.2"), /1 received/);
  assertEquals(farm.events.filter(({ type }) => type === "failed"), []);
});
