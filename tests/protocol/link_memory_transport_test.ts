import { assertEquals, assertRejects } from "@std/assert";
import { LinkError, memoryTransportPair } from "../../protocol/mod.ts";
import { hex } from "../support/link_peer.ts";

Deno.test("memoryTransportPair() carries bytes both ways", async () => {
  const [a, b] = memoryTransportPair();
  const into = new Uint8Array(4);
  void a.write(hex("010203"));
  assertEquals([await b.read(into), into[2]], [3, 3]);
  void b.write(hex("09"));
  assertEquals([await a.read(into), into[0]], [1, 9]);
  a.close();
});

Deno.test("a write is done when the last of it was read", async () => {
  const [a, b] = memoryTransportPair();
  let done = false;
  const write = a.write(hex("01020304")).then(() => done = true);
  const into = new Uint8Array(3);
  await b.read(into);
  assertEquals(done, false);
  await b.read(into);
  await write;
  assertEquals([done, into[0]], [true, 4]);
  a.close();
});

Deno.test("close() ends the other end's stream and rejects writes on both", async () => {
  const [a, b] = memoryTransportPair();
  const waiting = b.read(new Uint8Array(1));
  a.close();
  assertEquals(await waiting, null);
  assertEquals(await a.read(new Uint8Array(1)), null);
  await assertRejects(() => a.write(hex("01")), LinkError);
  await assertRejects(() => b.write(hex("01")), LinkError);
  a.close();
});

Deno.test("close() rejects a write that nobody has read", async () => {
  const [a, b] = memoryTransportPair();
  const write = assertRejects(() => a.write(hex("01")), LinkError);
  b.close();
  await write;
});
