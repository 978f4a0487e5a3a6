// Cards that reach each other through the host, and through a TAP as the hub's uplink the host itself.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Hub } from "../../host/backends/hub/hub.ts";
import { Hubs } from "../../host/backends/hub/hubs.ts";
import { NetDevice } from "../../host/devices/net.ts";
import { CardFarm } from "../support/card_farm.ts";
import { temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";
import { Namespace, namespaces } from "../support/namespace.ts";
import { missing } from "../support/needs.ts";

const noTap = await missing("ffi", "root", "tun", { program: "ip" }, { program: "nsenter" }, {
  program: "ping",
}) || !await namespaces();

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
  // What the cards' own networks counted is what the hub has of each.
  const [lab] = hubs;
  for (const { name, counters } of lab!.ends) {
    const { devices } = farm.opened[Number(name.slice(-1))]!;
    const net = devices.find((device) => device instanceof NetDevice)!;
    assertEquals(counters.received, net.counters.sent, name);
    assertEquals(counters.sent, net.counters.received + net.counters.dropped, name);
    assert(counters.sent >= 2, name);
  }
  await farm.vanish(1);
  await assertRejects(() => farm.exec(0, "ping -c 1 172.31.0.2"), Error, "0 received");
  assertMatch(await farm.exec(0, "ping -c 1 172.31.0.3"), /1 received/);
  farm.power(1);
  await farm.online(1);
  assertMatch(await farm.exec(2, "ping -c 1 172.31.0.2"), /1 received/);
  assertEquals(farm.events.filter(({ type }) => type === "failed"), []);
});

Deno.test({
  name: "two diag cards on a hub with a TAP as its uplink are pinged by the host, and ping it",
  ignore: noTap,
}, async () => {
  await using namespace = await Namespace.make();
  await using folder = await temporaryFolder();
  const config = {
    listen: "127.0.0.1:0",
    state: "state",
    networks: { lab: { uplink: "tap:kblab", address: "172.31.0.254/24" } },
    cards: {
      mic0: { os: "diag", net: "hub:lab", console: ["none"] },
      mic1: { os: "diag", net: "hub:lab", console: ["stdio"] },
    },
  };
  const file = `${folder.path}/knightsbridge.jsonc`;
  await Deno.writeTextFile(file, JSON.stringify(config));
  const { within } = namespace;
  await using host = await LabProcess.start("host", ["--config", file], { within });
  const [, port] = /:(\d+)$/.exec(await host.line(/listening/))!;
  const card = (home: string) =>
    LabProcess.start("card", ["--connect", `127.0.0.1:${port}`, "--machine", "diag"], {
      within,
      env: { XDG_CONFIG_HOME: `${folder.path}/${home}` },
    });
  await using _first = await card("a");
  await host.line(/^host: mic0: state online/);
  await using _second = await card("b");
  await host.line(/^host: mic1: state online/);
  for (const address of ["172.31.0.1", "172.31.0.2"]) {
    assertMatch(await namespace.run("ping", "-c", "3", "-i", "0.2", address), /3 received, 0%/);
  }
  await host.type("ping -c 2 172.31.0.254; ping -c 2 172.31.0.1\r");
  await host.output(/2 sent, 2 received, 0% lost[^]*2 sent, 2 received, 0% lost/);
});
