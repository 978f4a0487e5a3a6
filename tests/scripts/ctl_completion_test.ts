// Shell completion as the shells do it: bash for real; zsh and fish where they are.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SCRIPTS } from "../../scripts/ctl/completion.ts";
import { VERBS } from "../../scripts/ctl/verbs/mod.ts";

/** What bash offers for the last of `words`, with cards mic0 and mic1. */
async function bash(...words: string[]): Promise<string[]> {
  const script = `
    ctl() { [[ "$*" == "completion cards" ]] && printf 'mic0\\nmic1\\n'; }
    ${SCRIPTS["bash"]!(VERBS)}
    COMP_WORDS=(ctl "$@")
    COMP_CWORD=$#
    _knightsbridge_ctl
    printf '%s\\n' "\${COMPREPLY[@]}"
  `;
  const { stdout, stderr, success } = await new Deno.Command("bash", {
    args: ["--norc", "-c", script, "bash", ...words],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  assertEquals(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout).split("\n").filter((word) => word !== "");
}

Deno.test("bash completes verbs, options, names of cards and words", async () => {
  assertEquals(await bash("s"), ["status", "shutdown", "suspend", "stats"]);
  assertEquals(await bash("boot", "m"), ["mic0", "mic1"]);
  assertEquals(await bash("boot", "mic0", "mic1"), ["mic1"]);
  assertEquals(await bash("-b", "m"), ["mic0", "mic1"]);
  assertEquals(await bash("wait", "--s"), ["--state"]);
  assertEquals(await bash("wait", "--timeout", "5", "m"), ["mic0", "mic1"]);
  assertEquals(await bash("--control", "/run/x", "sta"), ["status", "stats"]);
  assertEquals(await bash("exec", "mic0", "m"), []);
  assertEquals(await bash("completion", ""), [
    ...["--control", "--json", "--help"],
    ...["bash", "zsh", "fish"],
  ]);
  // After an option that takes a value there is nothing to offer.
  assertEquals(await bash("wait", "--timeout", ""), []);
});

Deno.test("bash completes every verb by its whole name", async () => {
  const offered = await bash("");
  assertEquals(offered, [...VERBS.map(({ name }) => name), "--control", "--help"]);
});

for (const shell of ["zsh", "fish"]) {
  Deno.test(`the script for ${shell} has every verb and option, and is one that ${shell} reads`, async () => {
    const script = SCRIPTS[shell]!(VERBS);
    for (const { name, options } of VERBS) {
      assertStringIncludes(script, name);
      for (const option of Object.keys(options)) assertStringIncludes(script, option);
    }
    try {
      const child = new Deno.Command(shell, { args: ["-n"], stdin: "piped", stderr: "piped" })
        .spawn();
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(script));
      await writer.close();
      const { success, stderr } = await child.output();
      assert(success, new TextDecoder().decode(stderr));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      console.error(`not read by ${shell}: there is none here`);
    }
  });
}

Deno.test("verbs and their letters are unambiguous", () => {
  const names = VERBS.flatMap(({ name, short }) => short === undefined ? [name] : [name, short]);
  assertEquals(new Set(names).size, names.length);
});
