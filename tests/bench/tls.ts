/**
 * Encryption: the block loads over TLS and without, by the same machine in turns.
 *
 * @module
 */
import { BenchCard, type BenchCardOptions } from "./bench_card.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import {
  type DiskLoad,
  isSmall,
  LOADS,
  makeDisk,
  nameOf,
  runLoad,
  Samples,
  sharedDisk,
  unitOf,
  warmUpOf,
} from "./loads.ts";
import { together } from "./processes.ts";

/** From 128 KiB up; how much smaller requests lose is for the reader. */
const WANTED = "ratio at least 0.6";

/** In a hurry. What is in flight at the end of a load has to come, too: of the largest, no more than one. */
const isQuick = ({ rw, bs, depth }: DiskLoad): boolean =>
  rw.startsWith("rand") && depth === (bs === "1m" ? 1 : 32);

export async function tls({ quick, folder, progress }: BenchContext): Promise<Row[]> {
  const seconds = quick ? 0.08 : 1;
  const rounds = quick ? 2 : 5;
  const loads = quick ? LOADS.filter(isQuick) : LOADS;
  await using owned = new AsyncDisposableStack();
  // A disk that is written has one host.
  const disks = { secure: `${folder}/tls.img`, plain: await sharedDisk(folder) };
  await makeDisk(disks.secure);
  const start = (options: Pick<BenchCardOptions, "disk" | "secure">): Promise<BenchCard> =>
    BenchCard.start({ os: "diag", ...options }).then((card) => owned.use(card));
  const [secure, plain] = await together([
    start({ disk: disks.secure, secure: true }),
    start({ disk: disks.plain }),
  ]);
  for (const load of warmUpOf(loads)) {
    for (const card of [secure, plain]) await runLoad(card, load, quick ? 0.2 : 0.5);
  }
  const rows: Row[] = [];
  for (const load of loads) {
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
