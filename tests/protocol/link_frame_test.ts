import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MESSAGE, ProtocolError, UnsupportedRequest } from "../../protocol/mod.ts";
import { FrameRules } from "../../protocol/link/frame.ts";
import { encodeGoodbye } from "../../protocol/link/control.ts";
import { frame, hex, rawCard } from "../support/link_peer.ts";

// Each frame as protocol/README.md draws it. The first frame of a session has sequence ffffff00 and the peer's
// count starts at fffffeff.

Deno.test("encodeGoodbye() writes reason and text", () => {
  assertEquals(
    encodeGoodbye("busy", "Grüß"),
    hex("01 07 0000 06000000 00000000 00000000  4772c3bcc39f"),
  );
});

Deno.test("encodeGoodbye() cuts its text at 1024 bytes, between characters", () => {
  const bytes = encodeGoodbye("internal", "€".repeat(400));
  assertEquals(bytes.length, 16 + 1023);
  assertEquals(bytes.subarray(4, 8), hex("ff030000"));
});

Deno.test("a connection opens with the credit frame", async () => {
  await using card = await rawCard({ nonPosted: 3 });
  assertEquals(
    await card.peer.take(28),
    hex("02 00 0000 0c000000 00000000 fffeffff  00000001 00200000 03000000"),
  );
});

Deno.test("Link.postWrite() writes one span and its bytes", async () => {
  await using card = await rawCard();
  await card.peer.take(28);
  card.link.postWrite(0x8_0123_4567, hex("aabbcc"));
  assertEquals(
    await card.peer.take(31),
    hex("10 00 0100 0f000000 00ffffff fffeffff  6745230108000000 03000000 aabbcc"),
  );
});

Deno.test("Link.openWrite() writes the table of spans first, then all bytes", async () => {
  await using card = await rawCard();
  await card.peer.take(28);
  const place = card.link.openWrite([{ address: 0x1000, length: 2 }, { address: 0, length: 1 }]);
  place.set(hex("aabbcc"));
  assertEquals(
    await card.peer.take(43),
    hex(`10 00 0200 1b000000 00ffffff fffeffff
      0010000000000000 02000000
      0000000000000000 01000000
      aabbcc`),
  );
});

Deno.test("Link.message() writes code and both arguments", async () => {
  await using card = await rawCard();
  await card.peer.take(28);
  card.link.message(MESSAGE.power, 0x19, 0xdead_beef);
  assertEquals(
    await card.peer.take(24),
    hex("11 00 0200 08000000 00ffffff fffeffff  19000000 efbeadde"),
  );
});

Deno.test("Link.memoryRead() writes address and length, and takes the completion's data", async () => {
  await using card = await rawCard();
  await card.peer.take(28);
  const read = card.link.memoryRead(0xf_0000_0010, 5);
  assertEquals(
    await card.peer.take(28),
    hex("20 00 0000 0c000000 00ffffff fffeffff  100000000f000000 05000000"),
  );
  await card.peer.send(hex("30 00 0000 05000000 00ffffff 00ffffff  0102030405"));
  assertEquals(await read, hex("0102030405"));
});

const ACCESSES = [
  {
    name: "configRead()",
    request: "21 02 0000 04000000 00ffffff fffeffff  10000000",
    completion: "30 00 0000 04000000 00ffffff 00ffffff  fe030000",
    result: 0x3fe,
  },
  {
    name: "configWrite()",
    request: "22 04 0000 08000000 00ffffff fffeffff  10000000 ffffffff",
    completion: "30 00 0000 00000000 00ffffff 00ffffff",
    result: undefined,
  },
  {
    name: "ioRead()",
    request: "23 01 0000 04000000 00ffffff fffeffff  80000000",
    completion: "30 00 0000 04000000 00ffffff 00ffffff  12000000",
    result: 0x12,
  },
  {
    name: "ioWrite()",
    request: "24 02 0000 08000000 00ffffff fffeffff  80000000 34120000",
    completion: "30 00 0000 00000000 00ffffff 00ffffff",
    result: undefined,
  },
];
for (const { name, request, completion, result } of ACCESSES) {
  Deno.test(`Link.${name} writes its request and takes its completion`, async () => {
    await using card = await rawCard();
    await card.peer.take(28);
    const done: Promise<number | void> = {
      "configRead()": () => card.link.configRead(0x10, 2),
      "configWrite()": () => card.link.configWrite(0x10, 4, 0xffff_ffff),
      "ioRead()": () => card.link.ioRead(0x80, 1),
      "ioWrite()": () => card.link.ioWrite(0x80, 2, 0x1234),
    }[name]!();
    const wanted = hex(request);
    assertEquals(await card.peer.take(wanted.length), wanted);
    await card.peer.send(hex(completion));
    assertEquals(await done, result);
  });
}

