// The NBD project's doc/proto.md, "Newstyle negotiation"; every byte typed by hand.
import { assertEquals, assertRejects } from "@std/assert";
import { NbdBackend } from "../../host/backends/nbd/backend.ts";
import { parseNbdUri } from "../../host/backends/nbd/uri.ts";
import { BackendError } from "../../protocol/mod.ts";
import { type FakeNbdPeer, FakeNbdServer } from "../support/nbd_server.ts";

const HELLO = "4e42444d41474943 49484156454f5054 0003";
const REPLY = "0003e889045565a9";
const SR_ACK = `${REPLY} 00000008 00000001 00000000`;
const EXPORT = `${REPLY} 00000007 00000003 0000000c 0000 0000000000100000 0065`;
const ACK = `${REPLY} 00000007 00000001 00000000`;

const open = (uri: string, signal?: AbortSignal) =>
  NbdBackend.open(parseNbdUri(uri), signal && { signal });

Deno.test("NbdBackend.open() negotiates with GO, asks for block sizes, and takes leave", async () => {
  await using server = new FakeNbdServer();
  const opening = open(server.uri);
  const peer = await server.accept();
  await peer.send(HELLO);
  await peer.expect("00000003");
  await peer.expect("49484156454f5054 00000008 00000000");
  await peer.send(SR_ACK);
  await peer.expect("49484156454f5054 00000007 0000000c 00000004 6469736b 0001 0003");
  // Information that was not asked for is passed over: the export's canonical name.
  await peer.send(`${REPLY} 00000007 00000003 00000006 0001 6469736b`);
  await peer.send(EXPORT);
  await peer.send(`${REPLY} 00000007 00000003 0000000e 0003 00001000 00010000 02000000`);
  await peer.send(ACK);
  const disk = await opening;
  assertEquals([disk.name, disk.sectors, disk.blockSize, disk.readOnly], [
    server.uri,
    2048,
    4096,
    false,
  ]);
  assertEquals([typeof disk.discard, typeof disk.writeZeroes], ["function", "function"]);
  await disk[Symbol.asyncDispose]();
  await disk[Symbol.asyncDispose]();
  assertEquals(
    await peer.end(),
    "25609513" + "0000" + "0002" + "0000000000000000" + "0000000000000000" + "00000000",
  );
});

Deno.test("NbdBackend.open() has the abilities that the export has", async () => {
  await using server = new FakeNbdServer();
  const opening = open(server.uri);
  await server.welcome({ flags: "0003", structured: false });
  await using disk = await opening;
  assertEquals([disk.readOnly, disk.blockSize], [true, 512]);
  assertEquals([disk.discard, disk.writeZeroes], [undefined, undefined]);
  await disk.flush(new AbortController().signal); // and asks nothing of the server
});

