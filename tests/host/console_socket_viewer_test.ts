import { assert, assertEquals } from "@std/assert";
import { ConsoleHub } from "../../host/console/hub.ts";
import { ConsoleProbe } from "../support/console_probe.ts";
import { serveConsole } from "../support/socket_console.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

Deno.test("SocketViewer shows what was shown before, then all that comes, and types", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  const probe = new ConsoleProbe(hub);
  hub.write(bytesOf("before\r\n"));
  await using served = await serveConsole(hub, { use: "asking", keyboard: "asks", scrollback: 64 });
  await using client = await served.dial("ann");
  await client.shows(/before\r\n/);
  hub.write(bytesOf("login: "));
  await client.shows(/login: /);
  client.type("root\r");
  await probe.until(() => probe.text === "root\r");
  assertEquals([hub.writer, client.text], ["ann", "before\r\nlogin: "]);
});

Deno.test("SocketViewer is told that another has the keyboard, takes it over, and its size goes to the card", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  const probe = new ConsoleProbe(hub);
  await using served = await serveConsole(hub, { use: "asking", keyboard: "asks" });
  await using ann = await served.dial("ann");
  ann.say({ resize: { columns: 80, rows: 24 } });
  await probe.until(() => probe.sizes.includes("80x24"));
  {
    await using bob = await served.dial("bob");
    bob.say({ resize: { columns: 132, rows: 50 } });
    await bob.until(() => bob.notices.length > 0);
    assertEquals(bob.notices, ["read only: ann has the keyboard"]);
    bob.say({ takeover: true });
    await probe.until(() => probe.sizes.at(-1) === "132x50");
    await ann.until(() => ann.notices.length > 0);
    assertEquals(ann.notices, ["bob has taken the keyboard: this is read only now"]);
    ann.type("a");
    bob.type("b");
    await probe.until(() => probe.text !== "");
    assertEquals(probe.text, "b");
  }
  await probe.until(() => probe.sizes.at(-1) === "80x24");
});

Deno.test("SocketViewer offers the rest of what is typed when the card has room, and drops what is too much", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  const probe = new ConsoleProbe(hub);
  probe.room = 3;
  await using served = await serveConsole(hub, { use: "asking", keyboard: "asks" });
  await using client = await served.dial("ann");
  client.type("abcdef");
  await probe.until(() => probe.text === "abc");
  client.type("x".repeat(65536));
  await client.until(() => client.notices.length > 0);
  assertEquals(client.notices, ["the card takes no input now: what is typed is lost"]);
  probe.room = Infinity;
  hub.resume();
  assertEquals(probe.text, "abcdef" + "x".repeat(65533));
});

Deno.test("SocketViewer closes with who says what it does not know, and with the hub", async () => {
  const hub = new ConsoleHub({ name: "mic0" });
  await using served = await serveConsole(hub, { use: "never" });
  for (const words of ["{", '{"resize": {"columns": 0, "rows": 24}}', "{}", "null"]) {
    await using client = await served.dial("ann");
    client.say(words);
    const { code, reason } = await client.closed;
    assertEquals(code, 1003, words);
    assert(reason.startsWith('Wanted {"resize"'));
  }
  await using client = await served.dial("bob");
  await hub[Symbol.asyncDispose]();
  assertEquals((await client.closed).code, 1001);
});

Deno.test("SocketViewer loses its oldest bytes, and says so, when its client reads nothing", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  await using served = await serveConsole(hub, { use: "never" });
  await using client = await served.dial("ann");
  // Nothing is sent before this turn is over.
  const chunk = new Uint8Array(65536).fill(0x2e);
  for (let i = 0; i < 160; i++) hub.write(chunk);
  hub.write(bytesOf("end"));
  await client.shows(/end$/);
  const lost = Number(/\[knightsbridge: (\d+) bytes lost\]/.exec(client.text)?.[1]);
  assert(client.text.length < 1024 * 1024);
  const marks = client.text.replaceAll(/[.]|end$/g, "").length;
  assertEquals(client.text.length - marks + lost, 160 * 65536 + 3);
});

Deno.test("SocketViewer of a client that never reads costs its bound while 100 MB are shown", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  await using served = await serveConsole(hub, { use: "never", scrollback: 262144 });
  const asleep = await served.dialRaw("asleep");
  const chunk = new Uint8Array(32 * 1024).fill(0x2e);
  const before = Deno.memoryUsage().rss;
  for (let i = 0; i < 3200; i++) await hub.write(chunk);
  const grown = (Deno.memoryUsage().rss - before) / 2 ** 20;
  console.log(`  grown by ${grown.toFixed(1)} MiB`);
  assert(grown < 64, `grown by ${grown} MiB`);
  asleep.close();
});
