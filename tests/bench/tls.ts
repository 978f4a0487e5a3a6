/**
 * Encryption: the block loads over TLS and without, by the same machine in turns.
 *
 * @module
 */
import { BenchCard } from "./bench_card.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import {
  type DiskLoad,
  isSmall,
  LOADS,
  makeDisk,
  nameOf,
  runLoad,
  Samples,
  unitOf,
} from "./loads.ts";

/** From 128 KiB up; how much smaller requests lose is for the reader. */
const WANTED = "ratio at least 0.6";
/** Code that is not compiled yet has no figure, s. */
const WARM_UP = 0.25;

/** In a hurry. What is in flight at the end of a load has to come, too: of the largest, no more than one. */
const isQuick = ({ rw, bs, depth }: DiskLoad): boolean =>
  rw.startsWith("rand") && depth === (bs === "1m" ? 1 : 32);

export async function tls({ quick, folder, progress }: BenchContext): Promise<Row[]> {
  const seconds = quick ? 0.08 : 1;
  const rounds = quick ? 2 : 5;
  // A disk that is written has one host.
  const disks = { secure: `${folder}/tls.img`, plain: `${folder}/plain.img` };
  for (const disk of Object.values(disks)) await makeDisk(disk);
  await using secure = await BenchCard.start({ os: "diag", disk: disks.secure, secure: true });
  await using plain = await BenchCard.start({ os: "diag", disk: disks.plain });
  for (const load of LOADS.filter(isQuick)) {
    for (const card of [secure, plain]) await runLoad(card, load, WARM_UP);
  }
  const rows: Row[] = [];
  for (const load of quick ? LOADS.filter(isQuick) : LOADS) {
    progress(nameOf(load));
    const encrypted = new Samples(load);
    const open = new Samples(load);
    for (let round = 0; round < rounds; round++) {
      encrypted.add(await runLoad(secure, load, seconds));
      open.add(await runLoad(plain, load, seconds));
    }
    rows.push(row(
      nameOf(load),
      unitOf(load),
      { TLS: encrypted.values, plain: open.values },
      {
        ...(!isSmall(load) && { wanted: WANTED }),
        latencies: { TLS: encrypted.latencies, plain: open.latencies },
        detail: { latency_us: { TLS: encrypted.latencies, plain: open.latencies } },
      },
    ));
  }
  return rows;
}
