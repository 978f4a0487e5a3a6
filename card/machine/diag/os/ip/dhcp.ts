/**
 * DHCP client, as far as one start needs it: DISCOVER, OFFER, REQUEST, ACK (RFC 2131, options of RFC 2132). A lease is
 * not renewed: a diagnostic run is shorter.
 *
 * @module
 */
import { layout, u8, viewOf } from "../../../../../protocol/mod.ts";
import { be16, be32, prefixOf } from "./packets.ts";
import { type Ipv4Settings, type Ipv4Stack, NetError } from "./stack.ts";
import { within } from "./within.ts";

const CLIENT_PORT = 68;
const SERVER_PORT = 67;

const MESSAGE = layout({
  op: u8,
  htype: u8,
  hlen: u8,
  hops: u8,
  xid: be32,
  secs: be16,
  flags: be16,
  ciaddr: be32,
  yiaddr: be32,
  siaddr: be32,
  giaddr: be32,
});
const CHADDR_AT = MESSAGE.size;
const COOKIE_AT = 236;
const COOKIE = 0x63825363;
const OPTIONS_AT = 240;
/** Some servers drop what is shorter than a BOOTP message. */
const MESSAGE_SIZE = 300;
const FLAG_BROADCAST = 0x8000;

const OPTION = { mask: 1, router: 3, request: 50, type: 53, server: 54, wanted: 55, end: 255 };
const TYPE = { discover: 1, offer: 2, request: 3, ack: 5, nak: 6 };
const TRIES = 4;
const WAIT_MS = 1000;

interface Answer {
  readonly type: number;
  readonly address: number;
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** Gets an address; the stack has it when this resolves. @throws {NetError} if no server answers */
export async function dhcp(
  stack: Ipv4Stack,
  mac: Uint8Array,
  signal: AbortSignal,
): Promise<Ipv4Settings> {
  const xid = crypto.getRandomValues(new Uint32Array(1))[0]!;
  let hear: (answer: Answer) => void = () => {};
  stack.onDatagram = ({ sourcePort, destinationPort, payload }) => {
    if (sourcePort !== SERVER_PORT || destinationPort !== CLIENT_PORT) return;
    const answer = decode(payload, xid);
    if (answer) hear(answer);
  };
  const ask = async (type: number, options: readonly (readonly number[])[], wanted: number) => {
    const message = encode(xid, mac, type, options);
    for (let attempt = 1;; attempt++) {
      const { promise, resolve } = Promise.withResolvers<Answer>();
      hear = (answer) => {
        if (answer.type === wanted || answer.type === TYPE.nak) resolve(answer);
      };
      stack.broadcastUdp(CLIENT_PORT, SERVER_PORT, message);
      try {
        return await within(promise, WAIT_MS, () => new NetError("No DHCP answer"), signal);
      } catch (error) {
        if (!(error instanceof NetError) || attempt === TRIES) throw error;
      }
    }
  };
  try {
    const offer = await ask(TYPE.discover, [], TYPE.offer);
    const server = offer.options.get(OPTION.server);
    if (server?.length !== 4) throw new NetError("Cannot use DHCP offer: it names no server");
    const choice = [[OPTION.request, 4, ...bytes(offer.address)], [OPTION.server, 4, ...server]];
    const ack = await ask(TYPE.request, choice, TYPE.ack);
    if (ack.type === TYPE.nak) throw new NetError("Cannot get an address: DHCP server refused");
    const mask = number(ack.options.get(OPTION.mask)) ?? 0xffff_ff00;
    const settings = {
      address: ack.address,
      prefix: prefixOf(mask) ?? 24,
      gateway: number(ack.options.get(OPTION.router)) ?? 0,
    };
    stack.settings = settings;
    return settings;
  } finally {
    stack.onDatagram = () => {};
  }
}

function encode(
  xid: number,
  mac: Uint8Array,
  type: number,
  options: readonly (readonly number[])[],
): Uint8Array {
  const message = new Uint8Array(MESSAGE_SIZE);
  const view = viewOf(message);
  const none = { hops: 0, secs: 0, ciaddr: 0, yiaddr: 0, siaddr: 0, giaddr: 0 };
  MESSAGE.write(view, { ...none, op: 1, htype: 1, hlen: 6, xid, flags: FLAG_BROADCAST });
  message.set(mac, CHADDR_AT);
  be32.set(view, COOKIE_AT, COOKIE);
  const wanted = [OPTION.wanted, 2, OPTION.mask, OPTION.router];
  message.set(
    [OPTION.type, 1, type, ...options.flat(), ...wanted, OPTION.end],
    OPTIONS_AT,
  );
  return message;
}

function decode(message: Uint8Array, xid: number): Answer | undefined {
  if (message.length < OPTIONS_AT) return undefined;
  const view = viewOf(message);
  const head = MESSAGE.read(view);
  if (head.op !== 2 || head.xid !== xid || be32.get(view, COOKIE_AT) !== COOKIE) return undefined;
  const options = new Map<number, Uint8Array>();
  for (let at = OPTIONS_AT; at < message.length && message[at] !== OPTION.end;) {
    // Option 0 is one byte of padding.
    if (message[at] === 0) {
      at++;
      continue;
    }
    const length = message[at + 1] ?? 0;
    options.set(message[at]!, message.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  const type = options.get(OPTION.type)?.[0];
  return type === undefined ? undefined : { type, address: head.yiaddr, options };
}

const bytes = (address: number): number[] => [24, 16, 8, 0].map((s) => (address >>> s) & 0xff);

function number(option: Uint8Array | undefined): number | undefined {
  return option && option.length >= 4 ? be32.get(viewOf(option), 0) : undefined;
}
