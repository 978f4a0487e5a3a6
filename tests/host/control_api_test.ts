// The control API over its UNIX socket, at a real host and a real card but for the card's CPU.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { BODY_LIMIT } from "../../host/control/api/app.ts";
import { ROUTES } from "../../host/control/api/routes/mod.ts";
import { SCHEMAS } from "../../host/control/api/schemas.ts";
import { NetDevice } from "../../host/devices/net.ts";
import { ExecChannel } from "../../host/control/exec.ts";
import { LIFE_STATES } from "../../host/driver/states.ts";
import { CARD_STATE } from "../../host/control/api/schemas.ts";
import { MemoryNet } from "../support/memory_net.ts";
import { ApiRig } from "../support/api_rig.ts";
import { bootedCard, IMAGES } from "../support/host_bench.ts";

Deno.test("the host and its cards are listed in the order of the configuration", async () => {
  const cards = ["mic1", "mic0"].map((name) => ({ name, devices: [], images: IMAGES }));
  await using rig = await ApiRig.start({ cards });
  const { body } = await rig.call("GET", "/v1/host");
  assertEquals([body.cards, body.pid, body.control], [["mic1", "mic0"], Deno.pid, rig.path]);
  const list = await rig.call("GET", "/v1/cards");
  assertEquals(list.body.map((card: { name: string }) => card.name), ["mic1", "mic0"]);
  assertEquals((await rig.call("GET", "/v1/cards/mic0")).body.state, "absent");
});

Deno.test("commands answer 202 with the card's state, and 409 with a sentence where it does not allow them", async () => {
  await using rig = await ApiRig.start({ autoboot: false });
  const absent = await rig.call("POST", "/v1/cards/mic0/boot");
  assertEquals(absent.status, 409);
  assertMatch(absent.body.detail, /^Cannot boot mic0: no card process is connected/);
  rig.bench.startCard();
  await rig.call("GET", "/v1/cards/mic0/wait?state=ready");
  const early = await rig.call("POST", "/v1/cards/mic0/shutdown");
  assertEquals(early.status, 409);
  assertEquals((await rig.call("POST", "/v1/cards/mic0/suspend")).body.state, "suspended");
  assertEquals((await rig.call("POST", "/v1/cards/mic0/boot")).status, 409);
  assertEquals((await rig.call("POST", "/v1/cards/mic0/resume")).body.state, "ready");
  assertEquals((await rig.call("POST", "/v1/cards/mic0/boot")).body.state, "booting");
  const online = await rig.call("GET", "/v1/cards/mic0/wait?state=online&timeout=30");
  assertEquals([online.status, online.body.state, online.body.boot], [200, "online", 1]);
  assertEquals((await rig.call("POST", "/v1/cards/mic0/reset")).body.state, "resetting");
  await rig.call("GET", "/v1/cards/mic0/wait?state=ready&state=reset_failed");
});

Deno.test("wait answers 408 when its time is over, and names the states", async () => {
  await using rig = await ApiRig.start();
  const { status, body } = await rig.call(
    "GET",
    "/v1/cards/mic0/wait?state=online&state=ready&timeout=0.02",
  );
  assertEquals(status, 408);
  assertMatch(body.detail, /after 0.02 s it is absent, wanted online or ready/);
});

Deno.test("a wait whose client goes away, or whose host stops, ends", async () => {
  const rig = await ApiRig.start();
  const gone = new AbortController();
  const first = rig.fetch("/v1/cards/mic0/wait?state=online", { signal: gone.signal })
    .catch(() => "gone");
  const second = rig.fetch("/v1/cards/mic0/wait?state=online").then((response) => response.text());
  await rig.call("GET", "/v1/host");
  gone.abort();
  assertEquals(await first, "gone");
  // The op and resource checks of the test see what is left behind.
  await rig[Symbol.asyncDispose]();
  await second.catch(() => {});
});

Deno.test("info, lspci, boots, POST codes, why, check and stats of a card that is online", async () => {
  await using rig = await ApiRig.start();
  assertEquals((await rig.call("GET", "/v1/cards/mic0/info")).status, 409);
  assertEquals((await rig.call("GET", "/v1/cards/mic0/boots")).body, []);
  assertEquals((await rig.call("GET", "/v1/cards/mic0/boots/1")).status, 404);
  await bootedCard(rig.bench);
  await rig.call("GET", "/v1/cards/mic0/wait?state=online");
  const info = await rig.call("GET", "/v1/cards/mic0/info");
  assertEquals([info.body.vendorId, info.body.stepping], [0x8086, "B1"]);
  const { body: space } = await rig.call("GET", "/v1/cards/mic0/lspci");
  assertEquals(space.config.slice(0, 8), "86805c22");
  assertMatch(space.text, /\[8086:225c\]/);
  assertEquals((await rig.call("GET", "/v1/cards/mic0/boots")).body[0].number, 1);
  assertEquals(
    (await rig.call("GET", "/v1/cards/mic0/boots/1")).body,
    (await rig.call("GET", "/v1/cards/mic0/boots/last")).body,
  );
  const codes = (await rig.call("GET", "/v1/cards/mic0/postcodes")).body;
  assertEquals(codes.at(-1).code, "FF");
  await rig.call("GET", "/v1/cards/mic0/why");
  await rig.call("GET", "/v1/cards/mic0/stats");
  const { body: checks } = await rig.call("GET", "/v1/cards/mic0/check");
  assertEquals(checks.map((check: { outcome: string }) => check.outcome), [
    ...Array(7).fill("pass"),
    // A card without exec port.
    "fail",
  ]);
  assertEquals(rig.failures, []);
});

