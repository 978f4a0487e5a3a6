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
