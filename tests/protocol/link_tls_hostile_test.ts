// What comes below TLS instead of TLS, before, in and after the handshake: an error or an end, and nothing hangs.
import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { LinkError, memoryTransportPair, type Transport } from "../../protocol/mod.ts";
import { secureTransport } from "../../protocol/link/tls_transport.ts";
import { CARD, HOST } from "../support/tls_rig.ts";

const SEED = 20_260_803;

/** What a card sends first: one TLS record with its ClientHello. */
async function clientHello(): Promise<Uint8Array> {
  const [near, far] = memoryTransportPair();
  const card = assertRejects(() => secureTransport(near, "card", CARD), LinkError);
  const bytes = new Uint8Array(65_536);
  const count = await far.read(bytes);
  far.close();
  await card;
  assertEquals(bytes[0], 22);
  return bytes.subarray(0, count!);
}

async function drain(transport: Transport): Promise<void> {
  const into = new Uint8Array(65_536);
  while (await transport.read(into) !== null);
}

/** A TLS record: type, version, length, body; the length need not be the body's. */
const record = fc.record({
  type: fc.oneof(fc.constantFrom(20, 21, 22, 23, 24), fc.nat(255)),
  version: fc.constantFrom(0x0303, 0x0301, 0x0304, 0x0200),
  length: fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, fc.nat(0xffff)),
  body: fc.uint8Array({ maxLength: 300 }),
}).map(({ type, version, length = undefined, body }) => {
  const size = length ?? body.length;
  return Uint8Array.of(type, version >> 8, version & 255, size >> 8, size & 255, ...body);
});

Deno.test("whatever follows the first byte of a TLS handshake, it ends", async () => {
  const hello = await clientHello();
  const changed = fc.array(fc.tuple(fc.nat(hello.length - 2), fc.nat(255)), { maxLength: 4 })
    .map((changes) => {
      const bytes = hello.slice();
      // The first byte stays: another one is no TLS, and answered in plain TCP.
      for (const [at, value] of changes) bytes[at + 1] = value;
      return bytes;
    });
  const first = record.map((bytes) => Uint8Array.of(22, ...bytes.subarray(1)));
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(changed, first),
      fc.array(record, { maxLength: 3 }),
      async (...all) => {
        const [near, far] = memoryTransportPair();
        const host = assertRejects(() => secureTransport(near, "host", HOST), LinkError);
        const drained = drain(far);
        for (const bytes of all.flat()) await far.write(bytes).catch(() => {});
        far.close();
        await Promise.all([host, drained]);
      },
    ),
    { numRuns: 200, seed: SEED },
  );
});

Deno.test("whatever comes below TLS after the handshake, the connection ends, and nothing of it is read", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 3 }), async (records) => {
      const [near, far] = memoryTransportPair();
      const [host, card] = await Promise.all([
        secureTransport(near, "host", HOST),
        secureTransport(far, "card", CARD),
      ]);
      const reading = host.read(new Uint8Array(64)).then(
        (count) => assertEquals(count, null),
        (error) => assert(error instanceof LinkError, error),
      ).finally(() => host.close());
      for (const bytes of records) await far.write(bytes).catch(() => {});
      card.close();
      await reading;
    }),
    { numRuns: 50, seed: SEED },
  );
});
