import { assert, assertEquals, assertRejects } from "@std/assert";
import FakeTimers from "@sinonjs/fake-timers";
import { openLibc } from "../../host/backends/_libc.ts";
import { ListenerBackend } from "../../host/backends/listener.ts";
import { BackendError } from "../../protocol/mod.ts";
import { ConsoleProbe } from "../support/console_probe.ts";
import { missing } from "../support/needs.ts";
import { resetConnection } from "../support/reset_connection.ts";

const LOOPBACK = { transport: "tcp", hostname: "127.0.0.1", port: 0 } as const;
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** A UNIX socket needs permission for the network as a whole, its path being a new one. */
const noUnix = (await Deno.permissions.query({ name: "net" })).state !== "granted";

function connect(to: ListenerBackend): Promise<Deno.Conn> {
  const { address } = to;
  return address.transport === "unix" ? Deno.connect(address) : Deno.connect(address);
}

/** Reads until `met` or the end, and returns everything read. */
async function screen(client: Deno.Conn, met: (text: string) => boolean): Promise<string> {
  const into = new Uint8Array(65536);
  let text = "";
  while (!met(text)) {
    const count = await client.read(into);
    if (count === null) break;
    text += new TextDecoder().decode(into.subarray(0, count));
  }
  return text;
}

const whole = () => false;

Deno.test("ListenerBackend carries bytes both ways", async () => {
  await using listener = await ListenerBackend.open(LOOPBACK);
  const probe = new ConsoleProbe(listener);
  using client = await connect(listener);
  await client.write(bytesOf("uname\r"));
  await probe.until(() => probe.text === "uname\r");
  listener.write(bytesOf("Linux\r\n"));
  assertEquals(await screen(client, (text) => text.length >= 7), "Linux\r\n");
});

Deno.test("ListenerBackend gives a new client what was printed without one", async () => {
  await using listener = await ListenerBackend.open(LOOPBACK);
  new ConsoleProbe(listener);
  listener.write(bytesOf("booting\r\n"));
  using client = await connect(listener);
  assertEquals(await screen(client, (text) => text.length >= 9), "booting\r\n");
});

Deno.test("ListenerBackend shows every client the same, and hears each of them", async () => {
  await using listener = await ListenerBackend.open(LOOPBACK);
  const probe = new ConsoleProbe(listener);
  using first = await connect(listener);
  using second = await connect(listener);
  for (const [client, all] of [[first, "1"], [second, "12"], [first, "121"]] as const) {
    await client.write(bytesOf(all.slice(-1)));
    await probe.until(() => probe.text === all);
  }
  listener.write(bytesOf("both\r\n"));
  for (const client of [first, second]) {
    assertEquals(await screen(client, (text) => text.length >= 6), "both\r\n");
  }
});

Deno.test("ListenerBackend waits for the client who typed last, and for no other", async () => {
  await using listener = await ListenerBackend.open(LOOPBACK);
  const probe = new ConsoleProbe(listener);
  using asleep = await connect(listener);
  await asleep.write(bytesOf("z"));
  await probe.until(() => probe.text === "z");
  using awake = await connect(listener);
  await awake.write(bytesOf("a"));
  await probe.until(() => probe.text === "za");
  const text = "0123456789".repeat(2_000_000);
  const seen = screen(awake, (text) => text.length >= 20_000_000);
  await listener.write(bytesOf(text));
  listener.write(bytesOf("end"));
  assert(await seen === text || await seen === text + "end");
  const left = await screen(asleep, (text) => text.endsWith("end"));
  const lost = Number(/\[knightsbridge: (\d+) bytes lost\]/.exec(left)?.[1]);
  assert(lost > 0 && left.length < text.length);
});

Deno.test("ListenerBackend tells a client for whom there is no room", async () => {
  await using listener = await ListenerBackend.open(LOOPBACK);
  const probe = new ConsoleProbe(listener);
  const clients: Deno.Conn[] = [];
  for (let i = 1; i <= 16; i++) {
    const client = await connect(listener);
    clients.push(client);
    await client.write(bytesOf("x"));
    await probe.until(() => probe.text.length === i);
  }
  using oneMore = await connect(listener);
  const told = await screen(oneMore, whole);
  assertEquals(told, "[knightsbridge: this console has 16 clients already]\r\n");
  for (const client of clients) client.close();
});

Deno.test("ListenerBackend serves the next client after one has left", async () => {
  await using listener = await ListenerBackend.open(LOOPBACK);
  const probe = new ConsoleProbe(listener);
  for (const key of ["a", "b", "c"]) await typeUntilTaken(listener, probe, key);
  assertEquals(probe.text, "abc");
});

