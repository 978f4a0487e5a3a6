/**
 * What a Linux card does while its link is cut and its hosts are killed: writers whose writes can be counted, files that
 * are read back, fio, a ping; and what it says of it in the end.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { fioCommand } from "./fio_disk.ts";
import {
  AREA_SECTORS,
  type NumberedWriter,
  numberedWrites,
  SECTOR_BYTES,
  WRITER_SCRIPT,
} from "./numbered_writes.ts";
import { digest } from "./lab.ts";

const WRITERS = 2;
/** Of the kernel log: entropy was gathered, and the machine took the emulated CPU away in a timer interrupt. */
const IDLE_TALK = "-e 'random: crng init done' -e 'hrtimer: interrupt took'";
const FIO_BYTES = 8 * 1024 * 1024;

export interface VerifiedWorkOptions {
  /** The disks are made there. */
  readonly folder: string;
  readonly seed: number;
  /** Image of fio's disk; no fio without. */
  readonly fio: string | undefined;
  /** The card has a network: its gateway is pinged. */
  readonly net: boolean;
}

/** What the card said in the end. */
export interface WorkReport {
  /** Of the writers. */
  readonly acknowledged: number;
  /** Longest time in which a writer that does nothing else got nothing written, ms. */
  readonly longestPause: number;
  /** Files written, synced and read back. */
  readonly files: number;
  readonly fio: { readonly passes: number; readonly mebibytes: number; readonly slowest: number };
  readonly ping: string;
}

export class VerifiedWork {
  readonly #options: VerifiedWorkOptions;
  readonly #image: string;
  readonly #fioImage: string;
  readonly #writers: readonly NumberedWriter[];
  /** Writes in the image when it was looked at last. */
  #seen: number[] = new Array(WRITERS).fill(0);

