import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { identityText, makeIdentity, parseIdentity, shortIdentity } from "../../protocol/mod.ts";

Deno.test("makeIdentity() makes a certificate that its own key signed, without end and no authority", async () => {
  // Often enough that each form of a signature's two integers (short, high bit set) comes up.
  for (let i = 0; i < 64; i++) {
    const { certificate } = await makeIdentity();
    const x509 = new X509Certificate(certificate);
    assert(x509.verify(x509.publicKey));
    assertEquals(x509.ca, false);
    assertEquals([x509.subject, x509.issuer], ["CN=knightsbridge", "CN=knightsbridge"]);
    assertMatch(x509.validFrom, /1970/);
    assertMatch(x509.validTo, /9999/);
    assertMatch(x509.serialNumber, /^[4-7][0-9A-F]{31}$/);
  }
});

Deno.test("makeIdentity() has the SHA-256 of the certificate's DER as its fingerprint", async () => {
  const { certificate, fingerprint } = await makeIdentity();
  const { fingerprint256 } = new X509Certificate(certificate);
  assertEquals(fingerprint, fingerprint256.replaceAll(":", "").toLowerCase());
  assertEquals(shortIdentity(fingerprint).toHex(), fingerprint.slice(0, 32));
});

Deno.test("makeIdentity() never makes the same one twice", async () => {
  assertNotEquals((await makeIdentity()).fingerprint, (await makeIdentity()).fingerprint);
});

Deno.test("parseIdentity() reads what identityText() wrote, and refuses half of it", async () => {
  const identity = await makeIdentity();
  assertEquals(await parseIdentity(identityText(identity)), identity);
  await assertRejects(() => parseIdentity(identity.key), RangeError, "found no CERTIFICATE");
  await assertRejects(() => parseIdentity(identity.certificate), RangeError, "no PRIVATE KEY");
  await assertRejects(
    () => parseIdentity(identityText(identity).replaceAll("M", "*")),
    RangeError,
    "not base64",
  );
});

Deno.test("parseIdentity() refuses what TLS could not use: cut short, of two halves, of another kind", async () => {
  const [identity, other] = await Promise.all([makeIdentity(), makeIdentity()]);
  const text = identityText(identity);
  // The last byte is a line end, which nobody needs.
  for (let length = 0; length < text.length - 1; length += 7) {
    await assertRejects(() => parseIdentity(text.slice(0, length)), RangeError, "Cannot read ");
  }
  await assertRejects(
    () => parseIdentity(other.key + identity.certificate),
    RangeError,
    "its CERTIFICATE is of another PRIVATE KEY",
  );
  // Lines lost from the middle of a block: still base64, but not what it was.
  const lines = text.split("\n");
  for (const [line, what] of [[1, "PRIVATE KEY"], [8, "CERTIFICATE"]] as const) {
    await assertRejects(
      () => parseIdentity(lines.toSpliced(line, 1).join("\n")),
      RangeError,
      `its ${what} is `,
    );
  }
  const rsa = await crypto.subtle.generateKey(
    {
      name: "RSA-PSS",
      modulusLength: 2048,
      publicExponent: Uint8Array.of(1, 0, 1),
      hash: "SHA-256",
    },
    true,
    ["sign", "verify"],
  );
  const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", rsa.privateKey)).toBase64();
  await assertRejects(
    () =>
      parseIdentity(
        `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n${identity.certificate}`,
      ),
    RangeError,
    "its PRIVATE KEY is no P-256 key",
  );
});
