// The NBD project's doc/proto.md, "Transmission": requests, simple replies, structured reply chunks; every byte by hand.
import { assertEquals, assertRejects } from "@std/assert";
import { NbdBackend } from "../../host/backends/nbd/backend.ts";
import { parseNbdUri } from "../../host/backends/nbd/uri.ts";
import { BackendError } from "../../protocol/mod.ts";
import { type FakeNbdPeer, FakeNbdServer, type Welcome } from "../support/nbd_server.ts";

const signal = new AbortController().signal;

interface Opened extends AsyncDisposable {
  readonly server: FakeNbdServer;
  readonly peer: FakeNbdPeer;
  readonly disk: NbdBackend;
  readonly reports: string[];
}

async function opened(welcome?: Welcome): Promise<Opened> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(new FakeNbdServer());
  const reports: string[] = [];
  const report = (error: BackendError) => void reports.push(error.message);
  const opening = NbdBackend.open(parseNbdUri(server.uri), { report });
  const peer = await server.welcome(welcome);
  const disk = stack.use(await opening);
  const kept = stack.move();
  return { server, peer, disk, reports, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

Deno.test("NbdBackend asks as the protocol wants it, all of a turn in one go", async () => {
  await using rig = await opened();
  const { disk, peer } = rig;
  const done = Promise.all([
    disk.write(8, new Uint8Array(512).fill(0xab), signal),
    disk.flush(signal),
    disk.discard!(16, 8, signal),
    disk.writeZeroes!(24, 8, true, signal),
    disk.writeZeroes!(32, 8, false, signal),
    disk.read(2047, new Uint8Array(512), signal),
  ]);
  await peer.expect(
    "25609513 0000 0001 0000000000000001 0000000000001000 00000200" + "ab".repeat(512) +
      "25609513 0000 0003 0000000000000002 0000000000000000 00000000" +
      "25609513 0000 0004 0000000000000003 0000000000002000 00001000" +
      "25609513 0000 0006 0000000000000004 0000000000003000 00001000" +
      "25609513 0002 0006 0000000000000005 0000000000004000 00001000" +
      "25609513 0000 0000 0000000000000006 00000000000ffe00 00000200",
  );
  await peer.send(
    "668e33ef 0001 0001 0000000000000006 00000208 00000000000ffe00" + "00".repeat(512),
  );
  // In any order, simple or structured.
  for (const cookie of [5, 3, 1]) await peer.send(`67446698 00000000 000000000000000${cookie}`);
  for (const cookie of [4, 2]) {
    await peer.send(`668e33ef 0001 0000 000000000000000${cookie} 00000000`);
  }
  await done;
});

Deno.test("NbdBackend puts data and holes where they belong, whatever comes between", async () => {
  await using rig = await opened();
  const { disk, peer } = rig;
  const one = new Uint8Array(1536).fill(0xee);
  const two = new Uint8Array(512).fill(0xee);
  const done = Promise.all([disk.read(0, one, signal), disk.read(8, two, signal)]);
  await peer.read(56);
  await peer.send(
    "668e33ef 0000 0001 0000000000000001 00000208 0000000000000400" + "33".repeat(512),
  );
  await peer.send("668e33ef 0001 0002 0000000000000002 0000000c 0000000000001000 00000200");
  await peer.send("668e33ef 0000 0002 0000000000000001 0000000c 0000000000000200 00000200");
  await peer.send(
    "668e33ef 0000 0001 0000000000000001 00000208 0000000000000000" + "11".repeat(512),
  );
  await peer.send("668e33ef 0001 0000 0000000000000001 00000000");
  await done;
  assertEquals(one.toHex(), "11".repeat(512) + "00".repeat(512) + "33".repeat(512));
  assertEquals(two.toHex(), "00".repeat(512));
});

Deno.test("NbdBackend understands simple replies to reads, cut anywhere", async () => {
  await using rig = await opened({ structured: false });
  const { disk, peer } = rig;
  const into = new Uint8Array(512);
  const reply = "67446698 00000000 0000000000000001".replaceAll(" ", "") + "5a".repeat(512);
  const done = disk.read(0, into, signal);
  await peer.read(28);
  for (let at = 0; at < reply.length; at += 14) await peer.send(reply.slice(at, at + 14));
  await done;
  assertEquals(into.toHex(), "5a".repeat(512));
});

Deno.test("NbdBackend cuts what is longer than the server takes into whole blocks", async () => {
  await using rig = await opened({ blocks: "00000001 00000200 000005ff" });
  const { disk, peer } = rig;
  const into = new Uint8Array(1536);
  const done = disk.read(0, into, signal);
  await peer.expect("25609513 0000 0000 0000000000000001 0000000000000000 00000400");
  await peer.expect("25609513 0000 0000 0000000000000002 0000000000000400 00000200");
  await peer.send(
    "668e33ef 0001 0001 0000000000000002 00000208 0000000000000400" + "22".repeat(512),
  );
  await peer.send(
    "668e33ef 0001 0001 0000000000000001 00000408 0000000000000000" + "11".repeat(1024),
  );
  await done;
  assertEquals(into.toHex(), "11".repeat(1024) + "22".repeat(512));
});

const ERRORS = [
  ["a simple reply", "67446698 0000001c 0000000000000001", "the server says ENOSPC"],
  [
    "a chunk",
    "668e33ef 0001 8001 0000000000000001 0000000a 00000005 0004 6469736b",
    'the server says EIO ("disk")',
  ],
  [
    "a chunk with an offset",
    "668e33ef 0001 8002 0000000000000001 0000000e 00000001 0000 0000000000001000",
    "the server says EPERM",
  ],
  [
    "a chunk of an unknown kind",
    "668e33ef 0001 ffff 0000000000000001 00000008 00000016 0000 abcd",
    "the server says EINVAL",
  ],
  ["an unknown number", "67446698 0000000d 0000000000000001", "the server says EINVAL (13)"],
  [
    "two chunks, and the first counts",
    "668e33ef 0000 8001 0000000000000001 00000006 00000005 0000" +
    "668e33ef 0001 8001 0000000000000001 00000006 00000016 0000",
    "the server says EIO",
  ],
] as const;
for (const [how, reply, reason] of ERRORS) {
  Deno.test(`NbdBackend fails one request when the server says so by ${how}`, async () => {
    await using rig = await opened();
    const { disk, peer, reports } = rig;
    const writing = disk.write(8, new Uint8Array(512), signal);
    const flushing = disk.flush(signal);
    await peer.read(28 + 512 + 28);
    await peer.send(reply);
    await assertRejects(
      () => writing,
      BackendError,
      `Cannot write 1 sectors at 8 of ${disk.name}: ${reason}`,
    );
    await peer.send("67446698 00000000 0000000000000002");
    await flushing;
    assertEquals(reports, []);
  });
}

/** To a read of 1024 bytes at 4096, cookie 1, and a flush, cookie 2. */
const MALFORMED: readonly (readonly [string, string, string, Welcome?])[] = [
  ["of a wrong magic", "67446699 00000000 0000000000000001", "0x67446699 begins no reply"],
  ["to no request", "67446698 00000000 0000000000000003", "cookie 3 is of no request"],
  ["to a cookie of 2^64-1", "67446698 00000000 ffffffffffffffff", "cookie Infinity is of no"],
  ["simple to a read", "67446698 00000000 0000000000000001", "a simple reply to a read"],
  [
    "structured, not negotiated",
    "668e33ef 0001 0000 0000000000000002 00000000",
    "0x668e33ef begins no reply",
    { structured: false },
  ],
  ["of an unknown type", chunk("0001", "0005", "00000004 00000000"), "chunk type 5"],
  ["empty and not the last", chunk("0000", "0000", ""), "an empty chunk that is not the last"],
  ["empty with content", chunk("0001", "0000", "00"), "an empty chunk of 1 bytes"],
  ["of no data", chunk("0001", "0001", "0000000000001000"), "a data chunk of 8 bytes"],
  ["of data before the range", chunk("0001", "0001", "0000000000000fff 00"), "data at 4095"],
  ["of data beyond 2^53", chunk("0001", "0001", "ffffffffffffffff 00"), "Infinity of a read of"],
  ["of data past the end", chunk("0001", "0001", "00000000000013ff 0000"), "2 bytes at 1023 of a"],
  [
    "of 4 GiB",
    "668e33ef 0001 0001 0000000000000001 ffffffff 0000000000001000",
    "4294967287 bytes at 0 of a",
  ],
  ["of an odd hole", chunk("0001", "0002", "0000000000001000"), "a hole chunk of 8 bytes"],
  ["of an empty hole", chunk("0001", "0002", "0000000000001000 00000000"), "0 bytes at 0 of a"],
  ["of a hole past the end", chunk("0001", "0002", "0000000000001000 00000401"), "1025 bytes at 0"],
  [
    "with too much",
    chunk("0000", "0002", "0000000000001000 00000400") +
    chunk("0001", "0002", "0000000000001000 00000400"),
    "1024 bytes at 0 of a read of 1024",
  ],
  [
    "with too little",
    chunk("0001", "0002", "0000000000001000 00000200"),
    "512 bytes of a read of 1024",
  ],
  ["with a short error", chunk("0001", "8001", "00000005"), "an error chunk of 4 bytes"],
  ["without an error", chunk("0001", "8001", "00000000 0000"), "an error chunk without an error"],
  ["with a message past it", chunk("0001", "8001", "00000005 0001"), "an error message of 1 bytes"],
  [
    "with a long error",
    "668e33ef 0001 8001 0000000000000001 0000100f",
    "an error chunk of 4111 bytes",
  ],
  [
    "of data to a flush",
    "668e33ef 0001 0001 0000000000000002 00000009 0000000000000000 00",
    "data at 0 that was not asked for",
  ],
];
for (const [what, reply, reason, welcome] of MALFORMED) {
  Deno.test(`NbdBackend leaves a server with a reply ${what}, and asks again`, async () => {
    await using rig = await opened(welcome);
    const { disk, server, peer, reports } = rig;
    const into = new Uint8Array(1024);
    const done = Promise.all([disk.read(8, into, signal), disk.flush(signal)]);
    const requests = "25609513 0000 0000 0000000000000001 0000000000001000 00000400" +
      "25609513 0000 0003 0000000000000002 0000000000000000 00000000";
    await peer.expect(requests);
    await peer.send(reply);
    assertEquals(await peer.end(), "");
    const next = await server.welcome();
    await next.expect(requests);
    await next.send("67446698 00000000 0000000000000002");
    await next.send(chunk("0001", "0001", "0000000000001000" + "77".repeat(1024)));
    await done;
    assertEquals(into.toHex(), "77".repeat(1024));
    assertEquals(reports.length, 1);
    assertEquals(reports[0]!.includes(reason), true, reports[0]);
  });
}

/** A chunk for cookie 1. */
function chunk(flags: string, type: string, content: string): string {
  const hex = content.replaceAll(" ", "");
  const length = (hex.length / 2).toString(16).padStart(8, "0");
  return `668e33ef ${flags} ${type} 0000000000000001 ${length} ${hex}`;
}
