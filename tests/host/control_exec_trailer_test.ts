import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { TrailerFinder } from "../../host/control/exec_trailer.ts";

const NONCE = "0123456789abcdef0123456789abcdef";
const bytes = (text: string) => new TextEncoder().encode(text);

/** Feeds the chunks; what came out as output, and the status. */
function find(chunks: readonly Uint8Array[]): { output: Uint8Array; status: number | undefined } {
  const finder = new TrailerFinder(NONCE);
  const output = chunks.flatMap((chunk) => [...finder.push(chunk)]);
  return { output: Uint8Array.from(output), status: finder.status };
}

const TRAILED = `output without newline${NONCE} 7\n`;
for (let cut = 0; cut <= TRAILED.length; cut++) {
  Deno.test(`TrailerFinder finds a trailer cut at byte ${cut}`, () => {
    const all = bytes(TRAILED);
    const { output, status } = find([all.subarray(0, cut), all.subarray(cut)]);
    assertEquals([new TextDecoder().decode(output), status], ["output without newline", 7]);
  });
}

const CASES = [
  { when: "the output is empty", text: `${NONCE} 0\n`, output: "", status: 0 },
  { when: "the status has three digits", text: `a${NONCE} 255\n`, output: "a", status: 255 },
  { when: "something follows it", text: `a${NONCE} 1\nrest`, output: "a", status: 1 },
  { when: "it comes twice", text: `${NONCE} 1\n${NONCE} 2\n`, output: "", status: 1 },
  {
    when: "the output ends in the beginning of the nonce",
    text: `0123${NONCE} 3\n`,
    output: "0123",
    status: 3,
  },
  {
    when: "the output has the nonce",
    text: `${NONCE}\nx${NONCE} 0\n`,
    output: `${NONCE}\nx`,
    status: 0,
  },
  { when: "the nonce stands twice", text: `${NONCE}${NONCE} 4\n`, output: NONCE, status: 4 },
  { when: "a status is missing", text: `${NONCE} \n`, output: `${NONCE} \n`, status: undefined },
  {
    when: "a status is too long",
    text: `${NONCE} 1234\n`,
    output: `${NONCE} 1234\n`,
    status: undefined,
  },
  {
    when: "a status is negative",
    text: `${NONCE} -1\n`,
    output: `${NONCE} -1\n`,
    status: undefined,
  },
  { when: "the newline has not come yet", text: `a${NONCE} 12`, output: "a", status: undefined },
] as const;

for (const { when, text, output, status } of CASES) {
  Deno.test(`TrailerFinder gives ${status ?? "no status"} when ${when}, whole and byte by byte`, () => {
    const all = bytes(text);
    for (const chunks of [[all], [...all].map((byte) => Uint8Array.of(byte))]) {
      assertEquals(find(chunks), { output: bytes(output), status });
    }
  });
}

Deno.test("TrailerFinder passes any bytes on, however they and the trailer are cut", () => {
  const digit = fc.constantFrom(...bytes(NONCE));
  const output = fc.uint8Array({ maxLength: 200 }).chain((random) =>
    fc.array(digit, { maxLength: 40 }).map((digits) => Uint8Array.from([...random, ...digits]))
  );
  fc.assert(
    fc.property(
      output,
      fc.nat(255),
      fc.array(fc.nat(300), { maxLength: 8 }),
      (output, status, cuts) => {
        const all = Uint8Array.from([...output, ...bytes(`${NONCE} ${status}\n`)]);
        const edges = [
          0,
          ...cuts.filter((cut) => cut < all.length).sort((a, b) => a - b),
          all.length,
        ];
        const chunks = edges.slice(1).map((end, i) => all.subarray(edges[i], end));
        assertEquals(find(chunks), { output, status });
      },
    ),
  );
});
