/**
 * The greeting: 128 bytes that open every transport, in both directions, card first (protocol/README.md, "Greeting").
 *
 * Its first 16 bytes and the goodbye frame keep their layout in every version to come, so that two versions that
 * cannot talk can still say so.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import { layout, viewOf } from "../layout.ts";
import { le16, le32, le64, u8 } from "../scalar.ts";
import { checkPeerLimits, type LinkLimits } from "./limits.ts";

/** A change of the major number breaks; a minor number only adds, and the smaller of both holds. */
export const VERSION = { major: 1, minor: 3 } as const;
export const IDENTITY_BYTES = 16;
/** "KNIGHTSB" as the bytes lie on the wire. */
const MAGIC = 0x4253_5448_4749_4e4bn;
const ROLES = ["host", "card"] as const;

export const GREETING = layout({
  magic: le64,
  major: le16,
  minor: le16,
  /** Bytes of the whole greeting. */
  length: le16,
  /** 0 host, 1 card. */
  role: u8,
  reserved: u8,
  features: le64,
  /** 16 bytes. */
  identity: le64,
  identity_high: le64,
  /** 16 bytes; zeros ask for a new session. */
  session: le64,
  session_high: le64,
  /** Of the host process; 0 from a card that has met none. */
  epoch: le64,
  /** Last sequence number received. */
  received: le32,
  max_payload: le32,
  max_read_request: le32,
  posted_bytes: le32,
  posted_frames: le32,
  non_posted: le32,
  heartbeat: le32,
  silence: le32,
  reserved_0: le64,
  reserved_1: le64,
  reserved_2: le64,
  reserved_3: le64,
});
/** Bytes that never change their meaning: magic, version, length, role. */
export const PREFIX_BYTES = 16;

/** What one side says of itself, decoded. */
export interface Greeting {
  readonly major: number;
  readonly minor: number;
  readonly role: "host" | "card";
  /** Feature bits offered; what both offer holds. None is defined yet. */
  readonly features: bigint;
  readonly identity: Uint8Array;
  /** All zeros: a new session. */
  readonly session: Uint8Array;
  readonly epoch: bigint;
  readonly received: number;
  readonly limits: LinkLimits;
}

export const isNewSession = (greeting: Greeting): boolean => greeting.session.every((b) => b === 0);

export function encodeGreeting(greeting: Greeting): Uint8Array {
  const bytes = new Uint8Array(GREETING.size);
  const { limits } = greeting;
  GREETING.write(viewOf(bytes), {
    magic: MAGIC,
    major: greeting.major,
    minor: greeting.minor,
    length: GREETING.size,
    role: ROLES.indexOf(greeting.role),
    reserved: 0,
    features: greeting.features,
    identity: 0n,
    identity_high: 0n,
    session: 0n,
    session_high: 0n,
    epoch: greeting.epoch,
    received: greeting.received,
    max_payload: limits.maxPayload,
    max_read_request: limits.maxReadRequest,
    posted_bytes: limits.postedBytes,
    posted_frames: limits.postedFrames,
    non_posted: limits.nonPosted,
    heartbeat: limits.heartbeat,
    silence: limits.silence,
    reserved_0: 0n,
    reserved_1: 0n,
    reserved_2: 0n,
    reserved_3: 0n,
  });
  bytes.set(greeting.identity, GREETING.at.identity);
  bytes.set(greeting.session, GREETING.at.session);
  return bytes;
}

/** True if `prefix`, the first 16 bytes of a stream, opens a greeting of any version. */
export const hasMagic = (prefix: Uint8Array): boolean =>
  le64.get(viewOf(prefix), GREETING.at.magic) === MAGIC;

/** Checks the 16 bytes that every version shares. @throws {ProtocolError} version, naming what was found and wanted */
export function checkPrefix(prefix: Uint8Array): void {
  const view = viewOf(prefix);
  if (!hasMagic(prefix)) {
    throw new ProtocolError("version", "Cannot greet peer: found no knightsbridge greeting");
  }
  const major = le16.get(view, GREETING.at.major);
  const minor = le16.get(view, GREETING.at.minor);
  if (major !== VERSION.major) {
    throw new ProtocolError(
      "version",
      `Cannot greet peer: it speaks version ${major}.${minor}, wanted ${VERSION.major}.${VERSION.minor}`,
    );
  }
  const length = le16.get(view, GREETING.at.length);
  if (length !== GREETING.size) {
    throw new ProtocolError(
      "malformed",
      `Cannot greet peer: greeting is ${length} bytes, wanted ${GREETING.size}`,
    );
  }
}

/** @throws {ProtocolError} version or malformed */
export function decodeGreeting(bytes: Uint8Array): Greeting {
  checkPrefix(bytes);
  const wire = GREETING.read(viewOf(bytes));
  const role = ROLES[wire.role];
  if (role === undefined) {
    throw new ProtocolError("malformed", `Cannot greet peer: role is ${wire.role}, wanted 0 or 1`);
  }
  const limits: LinkLimits = {
    maxPayload: wire.max_payload,
    maxReadRequest: wire.max_read_request,
    postedBytes: wire.posted_bytes,
    postedFrames: wire.posted_frames,
    nonPosted: wire.non_posted,
    heartbeat: wire.heartbeat,
    silence: wire.silence,
  };
  checkPeerLimits(limits);
  return {
    major: wire.major,
    minor: wire.minor,
    role,
    features: wire.features,
    identity: bytes.slice(GREETING.at.identity, GREETING.at.identity + IDENTITY_BYTES),
    session: bytes.slice(GREETING.at.session, GREETING.at.session + IDENTITY_BYTES),
    epoch: wire.epoch,
    received: wire.received,
    limits,
  };
}
