/**
 * A tiny IPv4 host: ARP (RFC 826), IPv4 without fragments (RFC 791), ICMP echo both ways (RFC 792), UDP for DHCP.
 *
 * Frames come from anybody: whatever does not parse is dropped, and nothing grows with what is received. An address is
 * learnt only when we asked for it.
 *
 * @module
 */
import { u8, viewOf } from "../../../../../protocol/mod.ts";
import {
  ARP_AT,
  ARP_HEAD,
  ARP_OPERATION,
  ARP_SIZE,
  be16,
  be32,
  BROADCAST,
  checksum,
  ETHERNET_SIZE,
  ETHERNET_TYPE_AT,
  ETHERTYPE,
  formatAddress,
  ICMP_ECHO,
  ICMP_TYPE,
  IP_PROTOCOL,
  IPV4,
  IPV4_FRAGMENT_MASK,
  netmask,
  UDP,
} from "./packets.ts";
import { within } from "./within.ts";

/** What the stack stands on. */
export interface NetLink {
  readonly mac: Uint8Array;
  /** Takes a whole Ethernet frame, which it copies; false if it was dropped. */
  send(frame: Uint8Array): boolean;
}

export interface Ipv4Settings {
  /** 0: none. */
  readonly address: number;
  readonly prefix: number;
  /** 0: none. */
  readonly gateway: number;
}

export class NetError extends Error {
  override readonly name = "NetError";
}

export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

const TTL = 64;
const ARP_TRIES = 3;
const ARP_WAIT_MS = 1000;
const ALL = 0xffff_ffff;
const IPV4_NO_OPTIONS = 0x45;

export class Ipv4Stack {
  settings: Ipv4Settings = { address: 0, prefix: 0, gateway: 0 };
  /** Gets every UDP datagram for us; valid only during the call. */
  onDatagram: (datagram: UdpDatagram) => void = () => {};
  readonly #link: NetLink;
  readonly #neighbours = new Map<number, Uint8Array>();
  readonly #asked = new Map<number, PromiseWithResolvers<Uint8Array>>();
  readonly #pings = new Map<number, (now: number) => void>();
  readonly #identifier = crypto.getRandomValues(new Uint16Array(1))[0]!;
  #sequence = 0;

  constructor(link: NetLink) {
    this.#link = link;
  }

  /** One echo request and its reply; milliseconds. @throws {NetError} when none comes within `timeout` ms */
  async ping(to: number, options: { signal: AbortSignal; timeout?: number; length?: number }) {
    const { signal, timeout = 1000, length = 56 } = options;
    const mac = await this.#resolve(to, signal);
    const sequence = this.#sequence = (this.#sequence + 1) & 0xffff;
    const message = new Uint8Array(ICMP_ECHO.size + length);
    for (let i = 0; i < length; i++) message[ICMP_ECHO.size + i] = i & 0xff;
    const view = viewOf(message);
    const head = { type: ICMP_TYPE.echoRequest, code: 0, checksum: 0 };
    ICMP_ECHO.write(view, { ...head, identifier: this.#identifier, sequence });
    be16.set(view, ICMP_ECHO.at.checksum, checksum(message));
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#pings.set(sequence, resolve);
    const start = performance.now();
    this.#sendIp(mac, to, IP_PROTOCOL.icmp, message);
    try {
      const none = () => new NetError(`No answer from ${formatAddress(to)} in ${timeout} ms`);
      return await within(promise, timeout, none, signal) - start;
    } finally {
      this.#pings.delete(sequence);
    }
  }

  /** A UDP datagram to everybody on the wire, from address 0 if we have none: what DHCP needs. */
  broadcastUdp(sourcePort: number, destinationPort: number, payload: Uint8Array): void {
    const datagram = new Uint8Array(UDP.size + payload.length);
    // Checksum 0: none, which IPv4 allows.
    UDP.write(viewOf(datagram), {
      source: sourcePort,
      destination: destinationPort,
      length: datagram.length,
      checksum: 0,
    });
    datagram.set(payload, UDP.size);
    this.#sendIp(BROADCAST, ALL, IP_PROTOCOL.udp, datagram);
  }

  /** Takes one Ethernet frame from the wire. */
  receive(frame: Uint8Array): void {
    if (frame.length < ETHERNET_SIZE) return;
    const type = be16.get(viewOf(frame), ETHERNET_TYPE_AT);
    const packet = frame.subarray(ETHERNET_SIZE);
    if (type === ETHERTYPE.arp) this.#receiveArp(packet);
    else if (type === ETHERTYPE.ipv4) this.#receiveIp(packet, frame.slice(6, 12));
  }

  #receiveArp(packet: Uint8Array): void {
    if (packet.length < ARP_SIZE) return;
    const view = viewOf(packet);
    const { hardware, protocol, operation } = ARP_HEAD.read(view);
    if (hardware !== 1 || protocol !== ETHERTYPE.ipv4) return;
    const senderMac = packet.slice(ARP_AT.senderMac, ARP_AT.senderMac + 6);
    const senderIp = be32.get(view, ARP_AT.senderIp);
    const waiting = this.#asked.get(senderIp);
    if (waiting || this.#neighbours.has(senderIp)) this.#neighbours.set(senderIp, senderMac);
    waiting?.resolve(senderMac);
    const { address } = this.settings;
    if (
      operation === ARP_OPERATION.request && address !== 0 &&
      be32.get(view, ARP_AT.targetIp) === address
    ) {
      this.#sendArp(ARP_OPERATION.reply, senderMac, senderMac, senderIp);
    }
  }

  #receiveIp(packet: Uint8Array, from: Uint8Array): void {
    if (packet.length < IPV4.size) return;
    const ip = IPV4.read(viewOf(packet));
    const headerLength = (ip.version_ihl & 0xf) * 4;
    const { address } = this.settings;
    if (
      ip.version_ihl >> 4 !== 4 || headerLength < IPV4.size || ip.total_length < headerLength ||
      ip.total_length > packet.length || checksum(packet.subarray(0, headerLength)) !== 0 ||
      (ip.flags_fragment & IPV4_FRAGMENT_MASK) !== 0
    ) return;
    const forUs = address !== 0 && ip.destination === address;
    const body = packet.subarray(headerLength, ip.total_length);
    if (ip.protocol === IP_PROTOCOL.icmp && forUs) this.#receiveIcmp(body, ip.source, from);
    // Before we have an address DHCP answers come to one we do not know yet.
    if (ip.protocol === IP_PROTOCOL.udp && (forUs || address === 0 || ip.destination === ALL)) {
      this.#receiveUdp(body);
    }
  }

  #receiveIcmp(message: Uint8Array, source: number, from: Uint8Array): void {
    if (message.length < ICMP_ECHO.size || checksum(message) !== 0) return;
    const echo = ICMP_ECHO.read(viewOf(message));
    if (echo.type === ICMP_TYPE.echoRequest) {
      const reply = message.slice();
      const view = viewOf(reply);
      u8.set(view, ICMP_ECHO.at.type, ICMP_TYPE.echoReply);
      be16.set(view, ICMP_ECHO.at.checksum, 0);
      be16.set(view, ICMP_ECHO.at.checksum, checksum(reply));
      this.#sendIp(from, source, IP_PROTOCOL.icmp, reply);
    } else if (echo.type === ICMP_TYPE.echoReply && echo.identifier === this.#identifier) {
      this.#pings.get(echo.sequence)?.(performance.now());
    }
  }

