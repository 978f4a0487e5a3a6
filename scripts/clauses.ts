/**
 * `deno task clauses`: prints how far the tests cover virtio 1.3, clause by clause of what it demands of a device.
 *
 * Exit status 1 if a clause is open, or the matrix is wrong: a row is missing, or names a test that is not there.
 *
 *     --json   every row, for other programs
 *
 * @module
 */
import { MATRIX } from "../tests/clauses/matrix.ts";
import { faults, rowsOf, tally } from "./clauses/count.ts";

const ROOT = new URL("../", import.meta.url);
const COLUMNS = ["clauses", "shown", "not applicable", "open"] as const;

const wrong = faults(
  Object.values(MATRIX).flat(),
  (path) => Deno.readTextFileSync(new URL(path, ROOT)),
);
const parts = Object.entries(MATRIX).map(([part, sections]) => ({ part, rows: rowsOf(sections) }));
const rows = parts.flatMap((part) => part.rows);

if (Deno.args.includes("--json")) {
  console.log(JSON.stringify({ ...tally(rows), wrong, rows }, undefined, 2));
} else {
  print();
}
if (wrong.length > 0 || tally(rows).open > 0) Deno.exitCode = 1;

function print(): void {
  const line = (name: string, cells: readonly (string | number)[]): void =>
    console.log(
      [name.padEnd(18), ...cells.map((cell, i) => `${cell}`.padStart(COLUMNS[i]!.length))]
        .join("  "),
    );
  line("virtio 1.3", COLUMNS);
  for (const { part, rows: some } of [...parts, { part: "all", rows }]) {
    const { clauses, shown, notApplicable, open } = tally(some);
    line(part, [clauses, shown, notApplicable, open]);
  }
  for (const { id, state, says, reason } of rows) {
    if (state === "open") console.log(`Open: ${id}, ${says}: ${reason}`);
  }
  for (const sentence of wrong) console.error(sentence);
}
