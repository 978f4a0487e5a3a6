// Connections of peers that do not say who they are.
import { assertEquals } from "@std/assert";
import { LinkServer, memoryTransportPair, type Transport } from "../../protocol/mod.ts";
import { encodeGreeting } from "../../protocol/link/greeting.ts";
import { RecordingCompleter } from "../support/link_completer.ts";
import { cardGreeting, RawPeer } from "../support/link_peer.ts";
import { CARD, dialAs, hostListener } from "../support/tls_rig.ts";

Deno.test("of 65 connections that do not greet the oldest is closed, and told of", async () => {
  const refused: string[] = [];
  await using server = new LinkServer({
    epoch: 1n,
    identity: new Uint8Array(16),
    accept: () => ({ completer: new RecordingCompleter() }),
    onLink: () => {},
    onRefused: (_peer, reason) => refused.push(reason),
  });
  const ends = Array.from({ length: 65 }, () => {
    const [near, far] = memoryTransportPair();
    void server.serve(near);
    return far;
  });
  const closed = ends.map((end, i) => end.read(new Uint8Array(1)).then(() => i));
  assertEquals(await Promise.race(closed.toReversed()), 0);
  assertEquals(refused, ["busy"]);
  for (const end of ends) end.close();
  await Promise.all(closed);
});

Deno.test("a card gets in past a thousand connections that do not greet", async () => {
  await using server = new LinkServer({
    epoch: 1n,
    identity: new Uint8Array(16),
    accept: () => ({ completer: new RecordingCompleter() }),
    onLink: () => {},
  });
  const ends: Transport[] = [];
  const connect = () => {
    const [near, far] = memoryTransportPair();
    void server.serve(near);
    ends.push(far);
    return new RawPeer(far);
  };
  for (let i = 0; i < 1000; i++) connect();
  const card = connect();
  await card.send(encodeGreeting(cardGreeting()));
  assertEquals((await card.greeting())[14], 0);
  for (const end of ends) end.close();
});

Deno.test("a card gets in past 200 connections that begin no TLS", async () => {
  const { listener, refusals } = hostListener();
  const accepted = listener.accept();
  const idle = await Promise.all(
    Array.from({ length: 200 }, () => Deno.connect({ hostname: "127.0.0.1", port: listener.port })),
  );
  using card = await dialAs(CARD, listener.port).then((transport) => ({
    transport,
    [Symbol.dispose]: () => transport.close(),
  }));
  using host = await accepted.then((transport) => ({
    transport,
    [Symbol.dispose]: () => transport?.close(),
  }));
  assertEquals(host.transport?.fingerprint, CARD.fingerprint);
  assertEquals(card.transport.peer, `127.0.0.1:${listener.port}`);
  // 201 came, one went on, 64 may wait.
  assertEquals(refusals.length, 137);
  for (const connection of idle) connection.close();
  listener.close();
});