/** Where the server departs from the script: what it sends, and instead of what. */
const REFUSED: readonly (readonly [string, readonly string[], string])[] = [
  ["no NBD server", ["5353482d322e302d4f70656e53534821 0003"], "it is no NBD server"],
  ["oldstyle", ["4e42444d41474943 00420281861253 0000 00"], "the server speaks the old handshake"],
  ["no fixed newstyle", ["4e42444d41474943 49484156454f5054 0002"], "the server speaks the old"],
  ["a reply that is none", [HELLO, "00"], "the server closed the connection"],
  [
    "a reply of the wrong magic",
    [HELLO, `0003e889045565aa 00000008 00000001 00000000`],
    "a reply to option 8 that is none",
  ],
  [
    "a reply to another option",
    [HELLO, `${REPLY} 00000007 00000001 00000000`],
    "a reply to option 8 that is none",
  ],
  [
    "a reply without end",
    [HELLO, `${REPLY} 00000008 00000001 ffffffff`],
    "a reply of 4294967295 bytes",
  ],
  [
    "a strange answer to STRUCTURED_REPLY",
    [HELLO, `${REPLY} 00000008 00000003 00000000`],
    "reply 3 to the option STRUCTURED_REPLY",
  ],
  [
    "no such export",
    [HELLO, SR_ACK, `${REPLY} 00000007 80000006 00000002 6e6f`],
    'the server refuses: it has no such export ("no")',
  ],
  ["TLS", [HELLO, SR_ACK, `${REPLY} 00000007 80000005 00000000`], "refuses: it wants TLS"],
  ["no GO", [HELLO, SR_ACK, `${REPLY} 00000007 80000001 00000000`], "it does not know the option"],
  ["error 77", [HELLO, SR_ACK, `${REPLY} 00000007 8000004d 00000000`], "refuses: error 77"],
  ["no size", [HELLO, SR_ACK, ACK], "no size of the export"],
  [
    "information of one byte",
    [HELLO, SR_ACK, `${REPLY} 00000007 00000003 00000001 00`],
    "reply 3 of 1 bytes to the option GO",
  ],
  [
    "a size that is too short",
    [HELLO, SR_ACK, `${REPLY} 00000007 00000003 00000004 0000 0000`],
    "information 0 of 4 bytes",
  ],
  ["no end of information", [HELLO, SR_ACK, EXPORT.repeat(64)], "no end of replies"],
  ["a size of 2^53", [HELLO, SR_ACK, size("0020000000000000") + ACK], "a size beyond 2^53"],
  ["an empty export", [HELLO, SR_ACK, size("0000000000000000") + ACK], "the export is empty"],
  ["half a sector", [HELLO, SR_ACK, size("0000000000000300") + ACK], "the export has 768 bytes"],
  ["no flags", [HELLO, SR_ACK, EXPORT.slice(0, -4) + "0000" + ACK], "no flags of the export"],
  ["blocks of 0", [HELLO, SR_ACK, EXPORT + blocks("00000000 00001000 02000000") + ACK], "blocks"],
  ["blocks of 513", [HELLO, SR_ACK, EXPORT + blocks("00000201 00001000 02000000") + ACK], "blocks"],
  [
    "a largest block below the smallest",
    [HELLO, SR_ACK, EXPORT + blocks("00001000 00001000 00000200") + ACK],
    "blocks of 4096 to 512 bytes",
  ],
  [
    "requests below a sector",
    [HELLO, SR_ACK, EXPORT + blocks("00000001 00000001 00000100") + ACK],
    "the server takes 256 bytes at once",
  ],
];
for (const [what, script, reason] of REFUSED) {
  Deno.test(`NbdBackend.open() refuses a server with ${what}`, async () => {
    await using server = new FakeNbdServer();
    const refused = assertRejects(() => open(server.uri), BackendError, reason);
    const peer = await server.accept();
    await play(peer, script);
    await refused;
  });
}

Deno.test("NbdBackend.open() says why there is no connection, and can be given up", async () => {
  const uri = "nbd+unix:///disk?socket=/nonexistent/socket";
  await assertRejects(() => open(uri), BackendError, `Cannot open disk ${uri}: Cannot connect to`);
  await using server = new FakeNbdServer();
  const reason = new Error("no more");
  const abort = new AbortController();
  const opening = assertRejects(() => open(server.uri, abort.signal), Error, "no more");
  const peer = await server.accept();
  await peer.send(HELLO);
  await peer.expect("00000003");
  abort.abort(reason);
  await opening;
  await peer.end();
});

/** Bytes that the client says after each piece of a script: its flags with the first option, the second option. */
const CLIENT = [20, 28] as const;

/** Sends each piece when the client has said its part; then there is no more. */
async function play(peer: FakeNbdPeer, script: readonly string[]): Promise<void> {
  for (const [index, piece] of script.entries()) {
    if (index > 0) await peer.read(CLIENT[index - 1]!);
    await peer.send(piece);
  }
  peer.close();
}

function size(bytes: string): string {
  return `${REPLY} 00000007 00000003 0000000c 0000 ${bytes} 0065`;
}

function blocks(bytes: string): string {
  return `${REPLY} 00000007 00000003 0000000e 0003 ${bytes}`;
}
