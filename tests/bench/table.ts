/**
 * The one table of everything that was measured, for people.
 *
 * @module
 */
import type { Row, Section } from "./figures.ts";

const HEADINGS = [
  ...["", "variant", "median", "min .. max", "p50 us", "p99 us"],
  ...["ratio", "wanted", "reached"],
];

export function table(sections: readonly Section[]): string {
  const cells = new Map(sections.map((section) => [section, section.rows.flatMap(linesOf)]));
  const all = [HEADINGS, ...[...cells.values()].flat()];
  const widths = HEADINGS.map((_, column) =>
    Math.max(...all.map((line) => Array.from(line[column]!).length))
  );
  const text = (line: readonly string[]) =>
    "  " + line.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd();
  const parts = sections.map((section) =>
    [
      section.name,
      ...cells.get(section)!.map(text),
      ...section.notes.map((note) => `  note: ${note}`),
    ].join("\n")
  );
  return [text(HEADINGS), ...parts, verdict(sections)].join("\n\n") + "\n";
}

/** A line for each variant. */
function linesOf(row: Row): string[][] {
  const { what, unit, figures, missing, ratios, wanted, reached } = row;
  const variants = [...Object.keys(figures), ...missing];
  return variants.map((variant, index) => {
    const figure = figures[variant];
    const { [variant]: ratio } = ratios;
    const { [variant]: met } = reached;
    const { p50, p99 } = figure?.latency ?? {};
    return [
      index === 0 ? what : "",
      variant,
      figure === undefined ? "missing" : `${digits(figure.median)} ${unit}`,
      figure === undefined ? "" : `${digits(figure.min)} .. ${digits(figure.max)}`,
      p50 === undefined ? "" : digits(p50),
      p99 === undefined ? "" : digits(p99),
      ratio === undefined ? "" : ratio.toFixed(2),
      wanted[variant] ?? "",
      wanted[variant] === undefined ? "" : met === undefined ? "?" : met ? "yes" : "no",
    ];
  });
}

function verdict(sections: readonly Section[]): string {
  const rows = sections.flatMap(({ rows }) => rows);
  const all = rows.flatMap(({ wanted }) => Object.keys(wanted)).length;
  const known = rows.flatMap(({ reached }) => Object.values(reached));
  const met = known.filter((reached) => reached).length;
  const unknown = all > known.length ? `, ${all - known.length} could not be measured` : "";
  return `${met} of ${all} targets reached${unknown}`;
}

const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
