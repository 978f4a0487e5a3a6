// What an NBD disk does when its connection goes, its requests are given up, or its export comes back as another.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { NbdBackend } from "../../host/backends/nbd/backend.ts";
import { parseNbdUri } from "../../host/backends/nbd/uri.ts";
import { BackendError } from "../../protocol/mod.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { type FakeNbdPeer, FakeNbdServer, type Welcome } from "../support/nbd_server.ts";

const signal = new AbortController().signal;
const READ_1 = "25609513 0000 0000 0000000000000001 0000000000000000 00000200";
const DATA = "00".repeat(512);

async function start(server: FakeNbdServer, welcome?: Welcome) {
  const reports: string[] = [];
  const report = (error: BackendError) => void reports.push(error.message);
  const opening = NbdBackend.open(parseNbdUri(server.uri), { report });
  const peer = await server.welcome(welcome);
  return { peer, disk: await opening, reports };
}

Deno.test("NbdBackend asks again, in order, what was not answered, on each new connection", async () => {
  await using server = new FakeNbdServer();
  const { peer, disk, reports } = await start(server);
  await using _disk = disk;
  const writing = disk.write(0, new Uint8Array(512), signal);
  const answered = disk.flush(signal);
  await peer.read(28 + 512 + 28);
  await peer.send("67446698 00000000 0000000000000002");
  await answered;
  peer.close();
  // Before it is back.
  const flushing = disk.flush(signal);
  const again = "25609513 0000 0001 0000000000000001 0000000000000000 00000200" + DATA +
    "25609513 0000 0003 0000000000000003 0000000000000000 00000000";
  const second = await server.welcome();
  await second.expect(again);
  second.close();
  const third = await server.welcome();
  await third.expect(again);
  await third.send("67446698 00000000 0000000000000003 67446698 00000000 0000000000000001");
  await Promise.all([writing, flushing]);
  assertEquals(
    reports,
    Array(2).fill(
      `Lost ${disk.name}: the server closed the connection; trying until it is back`,
    ),
  );
});

Deno.test("NbdBackend says that its server is gone, and for how long, until it is back", async () => {
  await using server = new FakeNbdServer();
  const { peer, disk, reports } = await start(server);
  await using _disk = disk;
  assertEquals(disk.waiting, undefined);
  peer.close();
  while (reports.length === 0) await new Promise((resolve) => setTimeout(resolve));
  assertEquals(disk.waiting, "waits for its server, which is gone for 0 s");
  const next = await server.welcome();
  const flushing = disk.flush(signal);
  await next.read(28);
  assertEquals(disk.waiting, undefined);
  await next.send("67446698 00000000 0000000000000001");
  await flushing;
});

Deno.test("NbdBackend starts a read anew when half of it had come", async () => {
  await using server = new FakeNbdServer();
  const { peer, disk } = await start(server);
  await using _disk = disk;
  const into = new Uint8Array(1024);
  const reading = disk.read(0, into, signal);
  await peer.read(28);
  await peer.send("668e33ef 0000 0001 0000000000000001 00000208 0000000000000200" + DATA);
  await peer.send("668e33ef 0000 8001 0000000000000001 00000006 00000005 0000");
  peer.close();
  const next = await server.welcome();
  await next.read(28);
  await next.send(
    "668e33ef 0001 0001 0000000000000001 00000408 0000000000000000" + "99".repeat(1024),
  );
  await reading;
  assertEquals(into.toHex(), "99".repeat(1024));
});

Deno.test("NbdBackend says once that its server is silent, and waits", async () => {
  using clock = fakeClock();
  await using server = new FakeNbdServer();
  const { peer, disk, reports } = await start(server);
  await using _disk = disk;
  const silent = `${disk.name} has answered nothing for 10 s: 1 request waits`;
  const heard = () => reports.map((text) => text.slice(0, silent.length));
  // An idle server is not silent.
  await clock.tick(60_000);
  const flushing = disk.flush(signal);
  await peer.read(28);
  await clock.tick(9_999);
  assertEquals(reports, []);
  await clock.tick(1);
  assertEquals(heard(), [silent]);
  await clock.tick(600_000);
  assertEquals(heard(), [silent]);
  assertEquals(disk.waiting, "waits for its server, which answers nothing");
  await peer.send("67446698 00000000 0000000000000001");
  await flushing;
  assertEquals(disk.waiting, undefined);
  // The next silence is another one.
  const again = disk.flush(signal);
  await peer.read(28);
  await clock.tick(20_000);
  assertEquals(heard(), [silent, silent]);
  await peer.send("67446698 00000000 0000000000000002");
  await again;
  await clock.tick(60_000);
  assertEquals(heard(), [silent, silent]);
});

