/**
 * Round trips: what a request, a frame, a keystroke costs where the network is long, in units of the network's own round
 * trip.
 *
 * Host and card are in this process, so that one clock sees both ends of a one-way trip; the way between is not.
 *
 * @module
 */
import type { DiagOs } from "../../card/machine/diag/os/os.ts";
import { openDisk, parseDisk } from "../../host/backends/open_disk.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { ConsoleDevice } from "../../host/devices/console.ts";
import { NetDevice } from "../../host/devices/net.ts";
import { echoReplySequence, echoRequest, NET_HEADER } from "../support/memory_net.ts";
import { ConsoleEnd } from "./console_end.ts";
import { startCardHere, startHost } from "./diag_card.ts";
import { farLink, farSockets } from "./far_link.ts";
import { type BenchContext, median, type Row, row, type RowOptions } from "./figures.ts";
import { NetEnd } from "./net_end.ts";

const LINK = { delay: 20 };
const DISK_BYTES = 64 * 1024 * 1024;
/** Sectors of a request of 4 KiB. */
const SECTORS = 8;
const SECTOR_SIZE = 512;
const REQUEST = { wanted: "at most 1.1" } as const;
const ONE_WAY = { wanted: "at most 0.55" } as const;
const PEER = { mac: [0x02, 0, 0, 0, 0, 0xfe], address: [172, 31, 1, 254] };
const CARD = { mac: [0x02, 0, 0, 0, 0, 0x01], address: [172, 31, 1, 1] };
const FRAME_BYTES = 64;

export async function roundTrips({ quick, folder }: BenchContext): Promise<Row[]> {
  const count = quick ? 7 : 30;
  const disk = `${folder}/round-trips.img`;
  await Deno.writeFile(disk, new Uint8Array());
  await Deno.truncate(disk, DISK_BYTES);
  await using owned = new AsyncDisposableStack();
  const tripsOf = await tcpTrips(count);
  const trip = median(tripsOf);
  const console = new ConsoleEnd();
  const net = new NetEnd();
  const block = new BlockDevice({ backend: await openDisk(parseDisk(disk), report) });
  const devices = [block, new NetDevice(net), new ConsoleDevice([{ backend: console }])];
  for (const device of devices) owned.use(device);
  const port = startHost(devices, "ip=172.31.1.1/24", owned);
  const os = await startCardHere(await farLink(port, LINK, owned), owned);
  await console.until("diag# ");

  const each = async (
    what: string,
    more: RowOptions,
    once: () => Promise<void>,
  ) => {
    const samples = await times(count, once);
    return row(what, "round trips", { bridge: samples.map((ms) => ms / trip) }, more);
  };
  const sector = () => SECTORS * Math.floor(Math.random() * DISK_BYTES / SECTORS / SECTOR_SIZE);
  const bytes = crypto.getRandomValues(new Uint8Array(SECTORS * SECTOR_SIZE));
  const key = await times(count, () => console.key("k"));
  const inTrips = (share: number) => ({ bridge: key.map((ms) => share * ms / trip) });
  return [
    row(`TCP alone, ${LINK.delay} ms added each way`, "ms", { proxy: tripsOf }),
    await each("read, 4 KiB", REQUEST, async () => void await os.disk.read(sector(), SECTORS)),
    await each("write, 4 KiB", REQUEST, () => os.disk.write(sector(), bytes)),
    await each("flush", REQUEST, () => os.disk.flush()),
    await each("ping", REQUEST, () => ping(net)),
    row("keystroke and its echo", "round trips", inTrips(1), REQUEST),
    row("keystroke, half of that", "round trips", inTrips(0.5), ONE_WAY),
    await each("frame, host to card", ONE_WAY, () => frameToCard(net, os)),
    await each("frame, card to host", ONE_WAY, () => frameToHost(net, os)),
  ];
}

const report = (error: unknown) => console.error(error);

/** ms of each of `count` times, one after the other. */
async function times(count: number, once: () => Promise<void>): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await once();
    samples.push(performance.now() - start);
  }
  return samples;
}

/** Round trips of one byte by the same way, ms. */
async function tcpTrips(count: number): Promise<number[]> {
  await using owned = new AsyncDisposableStack();
  const { card, host } = await farSockets(LINK, owned);
  const echo = (async () => {
    const byte = new Uint8Array(1);
    while (await host.read(byte) !== null) await host.write(byte);
  })();
  const byte = new Uint8Array(1);
  const samples = await times(count, async () => {
    await card.write(byte);
    await card.read(byte);
  });
  await card.closeWrite();
  await echo;
  return samples;
}

/** From the host's end to the card's driver and back. */
async function ping(net: NetEnd): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const sequence = Math.floor(Math.random() * 0x10000);
  net.onFrame = (frame) => {
    if (echoReplySequence(frame) === sequence) resolve();
  };
  net.give(echoRequest(PEER, CARD, sequence));
  await promise;
}

async function frameToCard(net: NetEnd, os: DiagOs): Promise<void> {
  const { driver } = os.net;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stack = driver.onFrame;
  driver.onFrame = () => resolve();
  net.give(new Uint8Array(NET_HEADER + FRAME_BYTES));
  await promise;
  driver.onFrame = stack;
}

async function frameToHost(net: NetEnd, os: DiagOs): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  net.onFrame = () => resolve();
  os.net.driver.send(new Uint8Array(FRAME_BYTES));
  await promise;
}
