/**
 * A machine's identity: an ECDSA P-256 key and a certificate it signs itself (RFC 5280; protocol/README.md, "Identity").
 *
 * The certificate says nothing but its key: peers know each other by its fingerprint alone, so it has one name for all,
 * never expires (a card's clock may be anything), and is never renewed. It is v3 and no authority, as TLS libraries
 * want it of a leaf. Writing this one form of DER is shorter than any library that writes all of them.
 *
 * @module
 */

export interface Identity {
  /** PEM, as TLS takes them. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  /** SHA-256 of the certificate's DER: 64 lower-case hexadecimal digits. */
  readonly fingerprint: string;
}

/** Subject, issuer and DNS name of every certificate. */
export const CERTIFICATE_NAME = "knightsbridge";

/** DER tags. */
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const DNS_NAME = 0x82;

/** DER object identifiers, with tag and length. */
const ECDSA_WITH_SHA256 = Uint8Array.fromHex("06082a8648ce3d040302");
const COMMON_NAME = Uint8Array.fromHex("0603550403");
const SUBJECT_ALT_NAME = Uint8Array.fromHex("0603551d11");

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;

/** A new key, and a certificate for it. */
export async function makeIdentity(): Promise<Identity> {
  const { publicKey, privateKey } = await crypto.subtle.generateKey(ALGORITHM, true, [
    "sign",
    "verify",
  ]);
  const exported = async (format: "spki" | "pkcs8", key: CryptoKey) =>
    new Uint8Array(await crypto.subtle.exportKey(format, key));
  const algorithm = der(SEQUENCE, ECDSA_WITH_SHA256);
  const name = der(
    SEQUENCE,
    der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8_STRING, ascii(CERTIFICATE_NAME)))),
  );
  const body = der(
    SEQUENCE,
    der(VERSION, der(INTEGER, Uint8Array.of(2))),
    der(INTEGER, serialNumber()),
    algorithm,
    name,
    // RFC 5280 §4.1.2.5: the last is the time of certificates that have no end.
    der(
      SEQUENCE,
      der(UTC_TIME, ascii("700101000000Z")),
      der(GENERALIZED_TIME, ascii("99991231235959Z")),
    ),
    name,
    await exported("spki", publicKey),
    der(EXTENSIONS, der(SEQUENCE, subjectAltName())),
  );
  const signature = new Uint8Array(
    await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, body),
  );
  const certificate = der(
    SEQUENCE,
    body,
    algorithm,
    der(BIT_STRING, Uint8Array.of(0), ecdsaSignature(signature)),
  );
  return {
    certificate: pem("CERTIFICATE", certificate),
    key: pem("PRIVATE KEY", await exported("pkcs8", privateKey)),
    fingerprint: await fingerprintOf(certificate),
  };
}

/** SHA-256 of a certificate in DER, as 64 hexadecimal digits. */
export async function fingerprintOf(certificate: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", certificate)).toHex();
}

/**
 * Takes an identity out of the PEM text that {@linkcode identityText} made.
 * @throws {RangeError} if key or certificate is not in it, is damaged, or does not belong to the other
 */
export async function parseIdentity(text: string): Promise<Identity> {
  const block = (label: string): [string, Uint8Array<ArrayBuffer>] => {
    const match = new RegExp(`-----BEGIN ${label}-----([^-]+)-----END ${label}-----`).exec(text);
    if (!match) throw new RangeError(`Cannot read identity: found no ${label}`);
    try {
      return [match[0] + "\n", Uint8Array.fromBase64(match[1]!)];
    } catch (cause) {
      throw new RangeError(`Cannot read identity: its ${label} is not base64`, { cause });
    }
  };
  const [key, keyBytes] = block("PRIVATE KEY");
  const [certificate, bytes] = block("CERTIFICATE");
  // TLS would find out as well, but at each connection anew, and in words that name neither file nor remedy.
  if (!isWholeSequence(bytes)) {
    throw new RangeError("Cannot read identity: its CERTIFICATE is cut short or damaged");
  }
  if (!contains(bytes, await publicPoint(keyBytes))) {
    throw new RangeError("Cannot read identity: its CERTIFICATE is of another PRIVATE KEY");
  }
  return { key, certificate, fingerprint: await fingerprintOf(bytes) };
}

/** The uncompressed point (SEC 1 §2.3.3) that goes with a P-256 key in PKCS #8. @throws {RangeError} if it is none */
async function publicPoint(pkcs8: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  try {
    const key = await crypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, true, ["sign"]);
    const { x, y } = await crypto.subtle.exportKey("jwk", key);
    const coordinate = (text = "") => Uint8Array.fromBase64(text, { alphabet: "base64url" });
    return Uint8Array.of(4, ...coordinate(x), ...coordinate(y));
  } catch (cause) {
    throw new RangeError("Cannot read identity: its PRIVATE KEY is no P-256 key", { cause });
  }
}

/** One DER sequence, as long as it says, in the form that {@linkcode der} gives a certificate. */
const isWholeSequence = (bytes: Uint8Array): boolean =>
  bytes[0] === SEQUENCE && bytes[1] === 0x82 && bytes.length === 4 + (bytes[2]! << 8 | bytes[3]!);

const contains = (bytes: Uint8Array, part: Uint8Array): boolean =>
  bytes.some((_, at) => part.every((byte, i) => byte === bytes[at + i]));

/** Key and certificate as one PEM text. */
export const identityText = (identity: Identity): string => identity.key + identity.certificate;

/** The 16 bytes that stand for a certificate in a greeting: the first half of its fingerprint. */
export const shortIdentity = (fingerprint: string): Uint8Array =>
  Uint8Array.fromHex(fingerprint.slice(0, 32));

/** 16 random bytes, positive and without leading zeros, as DER wants an INTEGER. */
function serialNumber(): Uint8Array {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = bytes[0]! & 0x3f | 0x40;
  return bytes;
}

function subjectAltName(): Uint8Array {
  const names = der(SEQUENCE, der(DNS_NAME, ascii(CERTIFICATE_NAME)));
  return der(SEQUENCE, SUBJECT_ALT_NAME, der(OCTET_STRING, names));
}

/** RFC 3279 §2.2.3: WebCrypto has r and s end to end, X.509 a sequence of two integers. */
const ecdsaSignature = (raw: Uint8Array): Uint8Array =>
  der(SEQUENCE, unsignedInteger(raw.subarray(0, 32)), unsignedInteger(raw.subarray(32)));

function unsignedInteger(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  return der(INTEGER, ...(digits[0]! >= 0x80 ? [Uint8Array.of(0)] : []), digits);
}

/** Tag, length, value; the value's parts laid end to end, at most 65535 bytes. */
function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  const bytes = new Uint8Array(header.length + length);
  bytes.set(header);
  let at = header.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

const pem = (label: string, bytes: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${
    bytes.toBase64().match(/.{1,64}/g)!.join("\n")
  }\n-----END ${label}-----\n`;