Deno.test("ListenerBackend waits for no timer after a client that was reset before its turn", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    await using listener = await ListenerBackend.open(LOOPBACK);
    const { address } = listener;
    assert(address.transport === "tcp");
    await resetConnection(address.port);
    const probe = new ConsoleProbe(listener);
    using client = await connect(listener);
    await client.write(bytesOf("x"));
    await probe.until(() => probe.text === "x");
  } finally {
    clock.uninstall();
  }
});

Deno.test("ListenerBackend offers the rest after resume()", async () => {
  await using listener = await ListenerBackend.open(LOOPBACK);
  const probe = new ConsoleProbe(listener);
  using client = await connect(listener);
  probe.room = 2;
  await client.write(bytesOf("abcd"));
  await probe.until(() => probe.text === "ab");
  probe.room = Infinity;
  listener.resume();
  await probe.until(() => probe.text === "abcd");
});

Deno.test("ListenerBackend is free again when a client left whose input was not taken", async () => {
  await using listener = await ListenerBackend.open(LOOPBACK);
  const probe = new ConsoleProbe(listener);
  probe.room = 0;
  const first = await connect(listener);
  await first.write(bytesOf("x"));
  await probe.until(() => probe.offers > 0);
  first.close();
  probe.room = Infinity;
  await typeUntilTaken(listener, probe, "k");
  assertEquals(probe.text, "k");
});

/** Connects again and again, until the client before has been seen off and `key` is taken. */
async function typeUntilTaken(listener: ListenerBackend, probe: ConsoleProbe, key: string) {
  const before = probe.text;
  while (probe.text === before) {
    // That a client has left shows when something is printed for it.
    listener.write(bytesOf("."));
    using client = await connect(listener);
    await client.write(bytesOf(key)).catch(() => {});
    const refused = screen(client, whole).catch(() => "reset").then(() => {});
    await Promise.race([refused, probe.until(() => probe.text !== before)]);
  }
}

Deno.test("ListenerBackend closes with a client that neither reads nor is read", async () => {
  const listener = await ListenerBackend.open(LOOPBACK);
  const probe = new ConsoleProbe(listener);
  using client = await connect(listener);
  probe.room = 0;
  await client.write(bytesOf("x"));
  await probe.until(() => probe.offers > 0);
  const flood = new Uint8Array(32 * 1024 * 1024);
  const written = listener.write(flood);
  assert(written instanceof Promise);
  await listener[Symbol.asyncDispose]();
  await written;
});

Deno.test({
  name: "ListenerBackend on a UNIX path is its owner's alone, and gone when closed",
  ignore: noUnix,
}, async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const path = `${folder}/console`;
    {
      await using listener = await ListenerBackend.open({ transport: "unix", path });
      const probe = new ConsoleProbe(listener);
      assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
      using client = await connect(listener);
      await client.write(bytesOf("u"));
      await probe.until(() => probe.text === "u");
      const again = () => ListenerBackend.open({ transport: "unix", path });
      await assertRejects(again, BackendError, "another process listens there");
    }
    assertEquals(exists(path), false);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test({
  name: "ListenerBackend replaces the socket of a host that was killed, and nothing else",
  ignore: noUnix || await missing("ffi"),
}, async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const path = `${folder}/console`;
    leaveSocket(path);
    assert(Deno.lstatSync(path).isSocket);
    {
      await using listener = await ListenerBackend.open({ transport: "unix", path });
      new ConsoleProbe(listener);
      (await connect(listener)).close();
    }
    Deno.writeTextFileSync(path, "precious");
    const open = () => ListenerBackend.open({ transport: "unix", path });
    await assertRejects(open, BackendError, "it is no socket");
    assertEquals(Deno.readTextFileSync(path), "precious");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

/** Binds and closes without removing, as a killed process does. */
function leaveSocket(path: string): void {
  using libc = openLibc();
  const fd = libc.socket(1, 1, 0);
  assertEquals(libc.bind(fd, Uint8Array.of(1, 0, ...bytesOf(path), 0)), 0);
  libc.close(fd);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("ListenerBackend.open() names a port that is taken", async () => {
  await using first = await ListenerBackend.open(LOOPBACK);
  await assertRejects(
    () => ListenerBackend.open(first.address),
    BackendError,
    "the port is taken",
  );
});

Deno.test("ListenerBackend.open() refuses to face the network unless told to", async () => {
  const everywhere = { transport: "tcp", hostname: "0.0.0.0", port: 0 } as const;
  await assertRejects(() => ListenerBackend.open(everywhere), RangeError, "--insecure");
  await using listener = await ListenerBackend.open(everywhere, { insecure: true });
  assert(listener.name.startsWith("tcp:0.0.0.0:"));
});