for (const status of ["01", "04"]) {
  Deno.test(`a completion of status ${status} rejects with UnsupportedRequest`, async () => {
    await using card = await rawCard();
    const read = card.link.configRead(0, 4);
    const rejected = assertRejects(() => read, UnsupportedRequest);
    await card.peer.send(hex(`30 ${status} 0000 00000000 00ffffff fffeffff`));
    await rejected;
  });
}

/** Requests of the peer, and what the link answers. */
const ANSWERS = [
  {
    request: "20 00 3412 0c000000 00ffffff fffeffff  0400000000000000 03000000",
    call: "read 4 3",
    answer: "30 00 3412 03000000 00ffffff 00ffffff  040506",
  },
  {
    request: "20 00 3412 0c000000 00ffffff fffeffff  0000000001000000 03000000",
    call: "read 4294967296 3",
    answer: "30 01 3412 00000000 00ffffff 00ffffff",
  },
  {
    request: "21 04 0100 04000000 00ffffff fffeffff  08000000",
    call: "config read 8 4",
    answer: "30 00 0100 04000000 00ffffff 00ffffff  42000000",
  },
  {
    request: "22 02 0100 08000000 00ffffff fffeffff  04000000 06000000",
    call: "config write 4 2 6",
    answer: "30 00 0100 00000000 00ffffff 00ffffff",
  },
  {
    request: "23 02 0100 04000000 00ffffff fffeffff  80020000",
    call: "io read 640 2",
    answer: "30 00 0100 04000000 00ffffff 00ffffff  69000000",
  },
  {
    request: "24 01 0100 08000000 00ffffff fffeffff  80020000 ff000000",
    call: "io write 640 1 255",
    answer: "30 00 0100 00000000 00ffffff 00ffffff",
  },
  {
    request:
      "10 00 0100 0e000000 00ffffff fffeffff  0000000001000000 02000000 aabb ; nobody has that address",
    call: "write 4294967296 2",
    answer: "11 00 0300 08000000 00ffffff 00ffffff  31000000 00000000",
  },
];
for (const { request, call, answer } of ANSWERS) {
  Deno.test(`the link answers "${call}" with ${answer}`, async () => {
    await using card = await rawCard();
    card.completer.memory.set(hex("00010203040506"));
    await card.peer.take(28);
    await card.peer.send(hex(request));
    const wanted = hex(answer);
    assertEquals(await card.peer.take(wanted.length), wanted);
    assertEquals(card.completer.calls, [call]);
    assertEquals(card.link.counters.unsupported, call.includes("4294967296") ? 1 : 0);
  });
}

Deno.test("the link answers a ping with its pong", async () => {
  await using card = await rawCard();
  await card.peer.take(28);
  await card.peer.send(hex("03 00 0000 04000000 00000000 fffeffff  78563412"));
  assertEquals(
    await card.peer.take(20),
    hex("04 00 0000 04000000 00000000 fffeffff  78563412"),
  );
});

Deno.test("FrameRules.check() takes a memory write of the negotiated size and no byte more", () => {
  const rules = new FrameRules(4096, 8192);
  rules.check(0x10, 1024 * 12 + 4096);
  assertThrows(() => rules.check(0x10, 1024 * 12 + 4097), ProtocolError);
  rules.check(0x30, 8192);
  assertThrows(() => rules.check(0x30, 8193), ProtocolError);
});

Deno.test("frame() of the test support writes what the document says", () => {
  assertEquals(
    frame(0x11, { code: 1, tag: 2, sequence: 3, ack: 4 }, hex("05")),
    hex("11 01 0200 01000000 03000000 04000000 05"),
  );
});
