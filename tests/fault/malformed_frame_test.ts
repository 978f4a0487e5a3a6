// A peer that breaks the wire's rules once it is in: goodbye with a reason, the connection closed, and the honest one is
// served. Every such frame is in protocol/link_hostile_test.ts; here are the processes.
import { assertEquals, assertMatch } from "@std/assert";
import { encodeGreeting, GREETING } from "../../protocol/link/greeting.ts";
import { EXIT } from "../../scripts/cli/mod.ts";
import { temporaryFolder } from "../support/lab.ts";
import { type LabEvent, LabProcess } from "../support/lab_process.ts";
import { cardGreeting, frame } from "../support/link_peer.ts";

const GOODBYE = { type: 0x01, malformed: 2 } as const;
/** A message whose reserved field is not 0. */
const MALFORMED = frame(0x11, { code: 1, tag: 1, sequence: 0xffff_ff00 }, new Uint8Array(8));

const isGoodbye = ({ type, status }: LabEvent): boolean => {
  const goodbye = status as LabEvent | undefined;
  return type === "link" && goodbye?.type === "goodbye" && goodbye["reason"] === "malformed";
};

/** Frames until the end of the stream, by type and code. */
async function framesOf(conn: Deno.Conn): Promise<[type: number, code: number][]> {
  const bytes: number[] = [];
  const into = new Uint8Array(4096);
  for (let count = await conn.read(into); count !== null; count = await conn.read(into)) {
    bytes.push(...into.subarray(0, count));
  }
  const frames: [number, number][] = [];
  const view = new DataView(Uint8Array.from(bytes).buffer);
  for (let at = 0; at < bytes.length; at += 16 + view.getUint32(at + 4, true)) {
    frames.push([view.getUint8(at), view.getUint8(at + 1)]);
  }
  return frames;
}

async function take(conn: Deno.Conn, length: number): Promise<void> {
  const into = new Uint8Array(length);
  for (let have = 0; have < length;) have += await conn.read(into.subarray(have)) ?? length;
}

Deno.test("a card that sends a malformed frame is told so and closed, and the honest card is served", async () => {
  await using host = await LabProcess.start("host", [
    ...["--listen", "127.0.0.1:0", "--os", "diag", "--json", "--exec", "uname"],
  ]);
  const { port } = await host.event(({ type }) => type === "listening");
  for (let n = 0; n < 3; n++) {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port: port as number });
    await conn.write(encodeGreeting(cardGreeting()));
    await take(conn, GREETING.size);
    await conn.write(MALFORMED);
    await conn.closeWrite();
    const frames = await framesOf(conn);
    assertEquals(frames.at(-1), [GOODBYE.type, GOODBYE.malformed]);
  }
  assertEquals(host.events.filter(isGoodbye).length, 3);
  await using _card = await LabProcess.start("card", [
    ...["--connect", `127.0.0.1:${port}`, "--machine", "diag"],
  ]);
  assertEquals(await host.ended, EXIT.ok, host.transcript());
  assertEquals(host.stdout, "knightsbridge-diag\n");
});

Deno.test("a host that sends a malformed frame is told so and closed, and the card finds the honest host", async () => {
  await using folder = await temporaryFolder();
  let port: number;
  let card: LabProcess;
  {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    port = listener.addr.port;
    card = await LabProcess.start("card", [
      ...["--connect", `127.0.0.1:${port}`, "--machine", "diag", "--json"],
    ], { env: { XDG_CONFIG_HOME: folder.path } });
    using conn = await listener.accept();
    await take(conn, GREETING.size);
    const session = new Uint8Array(16).fill(9);
    await conn.write(encodeGreeting(cardGreeting({ role: "host", session, epoch: 3n })));
    await conn.write(MALFORMED);
    await conn.closeWrite();
    const frames = await framesOf(conn);
    assertEquals(frames.at(-1), [GOODBYE.type, GOODBYE.malformed]);
  }
  await using _card = card;
  assertMatch(JSON.stringify(await card.event(isGoodbye)), /reserved field/);
  await using host = await LabProcess.start("host", [
    ...["--listen", `127.0.0.1:${port}`, "--os", "diag", "--exec", "uname"],
  ]);
  assertEquals(await host.ended, EXIT.ok, host.transcript());
  assertEquals(host.stdout, "knightsbridge-diag\n");
});
