/**
 * Counts the clause matrix: how many clauses a test shows, how many do not apply, what is open; and finds what is wrong
 * with it, which is a test that is not there or a clause that has no row.
 *
 * @module
 */
import type { Clause, Section, Tests } from "../../tests/clauses/types.ts";
import { supportOf, TestNames } from "./test_names.ts";

export interface Row {
  /** Section and number of the MUST in it. */
  readonly id: string;
  readonly label: string;
  readonly says: string;
  readonly state: "shown" | "not applicable" | "open";
  /** `‹file›: ‹test›` of each test, or why there is none. */
  readonly tests: readonly string[];
  readonly reason: string | undefined;
}

export interface Tally {
  readonly clauses: number;
  readonly shown: number;
  readonly notApplicable: number;
  readonly open: number;
}

/** Text of a file, by path from the root of the repository. @throws if there is none */
export type ReadFile = (path: string) => string;

/** One row for each MUST. */
export function rowsOf(sections: readonly Section[]): Row[] {
  return sections.flatMap((section) => {
    const { label, musts } = section;
    const row = (must: number, clause: Clause): Row => ({
      id: `${section.section}-${must}`,
      label,
      says: clause.says,
      ...stateOf(clause),
    });
    if ("clauses" in section) return section.clauses.map((clause) => row(clause.must, clause));
    const all = "not" in section ? { not: section.not } : { without: section.without };
    const says = "the whole section";
    return Array.from(
      { length: musts },
      (_, i) => row(i + 1, { must: i + 1, says, ...all }),
    );
  });
}

function stateOf(clause: Clause): Pick<Row, "state" | "tests" | "reason"> {
  if ("shown" in clause) {
    return { state: "shown", tests: testsOf(clause.shown), reason: undefined };
  }
  if ("open" in clause) return { state: "open", tests: [], reason: clause.open };
  const reason = "not" in clause ? clause.not : `${clause.without} is not offered`;
  return { state: "not applicable", tests: [], reason };
}

const pathOf = (file: string): string => `tests/${file}_test.ts`;

function testsOf(tests: Tests): string[] {
  return Object.entries(tests).flatMap(([file, names]) =>
    names.map((name) => `${pathOf(file)}: ${name}`)
  );
}

export function tally(rows: readonly Row[]): Tally {
  const count = (state: Row["state"]) => rows.filter((row) => row.state === state).length;
  return {
    clauses: rows.length,
    shown: count("shown"),
    notApplicable: count("not applicable"),
    open: count("open"),
  };
}

/** What is wrong with the matrix, one sentence each. */
export function faults(sections: readonly Section[], read: ReadFile): string[] {
  const known = new Map<string, TestNames | undefined>();
  const namesOf = (file: string): TestNames | undefined => {
    if (!known.has(file)) known.set(file, readNames(pathOf(file), read));
    return known.get(file);
  };
  return sections.flatMap((section) => {
    if (!("clauses" in section)) return [];
    const { clauses, musts } = section;
    const found = clauses.flatMap(({ must }, i) =>
      must === i + 1
        ? []
        : [`Clause ${section.section}-${i + 1} has no row, or is not in its place`]
    );
    if (clauses.length !== musts) {
      found.push(`Section ${section.section} has ${clauses.length} rows, wanted ${musts}`);
    }
    for (const clause of clauses) {
      if (!("shown" in clause)) continue;
      const id = `${section.section}-${clause.must}`;
      const tests = Object.entries(clause.shown);
      if (tests.every(([, names]) => names.length === 0)) found.push(`Clause ${id} names no test`);
      for (const [file, names] of tests) {
        for (const name of names) {
          if (!namesOf(file)?.has(name)) {
            found.push(`Clause ${id} names a test that is not there: ${pathOf(file)}: ${name}`);
          }
        }
      }
    }
    return found;
  });
}

function readNames(path: string, read: ReadFile): TestNames | undefined {
  let source: string;
  try {
    source = read(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  // From tests/‹room›/ one up is tests/.
  const support = supportOf(source).map((file) => read(`tests/${file.slice("../".length)}`));
  return new TestNames([source, ...support]);
}