Deno.test("NbdBackend takes ESHUTDOWN for a loss: nothing fails", async () => {
  await using server = new FakeNbdServer();
  const { peer, disk } = await start(server);
  await using _disk = disk;
  const flushing = disk.flush(signal);
  await peer.read(28);
  await peer.send("67446698 0000006c 0000000000000001");
  await peer.end();
  const next = await server.welcome();
  await next.read(28);
  await next.send("67446698 00000000 0000000000000001");
  await flushing;
});

for (
  const [what, other, reason] of [
    ["size", { size: "0000000000080000" }, "it has 524288 bytes, had 1048576"],
    ["flags", { flags: "0067" }, "its flags are 0x67, were 0x65"],
    [
      "block sizes",
      { blocks: "00001000 00001000 02000000" },
      "it takes 4096 to 33554432 bytes at once, took 1 to 33554432",
    ],
  ] as const
) {
  Deno.test(`NbdBackend fails requests while the export has another ${what}`, async () => {
    await using server = new FakeNbdServer();
    const { peer, disk, reports } = await start(server);
    await using _disk = disk;
    const flushing = disk.flush(signal);
    await peer.read(28);
    peer.close();
    const sentence = `${disk.name} came back as another disk: ${reason}`;
    const failed = assertRejects(() => flushing, BackendError, sentence);
    const next = await server.welcome(other);
    await failed;
    await next.end();
    await assertRejects(() => disk.flush(signal), BackendError, sentence);
    await (await server.welcome(other)).end();
    assertEquals(reports.slice(1), [sentence]);
    assertEquals(disk.waiting, `cannot be served: ${sentence}`);
    // As it was. Until the handshake's end has reached the client it refuses still, and uses no cookie.
    const third = await server.welcome();
    const served = (async () => {
      for (;;) {
        try {
          return await disk.flush(signal);
        } catch {
          await new Promise((resolve) => setTimeout(resolve));
        }
      }
    })();
    await third.read(28);
    await third.send("67446698 00000000 0000000000000002");
    await served;
  });
}

Deno.test("NbdBackend fails given up requests at once, and understands late answers", async () => {
  await using server = new FakeNbdServer();
  const { peer, disk } = await start(server);
  await using _disk = disk;
  const abort = new AbortController();
  const into = new Uint8Array(512).fill(0xee);
  const given = assertRejects(async () => await disk.read(0, into, abort.signal), Error, "reset");
  await peer.expect(READ_1);
  abort.abort(new Error("reset"));
  await given;
  await assertRejects(() => disk.flush(abort.signal), Error, "reset");
  // The answer comes nevertheless, and nothing is waiting behind it: the buffer is not ours any more.
  const flushing = disk.flush(signal);
  await peer.send("668e33ef 0001 0001 0000000000000001 00000208 0000000000000000" + DATA);
  await peer.read(28);
  await peer.send("67446698 00000000 0000000000000002");
  await flushing;
  assertEquals(into.toHex(), "ee".repeat(512));
});

Deno.test("NbdBackend keeps no buffers of requests given up, and asks no end of them, while its server stands still", async () => {
  const GIB = 1024 ** 3;
  await using server = new FakeNbdServer();
  const { peer, disk } = await start(server, { size: "0000000010000000" });
  await using _disk = disk;
  const before = Deno.memoryUsage().external;
  for (let reset = 0; reset < 256; reset++) {
    const abort = new AbortController();
    const reads = Array.from({ length: 8 }, async () => {
      await disk.read(0, new Uint8Array(GIB / 512).subarray(0, 512), abort.signal);
    });
    // Long enough for the batch to be with the server's socket.
    await new Promise((resolve) => setTimeout(resolve));
    abort.abort(new Error("reset"));
    for (const { status } of await Promise.allSettled(reads)) assertEquals(status, "rejected");
  }
  // Of the 4 GiB of buffers that went by; what is not collected yet is well below one.
  const kept = (Deno.memoryUsage().external - before) / GIB;
  assert(kept < 1, `${kept} GiB are kept`);
  // Of 2048 it was asked the first 1032: after 1024 no more. As answers come it is asked again.
  const flushing = disk.flush(signal);
  await peer.read(28 * 1032);
  for (let cookie = 1; cookie <= 8; cookie++) {
    await peer.send(`668e33ef 0001 8001 000000000000000${cookie} 00000006 00000005 0000`);
  }
  await peer.expect("25609513 0000 0003 0000000000000801 0000000000000000 00000000");
  await peer.send("668e33ef 0001 0000 0000000000000801 00000000");
  await flushing;
});

