import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  dialLink,
  dialTcp,
  GOODBYE,
  type Link,
  LinkError,
  LinkServer,
  listenTcp,
} from "../../protocol/mod.ts";
import { RecordingCompleter } from "../support/link_completer.ts";
import { resetConnection } from "../support/reset_connection.ts";

const never = new AbortController().signal;
const digest = async (bytes: Uint8Array) =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.slice())).toHex();

Deno.test("dialTcp() and listenTcp() carry bytes, and a close ends the stream", async () => {
  await using listener = listenTcp("127.0.0.1", 0);
  await using near = await dialTcp("127.0.0.1", listener.port, never);
  await using far = (await listener.accept())!;
  assertEquals(near.peer, `127.0.0.1:${listener.port}`);
  const sent = Uint8Array.from({ length: 3_000_000 }, (_, i) => i * 7);
  const written = near.write(sent);
  const got = new Uint8Array(sent.length);
  for (let have = 0; have < got.length;) have += (await far.read(got.subarray(have)))!;
  await written;
  assertEquals(await digest(got), await digest(sent));
  near.close();
  assertEquals(await far.read(got), null);
});

Deno.test("close() ends a read that waits, with LinkError", async () => {
  await using listener = listenTcp("127.0.0.1", 0);
  await using near = await dialTcp("127.0.0.1", listener.port, never);
  await using _far = (await listener.accept())!;
  const waiting = assertRejects(
    () => near.read(new Uint8Array(1)),
    LinkError,
    "closed on this side",
  );
  near.close();
  near.close();
  await waiting;
  await assertRejects(() => near.write(new Uint8Array(1)), LinkError);
});

Deno.test("dialTcp() names the address when nobody listens", async () => {
  const free = listenTcp("127.0.0.1", 0);
  free.close();
  await assertRejects(
    () => dialTcp("127.0.0.1", free.port, never),
    LinkError,
    `Cannot connect to 127.0.0.1:${free.port}`,
  );
});

Deno.test("a listener passes over connections that were reset before their turn", async () => {
  await using listener = listenTcp("127.0.0.1", 0);
  for (let n = 0; n < 3; n++) await resetConnection(listener.port);
  await using near = await dialTcp("127.0.0.1", listener.port, never);
  await using far = (await listener.accept())!;
  await near.write(Uint8Array.of(7));
  const byte = new Uint8Array(1);
  await far.read(byte);
  assertEquals(byte[0], 7);
});

Deno.test("listenTcp() names the address when it is taken", async () => {
  await using listener = listenTcp("127.0.0.1", 0);
  assertThrows(
    () => listenTcp("127.0.0.1", listener.port),
    LinkError,
    `Cannot listen on 127.0.0.1:${listener.port}`,
  );
});

Deno.test("accept() is undefined once the listener is closed", async () => {
  const listener = listenTcp("127.0.0.1", 0);
  const waiting = listener.accept();
  listener.close();
  assertEquals(await waiting, undefined);
});

Deno.test("a goodbye arrives though the host has not read all that its peer sent", async () => {
  await using listener = listenTcp("127.0.0.1", 0);
  await using server = new LinkServer({
    epoch: 1n,
    identity: new Uint8Array(16),
    accept: () => ({ completer: new RecordingCompleter() }),
    onLink: () => {},
  });
  await using stranger = await dialTcp("127.0.0.1", listener.port, never);
  const served = server.serve((await listener.accept())!);
  await stranger.write(new Uint8Array(100_000));
  const into = new Uint8Array(2000);
  assertEquals(await stranger.read(into) === null, false);
  assertEquals([into[0], into[1]], [1, GOODBYE.version]);
  stranger.close();
  await served;
});

Deno.test("a link over TCP moves megabytes both ways and ends in good order", async () => {
  await using listener = listenTcp("127.0.0.1", 0);
  const hostCompleter = new RecordingCompleter(4 << 20);
  const up = Promise.withResolvers<Link>();
  await using server = new LinkServer({
    epoch: 1n,
    identity: new Uint8Array(16),
    accept: () => ({ completer: hostCompleter }),
    onLink: up.resolve,
  });
  const served = listener.accept().then((transport) => server.serve(transport!));
  const cardCompleter = new RecordingCompleter(4 << 20);
  await using card = dialLink(
    (signal) => dialTcp("127.0.0.1", listener.port, signal),
    { role: "card", completer: cardCompleter, identity: new Uint8Array(16) },
    never,
  );
  const host = await up.promise;
  cardCompleter.memory.forEach((_, i) => cardCompleter.memory[i] = i * 13);
  const [down, back] = await Promise.all([
    host.memoryRead(0, 4 << 20),
    (card.postWrite(0, cardCompleter.memory), card.memoryRead(0, 4 << 20)),
  ]);
  assertEquals(await digest(down), await digest(cardCompleter.memory));
  assertEquals(await digest(back), await digest(cardCompleter.memory));
  await card.close("shutdown");
  await host.closed;
  await served;
});
