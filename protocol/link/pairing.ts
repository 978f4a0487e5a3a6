/**
 * Pairing: how a host and a card learn each other's certificate, over TLS that trusts nobody yet (protocol/README.md,
 * "Pairing").
 *
 * A person carries a one-time code from the host's terminal to the card's. Each side proves that it knows the code with
 * an HMAC over *both* certificates of the connection. Somebody in between shows a certificate of his own to at least one
 * side, so the proofs that he could pass on do not fit; and 80 random bits cannot be found by trying, neither here (one
 * attempt is all there is) nor from a recorded proof within the code's life.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import { layout, viewOf } from "../layout.ts";
import { le16, le64, u8 } from "../scalar.ts";
import { readOpening, refuse, Refused, sayLast } from "./handshake.ts";
import type { TlsTransport } from "./tls_transport.ts";

/** "KNIGHTSP" as the bytes lie on the wire. */
const MAGIC = 0x5053_5448_4749_4e4bn;
/** Of pairing alone: two machines pair whatever wire versions they have. */
const VERSION = { major: 1, minor: 0 } as const;
const ROLES = ["host", "card"] as const;
type Role = (typeof ROLES)[number];

/** What each side says, the card first. Its first 16 bytes are laid out as a greeting's. */
export const PAIRING = layout({
  magic: le64,
  major: le16,
  minor: le16,
  /** Bytes of the whole message. */
  length: le16,
  /** 0 host, 1 card. */
  role: u8,
  reserved: u8,
  /** 32 bytes: HMAC-SHA-256. */
  proof: le64,
  proof_1: le64,
  proof_2: le64,
  proof_3: le64,
});

const CODE_BYTES = 10;
/** Base 32 of Crockford: no I, L, O and U. */
const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_FORM = "four groups of four letters and digits";

/** Both certificates of a connection, as fingerprints. */
interface Ends {
  readonly host: string;
  readonly card: string;
}

/** A host's readiness to be paired with whoever knows its code: once, and not for long. */
export class PairingOffer {
  /** For the person, such as `7K3M-9QXA-2BCD-EFGH`. */
  readonly code: string;
  readonly #fingerprint: string;
  readonly #secret: Uint8Array<ArrayBuffer>;
  readonly #expires: number;
  #usedBy: TlsTransport | undefined;