/** A write that the server has, and that was given up. */
async function orphanWrite(disk: NbdBackend, peer: FakeNbdPeer): Promise<void> {
  const abort = new AbortController();
  const write = async () => await disk.write(0, new Uint8Array(512), abort.signal);
  const written = assertRejects(write, Error, "reset");
  await peer.expect("25609513 0000 0001 0000000000000001 0000000000000000 00000200" + DATA);
  abort.abort(new Error("reset"));
  await written;
}

Deno.test("NbdBackend sends nothing newer before a given up write is answered", async () => {
  await using server = new FakeNbdServer();
  const { peer, disk } = await start(server);
  await orphanWrite(disk, peer);
  const next = disk.write(0, new Uint8Array(512).fill(1), signal);
  const failed = assertRejects(() => next, BackendError, "was closed");
  // What was sent before the goodbye would come before it.
  await disk[Symbol.asyncDispose]();
  await failed;
  assertEquals(await peer.end(), "2560951300000002" + "00".repeat(20));
});

Deno.test("NbdBackend goes on when a given up write is answered", async () => {
  await using server = new FakeNbdServer();
  const { peer, disk } = await start(server);
  await using _disk = disk;
  await orphanWrite(disk, peer);
  const next = disk.write(0, new Uint8Array(512).fill(1), signal);
  await peer.send("67446698 00000000 0000000000000001");
  await peer.expect(
    "25609513 0000 0001 0000000000000002 0000000000000000 00000200" + "01".repeat(512),
  );
  await peer.send("67446698 00000000 0000000000000002");
  await next;
});

Deno.test("NbdBackend leaves a server that answers what it was not asked yet", async () => {
  await using server = new FakeNbdServer();
  const { peer, disk } = await start(server);
  await using _disk = disk;
  await orphanWrite(disk, peer);
  const flushing = disk.flush(signal);
  await peer.send("67446698 00000000 0000000000000002");
  assertEquals(await peer.end(), "");
  const next = await server.welcome();
  await next.expect("25609513 0000 0003 0000000000000002 0000000000000000 00000000");
  await next.send("67446698 00000000 0000000000000002");
  await flushing;
});

Deno.test("NbdBackend does not wait, after a loss, for writes that were given up", async () => {
  await using server = new FakeNbdServer();
  const { peer, disk } = await start(server);
  await using _disk = disk;
  await orphanWrite(disk, peer);
  const flushing = disk.flush(signal);
  peer.close();
  const second = await server.welcome();
  await second.expect("25609513 0000 0003 0000000000000002 0000000000000000 00000000");
  await second.send("67446698 00000000 0000000000000002");
  await flushing;
  const again = disk.flush(signal);
  await second.expect("25609513 0000 0003 0000000000000003 0000000000000000 00000000");
  await second.send("67446698 00000000 0000000000000003");
  await again;
});

Deno.test("NbdBackend leaves the connection when a write is given up half sent", async () => {
  await using server = new FakeNbdServer();
  const { peer, disk, reports } = await start(server, { size: "0000000010000000" });
  await using _disk = disk;
  const abort = new AbortController();
  // More than the sockets take while nobody reads.
  const written = assertRejects(
    async () => await disk.write(0, new Uint8Array(32 << 20), abort.signal),
    Error,
    "reset",
  );
  const flushing = disk.flush(signal);
  await peer.read(28);
  abort.abort(new Error("reset"));
  await written;
  const second = await server.welcome({ size: "0000000010000000" });
  await second.expect("25609513 0000 0003 0000000000000002 0000000000000000 00000000");
  await second.send("67446698 00000000 0000000000000002");
  await flushing;
  assertEquals(reports.length, 1);
});

Deno.test("NbdBackend fails what is not answered when it is closed, connected or not", async () => {
  await using server = new FakeNbdServer();
  for (const connected of [true, false]) {
    const { peer, disk, reports } = await start(server);
    const flushing = assertRejects(() => disk.flush(signal), BackendError, "was closed");
    await peer.read(28);
    if (!connected) {
      peer.close();
      while (reports.length === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    await disk[Symbol.asyncDispose]();
    await flushing;
    if (connected) assertEquals((await peer.end()).slice(0, 16), "2560951300000002");
  }
});
