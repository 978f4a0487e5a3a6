// The configuration file: defaults, every kind of mistake with its place, and the schema that editors read.
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { addressOf, numberOf } from "../../host/config/card_network.ts";
import { jsonSchema } from "../../host/config/json_schema.ts";
import { loadConfig, parseConfig } from "../../host/config/load.ts";
import { printConfig } from "../../host/config/print.ts";
import { ConfigError } from "../../host/config/problems.ts";
import { parseDuration } from "../../host/config/values.ts";
import { BackendError } from "../../protocol/mod.ts";
import { temporaryFolder } from "../support/lab.ts";

const WHOLE = `// A bench with two cards.
{
  "$schema": "knightsbridge.schema.json",
  "listen": "192.168.10.1:4310", /* the cable */
  "networks": { "lab": { "uplink": "tap:kblab", "address": "172.31.0.254/24" } },
  "cards": {
    "mic0": {
      "disks": ["root.img", "/srv/data.img,readonly", "mem:1G", "nbd://box/disk"],
      "net": "hub:lab",
      "console": ["pty:console", "log:mic0.log", "unix:/run/c.sock", "tcp:127.0.0.1:7000"],
      "restart": "on-failure",
      "lossTimeout": "30s",
    },
    "mic4": { "os": "diag", "net": "tap:mic4", "autoboot": false },
  },
}
`;

Deno.test("parseConfig() takes comments and trailing commas, and fills in what is left out", () => {
  const config = parseConfig(WHOLE, "k.jsonc");
  assertEquals(config.cards["mic4"], {
    os: "diag",
    disks: [],
    net: "tap:mic4",
    console: ["none"],
    autoboot: false,
    restart: "never",
  });
  assertEquals([config.secure, config.insecure], [false, false]);
  const least = parseConfig('{"cards":{"mic0":{}}}', "k.jsonc");
  assertEquals([least.listen, least.networks], ["127.0.0.1:4310", {}]);
  assertEquals(least.cards["mic0"]!.os, "linux");
});

Deno.test("parseConfig() tells every mistake with file, line, column and key", () => {
  const text = `{
  "listn": "1",
  "listen": "here",
  "cards": {
    "Mic0": {},
    "mic1": { "restart": "on-failures", "disk": [], "disks": ["a,readonli", 5], "autoboot": "yes" },
    "mic2": { "net": "tpa:x", "lossTimeout": "soon", "identity": "abc" }
  }
}`;
  assertEquals(messages(text), [
    'k.jsonc:2:3: listn: there is no key of that name; did you mean "listen"?',
    'k.jsonc:3:13: listen: wanted ADDRESS:PORT, such as 192.168.10.1:4310, found "here"',
    "k.jsonc:5:5: cards.Mic0: wanted lower-case letters, digits and dashes, at most 32",
    'k.jsonc:6:26: cards.mic1.restart: wanted "never", "on-failure" or "always", found "on-failures"; did you mean "on-failure"?',
    'k.jsonc:6:41: cards.mic1.disk: there is no key of that name; did you mean "disks"?',
    'k.jsonc:6:63: cards.mic1.disks[0]: Cannot use disk "a,readonli": wanted a,readonly',
    "k.jsonc:6:77: cards.mic1.disks[1]: wanted a text, found 5",
    'k.jsonc:6:93: cards.mic1.autoboot: wanted true or false, found "yes"',
    'k.jsonc:7:22: cards.mic2.net: Cannot use network "tpa:x": wanted tap:x',
    'k.jsonc:7:46: cards.mic2.lossTimeout: Cannot use duration "soon": wanted a number with ms, s, m or h, as in 30s, up to 596h',
    'k.jsonc:7:66: cards.mic2.identity: wanted 32 or 64 hexadecimal digits, found "abc"',
  ]);
});