Deno.test("check says of a card that is absent what to do first, and skips what follows", async () => {
  await using rig = await ApiRig.start();
  const { body } = await rig.call("GET", "/v1/cards/mic0/check");
  assertEquals(body.map((check: { outcome: string }) => check.outcome), [
    "fail",
    ...Array(body.length - 1).fill("skip"),
  ]);
  assertMatch(body[0].advice, /deno task card/);
});

Deno.test("exec on a card that is not online is a conflict", async () => {
  await using rig = await ApiRig.start({ exec: new ExecChannel() });
  const { status, body } = await rig.call("POST", "/v1/cards/mic0/exec", { command: "true" });
  assertEquals([status, body.detail], [
    409,
    "Cannot run a command on mic0: it is absent, wanted online",
  ]);
});

Deno.test("the cable of a card's network is pulled and plugged in", async () => {
  await using device = new NetDevice(new MemoryNet());
  await using rig = await ApiRig.start({ devices: [device] });
  const carrier = async (wanted: string) => {
    const { body } = await rig.call("PATCH", "/v1/cards/mic0/net", { carrier: wanted });
    return body.devices[0].carrier;
  };
  assertEquals((await rig.call("GET", "/v1/cards/mic0")).body.devices[0].carrier, true);
  assertEquals([await carrier("down"), await carrier("up")], [false, true]);
});

Deno.test("what is asked wrongly is refused with a sentence, and is no failure of ours", async () => {
  await using rig = await ApiRig.start();
  const cases = [
    ["GET", "/v1/cards/mic7", undefined, 404, /^Cannot find card mic7: this host has mic0$/],
    ["GET", "/v1/events?card=mic7", undefined, 404, /^Cannot find card mic7/],
    ["GET", "/v1/nothing", undefined, 404, /openapi\.json/],
    ["GET", "/v1/cards/", undefined, 404, /openapi\.json/],
    ["GET", "/v1/cards/mic0/boot", undefined, 405, /wanted POST$/],
    ["DELETE", "/v1/host", undefined, 405, /wanted GET$/],
    ["GET", "/v1/cards/mic0/wait", undefined, 400, /the query's state/],
    ["GET", "/v1/cards/mic0/wait?state=gone", undefined, 400, /the query's state/],
    ["GET", "/v1/cards/mic0/wait?state=ready&timeout=-1", undefined, 400, /the query's timeout/],
    ["GET", "/v1/cards/mic0/wait?state=ready&tiemout=1", undefined, 400, /tiemout/],
    ["PATCH", "/v1/cards/mic0/net", { carrier: "down" }, 400, /it has no network$/],
    ["PATCH", "/v1/cards/mic0/net", { carrier: "off" }, 400, /the body's carrier/],
    ["PATCH", "/v1/cards/mic0/disks/disk0", { size: 1024 }, 400, /Cannot find disk "disk0"/],
    ["PATCH", "/v1/cards/mic0/disks/disk0", { size: 1 }, 400, /the body/],
    ["POST", "/v1/cards/mic0/exec", { comand: "true" }, 400, /the body/],
    ["POST", "/v1/cards/mic0/exec", { command: "" }, 400, /the body's command/],
    ["POST", "/v1/cards/mic0/exec", { command: "x".repeat(BODY_LIMIT) }, 413, /65536 bytes/],
  ] as const;
  for (const [method, path, body, wanted, detail] of cases) {
    const answer = await rig.call(method, path, body);
    assertEquals(answer.status, wanted, `${method} ${path}: ${answer.body.detail}`);
    assertMatch(answer.body.detail, detail);
  }
  const text = await rig.fetch("/v1/cards/mic0/exec", { method: "POST", body: "{" });
  assertMatch((await text.json()).detail, /wanted JSON$/);
  assertEquals(rig.failures, []);
});

Deno.test("/openapi.json has every route, every reference leads somewhere, every schema is used", async () => {
  await using rig = await ApiRig.start();
  const response = await rig.fetch("/openapi.json");
  assertEquals(response.headers.get("content-type"), "application/json");
  const text = await response.text();
  const { openapi, paths, components } = JSON.parse(text);
  assertEquals(openapi, "3.1.0");
  const described = Object.entries<Record<string, unknown>>(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method} ${path}`)
  );
  const served = [...ROUTES.map(({ method, path }) => `${method} ${path}`), "get /openapi.json"];
  assertEquals(described.toSorted(), served.toSorted());
  const references = new Set(
    text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g).map((m) => m[1]!),
  );
  assertEquals([...references].toSorted(), Object.keys(SCHEMAS).toSorted());
  assertEquals(Object.keys(components.schemas).toSorted(), Object.keys(SCHEMAS).toSorted());
  const ids = Object.values<Record<string, { operationId: string }>>(paths)
    .flatMap((operations) => Object.values(operations).map(({ operationId }) => operationId));
  assertEquals(new Set(ids).size, ids.length);
  for (const operations of Object.values<Record<string, Operation>>(paths)) {
    for (const { parameters, responses } of Object.values(operations)) {
      assert(Object.keys(responses).some((status) => status.startsWith("2")));
      for (const { name, schema } of parameters) assert(schema, `${name} has no schema`);
    }
  }
});

interface Operation {
  readonly parameters: readonly { readonly name: string; readonly schema: unknown }[];
  readonly responses: Readonly<Record<string, unknown>>;
}

Deno.test("the API knows every state of a card", () => {
  assertEquals(CARD_STATE.options.toSorted(), [...LIFE_STATES, "absent"].toSorted());
});

Deno.test("GET /metrics is Prometheus' text of every card", async () => {
  await using rig = await ApiRig.start();
  const response = await rig.fetch("/metrics");
  assertEquals(response.status, 200);
  assertMatch(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  assertMatch(text, /^knightsbridge_card_state\{card="mic0",state="absent"\} 1$/m);
  assertEquals(rig.failures, []);
});
