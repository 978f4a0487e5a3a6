import { assert, assertEquals } from "@std/assert";
import { faults, rowsOf, tally } from "../../scripts/clauses/count.ts";
import { supportOf, TestNames } from "../../scripts/clauses/test_names.ts";
import { MATRIX } from "../clauses/matrix.ts";
import { ABSENT, OFFERED } from "../clauses/offered.ts";
import type { Section } from "../clauses/types.ts";

const ROOT = new URL("../../", import.meta.url);
const SECTIONS = Object.values(MATRIX).flat();

Deno.test("the clause matrix is whole: no clause open, every test that it names is there", () => {
  assertEquals(faults(SECTIONS, (path) => Deno.readTextFileSync(new URL(path, ROOT))), []);
  const { open, clauses, shown, notApplicable } = tally(rowsOf(SECTIONS));
  assertEquals([open, shown + notApplicable], [0, clauses]);
});

Deno.test("each section is in the clause matrix once", () => {
  const sections = SECTIONS.map(({ section }) => section);
  assertEquals(sections.length, new Set(sections).size);
});

Deno.test("no clause is excused by a feature that a device offers", () => {
  for (const [name, [type, bit]] of Object.entries(ABSENT)) {
    const types = type === 0 ? [0, 1, 2, 3] : [type];
    assert(!types.some((offering) => OFFERED[offering]!.includes(bit)), name);
  }
});

/** Tests of all shapes. */
const SOURCE = `
import { make } from "../support/make.ts";
Deno.test("one() is plain", () => {});
Deno.test('two() has a "quote"', () => {});
Deno.test(
  "three() says \\"it\\"",
  () => {},
);
Deno.test({
  ignore: false,
  name: "four() is in an object",
  fn() {},
});
for (const { what, count } of [{ what: "a long walk", count: 1 + 1 }]) {
  Deno.test(\`five() takes \${what}, \${count} times\`, () => {});
}
Deno.test(\`six() has \${[{}].map(() => "no").join("")} blanks\`, () => {});
// Deno.test("seven() was taken out", () => {});
`;

Deno.test("TestNames knows the tests of a file by what they print", () => {
  const names = new TestNames([SOURCE, 'export const make = () => Deno.test("made() there", f);']);
  const there = [
    "one() is plain",
    'two() has a "quote"',
    'three() says "it"',
    "four() is in an object",
    "five() takes a long walk, 2 times",
    "six() has no blanks",
    "made() there",
  ];
  assertEquals(there.filter((name) => !names.has(name)), []);
  const missing = [
    "one() is",
    "one() is plain and more",
    "five() takes a short walk, 2 times",
    "five() takes , 2 times",
    "seven() was taken out",
    "",
  ];
  assertEquals(missing.filter((name) => names.has(name)), []);
  assertEquals(supportOf(SOURCE), ["../support/make.ts"]);
});

const section = (...clauses: Extract<Section, { clauses: unknown }>["clauses"]): Section => ({
  section: "9.9",
  label: "Nowhere",
  musts: 2,
  clauses,
});
const files: Readonly<Record<string, string>> = {
  "tests/room/some_test.ts": SOURCE,
  "tests/support/make.ts": 'Deno.test("made() there", f);',
};
function read(path: string): string {
  const text = files[path];
  if (text === undefined) throw new Deno.errors.NotFound(path);
  return text;
}

Deno.test("faults() finds rows that are missing, and tests that are not there", () => {
  const good = { must: 1, says: "", shown: { "room/some": ["one() is plain", "made() there"] } };
  assertEquals(faults([section(good, { must: 2, says: "", not: "so" })], read), []);
  assertEquals(faults([section(good)], read), ["Section 9.9 has 1 rows, wanted 2"]);
  assertEquals(faults([section(good, { must: 3, says: "", not: "so" })], read), [
    "Clause 9.9-2 has no row, or is not in its place",
  ]);
  assertEquals(
    faults([
      section(
        { must: 1, says: "", shown: { "room/some": ["one() is gone"], "room/none": ["any"] } },
        { must: 2, says: "", shown: {} },
      ),
    ], read),
    [
      "Clause 9.9-1 names a test that is not there: tests/room/some_test.ts: one() is gone",
      "Clause 9.9-1 names a test that is not there: tests/room/none_test.ts: any",
      "Clause 9.9-2 names no test",
    ],
  );
});

Deno.test("tally() counts what is shown, excused and open", () => {
  const rows = rowsOf([
    section(
      { must: 1, says: "this", shown: { "room/some": ["one() is plain"] } },
      { must: 2, says: "that", open: "nobody looked" },
    ),
    { section: "9.10", label: "Nowhere", musts: 3, without: "VIRTIO_F_RING_PACKED" },
  ]);
  assertEquals(tally(rows), { clauses: 5, shown: 1, notApplicable: 3, open: 1 });
  assertEquals(rows.map(({ id }) => id), ["9.9-1", "9.9-2", "9.10-1", "9.10-2", "9.10-3"]);
  assertEquals(rows[0]!.tests, ["tests/room/some_test.ts: one() is plain"]);
  assertEquals(rows[4]!.reason, "VIRTIO_F_RING_PACKED is not offered");
});
