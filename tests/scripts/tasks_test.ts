import { assert, assertEquals, assertRejects } from "@std/assert";
import { taskArguments } from "../../scripts/cli/tasks.ts";

Deno.test("taskArguments() puts variables where deno task would, the given ones first", async () => {
  const env = { HOME: "/home/ada", XDG_CONFIG_HOME: "" };
  const words = await taskArguments("card", env);
  const write = words.find((word) => word.startsWith("--allow-write="));
  assertEquals(write, "--allow-write=/home/ada/.config/knightsbridge,/knightsbridge");
  assert(words.every((word) => !word.includes("$")), words.join(" "));
  assert(words.at(-1)!.endsWith("/card/main.ts"));
});

Deno.test("taskArguments() refuses what is no single deno run", async () => {
  for (const name of ["ok", "none"]) {
    await assertRejects(() => taskArguments(name), RangeError, `Cannot start task "${name}"`);
  }
});
