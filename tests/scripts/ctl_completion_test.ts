// Shell completion as the shells themselves do it.
import { assertEquals } from "@std/assert";
import { SCRIPTS } from "../../scripts/ctl/completion.ts";
import { VERBS } from "../../scripts/ctl/verbs/mod.ts";
import { temporaryFolder } from "../support/lab.ts";
import { missing } from "../support/needs.ts";
import { bash, type Complete, fish, zsh } from "../support/shell_completion.ts";

const VERB_NAMES = VERBS.map(({ name }) => name).toSorted();
const CARDS = ["mic0", "mic1"];

/** What each shell offers for the last word of a line. */
const CASES: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ["ctl s", ["shutdown", "stats", "status", "suspend"]],
  ["ctl boot m", CARDS],
  ["ctl boot mic0 mic1", ["mic1"]],
  ["ctl -b m", CARDS],
  ["ctl wait --s", ["--state"]],
  ["ctl wait --timeout 5 m", CARDS],
  ["ctl --control /run/x sta", ["stats", "status"]],
  // After an option that takes a value there is nothing to offer.
  ["ctl wait --timeout ", []],
  ["ctl --control ", []],
  ["ctl --", ["--control", "--help"]],
  ["ctl status --", ["--control", "--help", "--json", "--watch"]],
  ["ctl exec ", CARDS],
  // Words of the card's, though one is a verb of ours.
  ["ctl exec mic0 m", []],
  ["ctl exec mic0 status ", []],
  ["ctl completion ", ["bash", "fish", "zsh"]],
  ["ctl net ", ["down", "up"]],
  ["ctl net up m", CARDS],
  ["ctl disk ", ["add", "remove", "resize", "swap"]],
  ["ctl disk add ", CARDS],
  ["ctl disk add mic0 da", ["data.img"]],
  ["ctl config check ca", ["card.jsonc"]],
  ["ctl ", VERB_NAMES],
];

/** Options are offered beside words by some shells, and once a dash is typed by all. */
const asked = (line: string, offered: readonly string[]) =>
  offered.filter((word) => !word.startsWith("-") || line.split(" ").at(-1)!.startsWith("-"));

const SHELLS: Record<string, Complete> = { bash, zsh: zsh(), fish };

for (const [shell, complete] of Object.entries(SHELLS)) {
  Deno.test({
    name: `${shell} completes verbs, options, names of cards, words and files`,
    ignore: await missing({ program: shell }),
    async fn() {
      await using folder = await temporaryFolder();
      const { path: cwd } = folder;
      for (const file of ["card.jsonc", "data.img"]) await Deno.writeTextFile(`${cwd}/${file}`, "");
      const script = SCRIPTS[shell]!(VERBS);
      const offered = await complete(CASES.map(([line]) => line), { script, cwd });
      assertEquals(
        CASES.map(([line], at) => [line, asked(line, offered[at]!)]),
        CASES.map(([line, words]) => [line, words]),
      );
    },
  });
}

Deno.test({
  name: "zsh completes at the first Tab where the script is in its path, as it is installed",
  ignore: await missing({ program: "zsh" }),
  async fn() {
    await using folder = await temporaryFolder();
    const { path: cwd } = folder;
    await Deno.writeTextFile(`${cwd}/_knightsbridge`, SCRIPTS["zsh"]!(VERBS));
    const installed = zsh(`fpath=(${cwd} $fpath); compinit -D -u\n`);
    const lines = ["ctl sta", "ctl sta"];
    const offered = await installed(lines, { script: "", cwd });
    assertEquals(offered, [["stats", "status"], ["stats", "status"]]);
  },
});

Deno.test("verbs and their letters are unambiguous", () => {
  const names = VERBS.flatMap(({ name, short }) => short === undefined ? [name] : [name, short]);
  assertEquals(new Set(names).size, names.length);
});