  /** `fingerprint` is the host's own; the code is good for `lifetime` ms. */
  constructor(fingerprint: string, lifetime: number) {
    this.#fingerprint = fingerprint;
    this.#secret = crypto.getRandomValues(new Uint8Array(CODE_BYTES));
    this.#expires = performance.now() + lifetime;
    this.code = encodeCode(this.#secret);
  }

  /** The code was tried, rightly or wrongly: it pairs nobody any more. */
  get used(): boolean {
    return this.#usedBy !== undefined;
  }

  /** It was tried on this connection: what comes of that is what comes of the offer. */
  usedBy(transport: TlsTransport): boolean {
    return this.#usedBy === transport;
  }

  /**
   * Pairs with the card at the far end of `transport`, which it owns: `store` keeps the card's fingerprint before the
   * card hears of its success.
   * @throws {ProtocolError} identity: the code was wrong, used or too late; version, malformed: no pairing was asked for
   * @throws {LinkError} the connection was lost, or nothing came in time
   */
  async meet(
    transport: TlsTransport,
    store: (fingerprint: string) => Promise<void>,
  ): Promise<void> {
    try {
      const proof = await readProof(transport, "card");
      this.#take(transport);
      const ends = { host: this.#fingerprint, card: transport.fingerprint };
      if (!await verify(this.#secret, "card", ends, proof)) {
        throw new ProtocolError("identity", "Cannot pair: the code is wrong, and is now void");
      }
      await store(transport.fingerprint);
      await sayLast(transport, await message(this.#secret, "host", ends));
    } catch (error) {
      if (error instanceof ProtocolError) await refuse(transport, error.reason, error.message);
      transport.close();
      throw error;
    }
  }

  /** Uses the code up, before it is known whether it was right. */
  #take(transport: TlsTransport): void {
    if (this.#usedBy) throw new ProtocolError("identity", "Cannot pair: the code was used already");
    this.#usedBy = transport;
    if (performance.now() >= this.#expires) {
      throw new ProtocolError("identity", "Cannot pair: the code has expired");
    }
  }
}

/**
 * Pairs the card with the host at the far end of `transport`, which it owns; the host is to be trusted if this resolves.
 * @throws {RangeError} `code` is none
 * @throws {ProtocolError} identity: the host does not know the code, or has refused it
 * @throws {LinkError} the connection was lost, or nothing came in time
 */
export async function pairAsCard(
  transport: TlsTransport,
  fingerprint: string,
  code: string,
): Promise<void> {
  await using _transport = transport;
  const secret = decodeCode(code);
  const ends = { host: transport.fingerprint, card: fingerprint };
  await transport.write(await message(secret, "card", ends));
  let proof: Uint8Array<ArrayBuffer>;
  try {
    proof = await readProof(transport, "host");
  } catch (error) {
    if (error instanceof Refused) throw new ProtocolError(error.reason, error.message);
    throw error;
  }
  if (!await verify(secret, "host", ends, proof)) {
    throw new ProtocolError(
      "identity",
      "Cannot pair: who answered does not know the code, it is not the host",
    );
  }
}

/** @throws {RangeError} */
export function decodeCode(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.toUpperCase().replaceAll(/[\s-]/g, "").replaceAll("O", "0")
    .replaceAll(/[IL]/g, "1");
  const values = [...digits].map((digit) => DIGITS.indexOf(digit));
  if (values.length * 5 !== CODE_BYTES * 8 || values.includes(-1)) {
    throw new RangeError(`Cannot use pairing code "${text}": wanted ${CODE_FORM}`);
  }
  const bits = values.reduce((sum, value) => sum << 5n | BigInt(value), 0n);
  return Uint8Array.fromHex(bits.toString(16).padStart(2 * CODE_BYTES, "0"));
}

export function encodeCode(secret: Uint8Array): string {
  const bits = BigInt(`0x${secret.toHex()}`);
  const digits = Array.from(
    { length: CODE_BYTES * 8 / 5 },
    (_, i, count = CODE_BYTES * 8 / 5) =>
      DIGITS[Number(bits >> BigInt(5 * (count - 1 - i)) & 31n)]!,
  );
  return digits.join("").match(/.{4}/g)!.join("-");
}

/** What is proved: the code, under this role, for exactly these two certificates. */
const statement = (role: Role, { host, card }: Ends): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(`knightsbridge pairing 1\n${role}\n${host}\n${card}\n`);

const macKey = (secret: Uint8Array<ArrayBuffer>): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);

/** Compares in constant time, as WebCrypto does. */
const verify = async (
  secret: Uint8Array<ArrayBuffer>,
  role: Role,
  ends: Ends,
  proof: Uint8Array<ArrayBuffer>,
): Promise<boolean> =>
  await crypto.subtle.verify("HMAC", await macKey(secret), proof, statement(role, ends));

async function message(
  secret: Uint8Array<ArrayBuffer>,
  role: Role,
  ends: Ends,
): Promise<Uint8Array> {
  const proof = await crypto.subtle.sign("HMAC", await macKey(secret), statement(role, ends));
  const bytes = new Uint8Array(PAIRING.size);
  PAIRING.write(viewOf(bytes), {
    magic: MAGIC,
    major: VERSION.major,
    minor: VERSION.minor,
    length: PAIRING.size,
    role: ROLES.indexOf(role),
    reserved: 0,
    proof: 0n,
    proof_1: 0n,
    proof_2: 0n,
    proof_3: 0n,
  });
  bytes.set(new Uint8Array(proof), PAIRING.at.proof);
  return bytes;
}

/** @throws {Refused} @throws {ProtocolError} @throws {LinkError} */
async function readProof(transport: TlsTransport, role: Role): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readOpening(transport, PAIRING.size, (prefix) => {
    const view = viewOf(prefix);
    const major = le16.get(view, PAIRING.at.major);
    if (le64.get(view, PAIRING.at.magic) !== MAGIC) {
      throw new ProtocolError("version", "Cannot pair: the peer wants something else");
    }
    if (major !== VERSION.major) {
      throw new ProtocolError(
        "version",
        `Cannot pair: the peer speaks version ${major}, wanted ${VERSION.major}`,
      );
    }
    const length = le16.get(view, PAIRING.at.length);
    if (length !== PAIRING.size || ROLES[u8.get(view, PAIRING.at.role)] !== role) {
      throw new ProtocolError("malformed", `Cannot pair: found no proof of a ${role}`);
    }
  });
  return Uint8Array.from(bytes.subarray(PAIRING.at.proof));
}
