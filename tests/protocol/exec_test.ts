import { assertEquals, assertMatch, assertNotEquals, assertThrows } from "@std/assert";
import {
  decodeExecRequest,
  encodeExecRequest,
  encodeExecTrailer,
  execNonce,
} from "../../protocol/exec.ts";

const NONCE = "00112233445566778899aabbccddeeff";
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("encodeExecRequest() is the nonce and the command in base64 of UTF-8", () => {
  assertEquals(
    text(encodeExecRequest({ nonce: NONCE, command: "echo é\nls" })),
    `${NONCE} ZWNobyDDqQpscw==\n`,
  );
});

Deno.test("encodeExecRequest() refuses a bad nonce and a line that is too long", () => {
  for (const nonce of ["", NONCE.toUpperCase(), NONCE + "0", "g".repeat(32)]) {
    assertThrows(() => encodeExecRequest({ nonce, command: "" }), RangeError, "32 hex digits");
  }
  const command = "x".repeat(49_200);
  assertThrows(() => encodeExecRequest({ nonce: NONCE, command }), RangeError, "65536");
});

Deno.test("decodeExecRequest() reads what encodeExecRequest() wrote", () => {
  for (const command of ["", "echo é\nls", "a b c"]) {
    const line = text(encodeExecRequest({ nonce: NONCE, command })).slice(0, -1);
    assertEquals(decodeExecRequest(line), { nonce: NONCE, command });
  }
});

Deno.test("decodeExecRequest() is undefined for what is no request", () => {
  const lines = [
    "",
    NONCE,
    `${NONCE} ====`,
    `${NONCE} bHM`, // no padding
    `${NONCE} /w==`, // 0xff: not UTF-8
    `${NONCE}  bHM=`,
    `${NONCE} bHM= `,
    `${NONCE.slice(1)} bHM=`,
  ];
  for (const line of lines) assertEquals(decodeExecRequest(line), undefined, line);
});

Deno.test("encodeExecTrailer() is the nonce and the exit status", () => {
  assertEquals(text(encodeExecTrailer(NONCE, 130)), `${NONCE} 130\n`);
});

Deno.test("execNonce() is fresh each time", () => {
  assertMatch(execNonce(), /^[0-9a-f]{32}$/);
  assertNotEquals(execNonce(), execNonce());
});