for (
  const { text, says } of [
    { text: "", says: "k.jsonc:1:1: is no JSON: value expected" },
    { text: '{\n  "cards": {"mic0": {}\n', says: "k.jsonc:3:1: is no JSON: close brace expected" },
    { text: "[]", says: "k.jsonc:1:1: wanted an object, found a list" },
    { text: "{}", says: "k.jsonc:1:1: cards: is missing: wanted an object" },
    {
      text: '{"cards": {}}',
      says: 'k.jsonc:1:11: cards: wanted a card at least, as in {"mic0": {}}',
    },
    {
      text: '{"cards": {"mic0": {},\n "mic0": {}}}',
      says: "k.jsonc:2:2: cards.mic0: is there twice: wanted once",
    },
    {
      text: '{"cards": {"mic0": {}}, "secure": true, "insecure": true}',
      says: 'k.jsonc:1:53: insecure: "secure" and "insecure" cannot both be true',
    },
    {
      text: '{"cards": {"mic0": {"net": "hub:lba"}}, "networks": {"lab": {}}}',
      says: 'k.jsonc:1:28: cards.mic0.net: there is no network "lba"; did you mean "hub:lab"?',
    },
    {
      text: '{"cards": {"mic0": {"net": "hub:lab"}}}',
      says: 'k.jsonc:1:28: cards.mic0.net: there is no network "lab"; add "networks": {"lab": {}}',
    },
    {
      text: '{"cards": {"mic0": {}}, "networks": {"lab": {"uplink": "passt"}}}',
      says: 'k.jsonc:1:56: networks.lab.uplink: Cannot use uplink "passt": wanted tap:NAME',
    },
    {
      text: '{"cards": {"mic0": {}}, "networks": {"lab": {"address": "10.0.0.1/24"}}}',
      says:
        "k.jsonc:1:57: networks.lab.address: nobody would have that address: the hub has no uplink",
    },
    {
      text:
        '{"cards": {"mic0": {"net": "tap:a"}, "other": {"net": "tap:b"}, "mic1": {"net": "tap:c"}}}',
      says: "k.jsonc:1:73: cards.mic1.address: other has the same address",
    },
    {
      text: '{"cards": {"mic0": {"net": "tap:a"}, "mic1": {"net": "tap:a"}}}',
      says: "k.jsonc:1:54: cards.mic1.net: mic0 has the same TAP interface",
    },
    {
      text: '{"cards": {"mic900": {"net": "tap:a"}}}',
      says:
        'k.jsonc:1:22: cards.mic900: Cannot make up an address for card 900: wanted 0 to 252; give it an "address"',
    },
    {
      text: `{"cards": {"mic0": {"identity": "${"ab".repeat(16)}"}, "mic1": {"identity": "${
        "ab".repeat(32)
      }"}}}`,
      says: "k.jsonc:1:91: cards.mic1.identity: mic0 has the same identity",
    },
    {
      text: '{"cards": {"__proto__": {"net": "tap:a"}}}',
      says: "k.jsonc:1:12: cards.__proto__: there is no key of that name",
    },
  ]
) {
  Deno.test(`parseConfig() refuses ${text.replaceAll("\n", " ").slice(0, 100)}`, () => {
    assertEquals(messages(text), [says]);
  });
}

Deno.test("there is no key for a key, a token or a password", () => {
  const keys = Object.keys(keysOf(JSON.parse(jsonSchema())));
  assertEquals(keys.filter((key) => /key|token|secret|password|pem/i.test(key)), []);
  assertEquals(keys.includes("lossTimeout"), true);
});

Deno.test("the JSON schema beside the sources is what the schema says", async () => {
  const file = new URL("../../host/config/knightsbridge.schema.json", import.meta.url);
  assertEquals(
    JSON.parse(await Deno.readTextFile(file)),
    JSON.parse(jsonSchema()),
    "run deno task config schema > host/config/knightsbridge.schema.json",
  );
});

Deno.test("loadConfig() takes files from the folder of the configuration", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/k.jsonc`;
  await Deno.writeTextFile(file, WHOLE);
  const { mic0 } = (await loadConfig(file)).cards;
  assertEquals(mic0!.disks, [
    `${folder.path}/root.img`,
    "/srv/data.img,readonly",
    "mem:1G",
    "nbd://box/disk",
  ]);
  assertEquals(mic0!.console, [
    `pty:${folder.path}/console`,
    `log:${folder.path}/mic0.log`,
    "unix:/run/c.sock",
    "tcp:127.0.0.1:7000",
  ]);
  await assertRejects(
    () => loadConfig(`${folder.path}/none.jsonc`),
    BackendError,
    `Cannot read configuration ${folder.path}/none.jsonc: no such file`,
  );
});

Deno.test("printConfig() is a configuration that says the same, with each card's address", () => {
  const config = parseConfig(WHOLE, "k.jsonc");
  const again = parseConfig(printConfig(config), "printed");
  assertEquals(again.cards["mic0"]!.address, "172.31.0.1/24,172.31.0.254");
  assertEquals(again.cards["mic4"]!.address, "172.31.5.1/24,172.31.5.254");
  assertEquals(JSON.parse(printConfig(again)), JSON.parse(printConfig(config)));
});

Deno.test("numberOf() is the number in a card's name, or its place", () => {
  const config = parseConfig('{"cards":{"mic7":{},"other":{"net":"passt"}}}', "k.jsonc");
  assertEquals([numberOf(config, "mic7"), numberOf(config, "other")], [7, 1]);
  assertEquals([addressOf(config, "mic7"), addressOf(config, "other")], [undefined, "dhcp"]);
});

Deno.test("parseDuration() knows its units", () => {
  assertEquals(["250ms", "30s", "5m", "596h"].map(parseDuration), [
    250,
    30_000,
    300_000,
    2_145_600_000,
  ]);
  for (const text of ["", "0s", "5", "1d", "-1s", "1.5s", "597h"]) {
    assertThrows(() => parseDuration(text), RangeError, "wanted a number with ms, s, m or h");
  }
});

function messages(text: string): string[] {
  const error = assertThrows(() => parseConfig(text, "k.jsonc"), ConfigError);
  return error.message.split("\n");
}

/** Every property name in a JSON schema. */
function keysOf(schema: unknown, found: Record<string, true> = {}): Record<string, true> {
  if (typeof schema !== "object" || schema === null) return found;
  for (const [key, value] of Object.entries(schema)) {
    if (key === "properties") { for (const name of Object.keys(value)) found[name] = true; }
    keysOf(value, found);
  }
  return found;
}