  #receiveUdp(datagram: Uint8Array): void {
    if (datagram.length < UDP.size) return;
    const { source, destination, length } = UDP.read(viewOf(datagram));
    if (length < UDP.size || length > datagram.length) return;
    const payload = datagram.subarray(UDP.size, length);
    this.onDatagram({ sourcePort: source, destinationPort: destination, payload });
  }

  /** MAC address of the next hop to `to`. @throws {NetError} if there is no way or no answer */
  async #resolve(to: number, signal: AbortSignal): Promise<Uint8Array> {
    const { address, prefix, gateway } = this.settings;
    if (address === 0) throw new NetError("Cannot send: the interface has no address");
    const mask = netmask(prefix);
    const near = ((to & mask) >>> 0) === ((address & mask) >>> 0);
    const hop = near ? to : gateway;
    if (hop === 0) throw new NetError(`Cannot reach ${formatAddress(to)}: no gateway`);
    const known = this.#neighbours.get(hop);
    if (known) return known;
    const asked = this.#asked.get(hop) ?? Promise.withResolvers<Uint8Array>();
    this.#asked.set(hop, asked);
    const none = () => new NetError(`No ARP answer from ${formatAddress(hop)}`);
    try {
      for (let attempt = 1;; attempt++) {
        this.#sendArp(ARP_OPERATION.request, BROADCAST, new Uint8Array(6), hop);
        try {
          return await within(asked.promise, ARP_WAIT_MS, none, signal);
        } catch (error) {
          if (!(error instanceof NetError) || attempt === ARP_TRIES) throw error;
        }
      }
    } finally {
      this.#asked.delete(hop);
    }
  }

  #sendArp(operation: number, to: Uint8Array, targetMac: Uint8Array, targetIp: number): void {
    const packet = new Uint8Array(ARP_SIZE);
    const view = viewOf(packet);
    ARP_HEAD.write(view, {
      hardware: 1,
      protocol: ETHERTYPE.ipv4,
      hardware_length: 6,
      protocol_length: 4,
      operation,
    });
    packet.set(this.#link.mac, ARP_AT.senderMac);
    be32.set(view, ARP_AT.senderIp, this.settings.address);
    packet.set(targetMac, ARP_AT.targetMac);
    be32.set(view, ARP_AT.targetIp, targetIp);
    this.#sendFrame(to, ETHERTYPE.arp, packet);
  }

  #sendIp(mac: Uint8Array, to: number, protocol: number, body: Uint8Array): void {
    const packet = new Uint8Array(IPV4.size + body.length);
    const view = viewOf(packet);
    IPV4.write(view, {
      version_ihl: IPV4_NO_OPTIONS,
      dscp_ecn: 0,
      total_length: packet.length,
      identification: 0,
      flags_fragment: 0,
      ttl: TTL,
      protocol,
      checksum: 0,
      source: this.settings.address,
      destination: to,
    });
    be16.set(view, IPV4.at.checksum, checksum(packet.subarray(0, IPV4.size)));
    packet.set(body, IPV4.size);
    this.#sendFrame(mac, ETHERTYPE.ipv4, packet);
  }

  #sendFrame(to: Uint8Array, type: number, packet: Uint8Array): void {
    const frame = new Uint8Array(ETHERNET_SIZE + packet.length);
    frame.set(to, 0);
    frame.set(this.#link.mac, 6);
    be16.set(viewOf(frame), ETHERNET_TYPE_AT, type);
    frame.set(packet, ETHERNET_SIZE);
    this.#link.send(frame);
  }
}
