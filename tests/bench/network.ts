/**
 * Network: iperf3 between two namespaces over a card's cable with a TAP at both ends, with offloads and without, beside
 * OpenVPN on the same veth, and beside the veth.
 *
 * @module
 */
import { Cable, type Way } from "./cable.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import { iperf, type Transfer } from "./iperf.ts";
import { installed, together } from "./processes.ts";

const OFFLOAD = "bridge, offloads";
const PLAIN = "bridge";
const OPENVPN = "OpenVPN";
const VETH = "veth";

/** UDP payload of a frame of 64 bytes, its checksum included, and of a packet of 1500. */
const SMALL = 64 - 4 - 14 - 20 - 8;
const LARGE = 1500 - 20 - 8;

interface Cell extends Transfer {
  readonly what: string;
  /** Not in a quick run. */
  readonly long?: boolean;
}

const CELLS: readonly Cell[] = [
  { what: "TCP, host to card", reverse: false },
  { what: "TCP, card to host", reverse: true },
  { what: "64-byte frames, host to card", reverse: false, udp: SMALL },
  { what: "64-byte frames, card to host", reverse: true, udp: SMALL, long: true },
  { what: "1500-byte packets, host to card", reverse: false, udp: LARGE, long: true },
  { what: "1500-byte packets, card to host", reverse: true, udp: LARGE },
];

type Samples = Readonly<Record<string, number[]>>;

export async function network(context: BenchContext): Promise<Row[]> {
  const { quick } = context;
  const cells = CELLS.filter(({ long }) => !(quick && long));
  const samples = cells.map((): Samples => ({
    [OFFLOAD]: [],
    [PLAIN]: [],
    [OPENVPN]: [],
    [VETH]: [],
  }));
  await measureAll(context, cells, samples);
  return cells.flatMap(({ what, udp }, index) => {
    const pick = (...names: string[]) =>
      Object.fromEntries(names.map((name) => [name, samples[index]![name]!]));
    const unit = udp === undefined ? "MB/s" : "packets/s";
    return [
      row(what, unit, pick(PLAIN, OPENVPN), { wanted: "ratio at least 1" }),
      row(`${what}, offloads`, unit, pick(OFFLOAD, OPENVPN, VETH), {
        wanted: udp === undefined ? "ratio at least 3" : "ratio at least 1",
      }),
    ];
  });
}

/** Leaves empty, with a note, what cannot be measured here. */
async function measureAll(
  { quick, note, progress }: BenchContext,
  cells: readonly Cell[],
  samples: readonly Samples[],
): Promise<void> {
  if (Deno.uid() !== 0) return note("namespaces and TAPs need root, so all of it is missing");
  if (!await installed("iperf3", note)) return;
  await using cable = await Cable.make();
  cable.addWire(VETH);
  const openvpn = await installed("openvpn", note);
  await together([
    cable.addBridge(OFFLOAD, true),
    cable.addBridge(PLAIN, false),
    ...(openvpn ? [cable.addOpenvpn(OPENVPN)] : []),
  ]);
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    for (const [index, cell] of cells.entries()) {
      progress(cell.what);
      for (const way of cable.ways) {
        samples[index]![way.name]!.push(await measure(cable, way, cell));
      }
    }
  }
}

const measure = (cable: Cable, { far }: Way, transfer: Transfer): Promise<number> =>
  iperf(cable.near.within, cable.far.within, far, { ...transfer, seconds: 1 });
