/**
 * Text for people: columns, times, sizes.
 *
 * @module
 */

/** Rows in columns two spaces apart; the first row is the head. Columns whose cells are numbers are flush right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const [head = []] = rows;
  const columns = head.map((_, at) => {
    const cells = rows.map((row) => row[at] ?? "");
    const numbers = cells.slice(1).every((cell) => /^(-|\d+)$/.test(cell));
    return { width: Math.max(...cells.map((cell) => cell.length)), numbers };
  });
  return rows.map((row) =>
    columns.map(({ width, numbers }, at) =>
      numbers ? (row[at] ?? "").padStart(width) : (row[at] ?? "").padEnd(width)
    ).join("  ").trimEnd()
  );
}

/** Names and values, one a line, the values in one column. */
export function pairs(rows: readonly (readonly [string, string])[], indent = ""): string[] {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${indent}${`${name}:`.padEnd(width + 2)}${value}`);
}

const UNITS = [["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]] as const;

/** `3m 12s`: the two largest units of a time in seconds. */
export function duration(seconds: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  const parts: string[] = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || unit === "s" && parts.length === 0) parts.push(`${count}${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

/** `14:03:05.250` of a time in ms since 1970, in this machine's time zone. */
export function clock(time: number): string {
  const date = new Date(time);
  const two = (value: number) => String(value).padStart(2, "0");
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two);
  return `${parts.join(":")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** `512 MiB`, in the largest unit that leaves a number of at least 1. */
export function size(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.max(0, units.findLastIndex((_, power) => bytes >= 1024 ** power));
  const value = bytes / 1024 ** power;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[power]}`;
}