  /** Makes the disks. */
  constructor(options: VerifiedWorkOptions) {
    const { folder, seed } = options;
    this.#options = options;
    this.#image = `${folder}/numbered.img`;
    this.#fioImage = `${folder}/fio-data.img`;
    this.#writers = Array.from({ length: WRITERS }, (_, index) => {
      return { index, seed: (seed + index) & 0x7fff_ffff };
    });
    for (
      const [path, size] of [
        [this.#image, WRITERS * AREA_SECTORS * SECTOR_BYTES],
        [this.#fioImage, FIO_BYTES],
      ] as const
    ) {
      using file = Deno.openSync(path, { write: true, createNew: true });
      file.truncateSync(size);
    }
  }

  /** Arguments of a host, behind the card's root disk. */
  get disks(): string[] {
    const { fio } = this.#options;
    const images = [this.#image, this.#fioImage, ...fio === undefined ? [] : [`${fio},readonly`]];
    return images.flatMap((image) => ["--disk", image]);
  }

  /** Begins the work in the background, says `begun`, and ends only after 10 s: its host is killed before. */
  get beginning(): string {
    const { fio, net, seed } = this.#options;
    return `${WRITER_SCRIPT}
mkdir -p /tmp/work /root/work && cd /tmp/work || exit
going() { [ ! -e stop ]; }
files() {
  n=0
  while going; do
    copy=/root/work/$((n % 4))
    cp /lib/i386-linux-gnu/libssl.so.3 $copy && sync && echo 3 >/proc/sys/vm/drop_caches &&
      cmp /lib/i386-linux-gnu/libssl.so.3 $copy || return
    n=$((n + 1))
  done
  echo "files $n"
}
verify() {
  while going; do
    ${fioCommand("/mnt")} --name=verify --filename=/dev/vdc --size=${FIO_BYTES} --thread \\
      --ioengine=libaio --direct=1 --iodepth=8 --rw=randwrite --bsrange=4k-64k --fsync=32 \\
      --verify=crc32c --verify_backlog=32 --verify_fatal=1 --randseed=${seed} \\
      --output-format=terse || return
  done
}
work() { # NAME FUNCTION ARGUMENT...
  name=$1; shift
  "$@" >$name.out 2>$name.err || echo "$name: status $?: $(tail -n 3 $name.err /tmp/dd.?)" >>failures
}
${fio === undefined ? "" : "mkdir -p /mnt; mount -t ext4 -o ro /dev/vdd /mnt || exit"}
echo 4 >/proc/sys/vm/drop_caches # no line in the log each time
dmesg >dmesg.begun
{
${
      this.#writers.map(({ index, seed }) =>
        `  work writer${index} writer ${index} ${seed} /dev/vdb & pids=$!\\ $pids`
      ).join("\n")
    }
  work files files & pids=$!\\ $pids
${fio === undefined ? "" : "  work fio verify & pids=$!\\ $pids"}
${
      net
        ? "  ping -i 1 $(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p') >ping.out & ping=$!"
        : ""
    }
  wait $pids
${net ? "  kill -INT $ping; wait $ping" : ""}
  echo done >done
} >background.err 2>&1 </dev/null &
echo begun
sleep 10
`;
  }

  /** Ends the work and tells of it. */
  get end(): string {
    const { net } = this.#options;
    return `cd /tmp/work; touch stop
until [ -e done ]; do usleep 100000; done
dmesg | tail -n +$(($(wc -l <dmesg.begun) + 1)) | grep -v ${IDLE_TALK} | sed 's/^/dmesg /'
[ ! -e failures ] || sed 's/^/failed /' failures
sed 's/^/failed /' background.err
cat writer?.out files.out
[ ! -e fio.out ] || sed -n 's/^3;/fio 3;/p' fio.out
${
      net
        ? `sed -n 's/^\\([0-9]* packets.*\\)/ping \\1/p' ping.out
ping -c 1 -W 5 $(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p') >/dev/null || echo failed no way to the gateway`
        : ""
    }
for disk in vdb vdc; do echo $disk $(dd if=/dev/$disk bs=64k iflag=direct 2>/dev/null | md5sum); done
`;
  }

  /** Tells when a writer's write reaches the image. */
  watch(): Deno.FsWatcher {
    return Deno.watchFs(this.#image);
  }

  /** The image has all that the card was told is written, and nothing is undone. Only while no host runs. */
  check(): void {
    const counts = this.#count();
    counts.forEach((count, index) => {
      const before = this.#seen[index]!;
      assert(count >= before, `${count} writes of writer ${index}, and there were ${before}`);
    });
    this.#seen = counts;
  }

  /** The image has exactly what the card says it wrote; `said` is what {@linkcode end} printed. */
  report(said: string): WorkReport {
    const rows = said.trim().split("\n").map((line) => line.split(" "));
    const of = (name: string) => rows.filter((row) => row[0] === name).map((row) => row.slice(1));
    assertEquals([of("failed"), of("dmesg")], [[], []], said);
    const writers = of("writer").map((row) => row.map(Number));
    this.check();
    assertEquals(writers.map(([index, count]) => [index, count]), [...this.#seen.entries()], said);
    const onDisk = (path: string) => digest("md5", Deno.readFileSync(path));
    assertEquals([of("vdb")[0]?.[0], of("vdc")[0]?.[0]], [this.#image, this.#fioImage].map(onDisk));
    const fio = of("fio").map((row) => row.join(" ").split(";"));
    assertEquals(fio.filter((fields) => fields[FIO.error] !== "0"), []);
    const sum = (field: number) => fio.reduce((all, fields) => all + Number(fields[field]), 0);
    return {
      acknowledged: this.#seen.reduce((all, count) => all + count),
      longestPause: Math.max(...writers.map(([, , longest]) => longest!)),
      files: Number(of("files")[0]?.[0]),
      fio: {
        passes: fio.length,
        mebibytes: Math.round((sum(FIO.readKiB) + sum(FIO.writtenKiB)) / 1024),
        slowest: fio.reduce((most, fields) => {
          return Math.max(most, Number(fields[FIO.readMax]), Number(fields[FIO.writeMax]));
        }, 0) / 1000,
      },
      ping: of("ping")[0]?.join(" ") ?? "none",
    };
  }

  #count(): number[] {
    const bytes = Deno.readFileSync(this.#image);
    return this.#writers.map((writer) => {
      const start = writer.index * AREA_SECTORS * SECTOR_BYTES;
      return numberedWrites(writer, bytes.subarray(start, start + AREA_SECTORS * SECTOR_BYTES));
    });
  }
}

/** Fields of fio's terse output, version 3: completion latencies are µs. */
const FIO = { error: 4, readKiB: 5, readMax: 14, writtenKiB: 46, writeMax: 55 } as const;
