/**
 * A writer in the card whose every write can be found again: what a disk must hold is known from a count alone.
 *
 * Write `n` is one sector, written directly (O_DIRECT) when write `n - 1` was acknowledged; its place and its contents
 * follow from the seed and `n`. So an image that has write `n` must have all before it, each where no later one went: a
 * write that was acknowledged and lost shows as soon as there is a later one. Eight go to neighbouring sectors, one
 * `dd`, which is all that busybox needs to be there.
 *
 * @module
 */

export const SECTOR_BYTES = 512;
/** Sectors of a writer's own area. */
export const AREA_SECTORS = 4096;
const GROUP = 8;
const GROUPS = AREA_SECTORS / GROUP;
const LINE_BYTES = 64;
const LINES = SECTOR_BYTES / LINE_BYTES;

export interface NumberedWriter {
  /** Its area begins at sector `index * AREA_SECTORS`. */
  readonly index: number;
  /** 31 bits. */
  readonly seed: number;
}

/**
 * Shell functions. `writer INDEX SEED DEVICE`: writes while `going` succeeds, every eighth `dd` with fsync; then says
 * how many writes were acknowledged, and the longest time from the end of one `dd` to the end of the next, ms.
 */
export const WRITER_SCRIPT = `
uptime_ms() { read now rest </proc/uptime; now=\${now%.*}\${now#*.}0; }
writer() {
  pad=................................................................ nl='
'
  x=$2 n=0 longest=0
  uptime_ms; last=$now
  while going; do
    x=$(((x * 1103515245 + 12345) & 0x7fffffff))
    first=$(((x >> 8) % ${GROUPS} * ${GROUP} + $1 * ${AREA_SECTORS})) block= k=0
    while [ $k -lt ${GROUP} ]; do
      line="writer $1 sector $((first + k)) number $n $pad"
      line=\${line:0:${LINE_BYTES - 1}}$nl
      line=$line$line line=$line$line block=$block$line$line
      n=$((n + 1)) k=$((k + 1))
    done
    also=; [ $((n / ${GROUP} % 8)) -ne 0 ] || also=,fsync
    dd of=$3 bs=${SECTOR_BYTES} count=${GROUP} seek=$first oflag=direct conv=notrunc$also 2>/tmp/dd.$1 <<END || return
\${block%$nl}
END
    uptime_ms
    [ $((now - last)) -le $longest ] || longest=$((now - last))
    last=$now
  done
  echo "writer $1 $n $longest"
}
`;

/** What `n` writes make of the area, sector by sector: the number of the last write to it, or undefined. */
function lastWrites({ seed }: NumberedWriter, n: number): (number | undefined)[] {
  const last: (number | undefined)[] = new Array(AREA_SECTORS).fill(undefined);
  for (let number = 0, x = seed; number < n; number++) {
    if (number % GROUP === 0) x = (Math.imul(x, 1103515245) + 12345) & 0x7fff_ffff;
    last[(x >> 8) % GROUPS * GROUP + number % GROUP] = number;
  }
  return last;
}

/**
 * How many writes are in `area`, the bytes of the writer's area: those of 0 to some `n`, and nothing else.
 * @throws {Error} naming the sector, what is there and what must be
 */
export function numberedWrites(writer: NumberedWriter, area: Uint8Array): number {
  const found = Array.from({ length: AREA_SECTORS }, (_, sector) => {
    const at = sector * SECTOR_BYTES;
    return readSector(writer, sector, area.subarray(at, at + SECTOR_BYTES));
  });
  const count = found.reduce<number>((most, number) => Math.max(most, (number ?? -1) + 1), 0);
  const wanted = lastWrites(writer, count);
  const wrong = found.findIndex((number, sector) => number !== wanted[sector]);
  if (wrong < 0) return count;
  throw new Error(
    `Sector ${place(writer, wrong)} has write ${found[wrong]} of writer ${writer.index}, ` +
      `wanted ${wanted[wrong]}: write ${count - 1} is there`,
  );
}

/** The number in a sector; undefined for one that was never written. @throws {Error} if it is neither */
function readSector(
  writer: NumberedWriter,
  sector: number,
  bytes: Uint8Array,
): number | undefined {
  if (bytes.every((byte) => byte === 0)) return undefined;
  const text = new TextDecoder().decode(bytes);
  const line = text.slice(0, LINE_BYTES);
  const start = `writer ${writer.index} sector ${place(writer, sector)} number `;
  const number = line.startsWith(start) ? /^\d+(?= )/.exec(line.slice(start.length)) : null;
  if (number === null || text !== line.repeat(LINES)) {
    throw new Error(`Sector ${place(writer, sector)} is torn or of another place: ${text}`);
  }
  return Number(number[0]);
}

const place = ({ index }: NumberedWriter, sector: number): number => index * AREA_SECTORS + sector;
