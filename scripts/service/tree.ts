/**
 * The part of the checkout that the programs run from: every module that they import, the packages, deno.json and the
 * lock file. What `deno info` names, so that nothing has to be listed by hand.
 *
 * @module
 */
import { CommandError, EXIT } from "../cli/mod.ts";
import { taskCommand } from "../cli/tasks.ts";
import type { Program } from "./programs.ts";

export const CHECKOUT = new URL("../../", import.meta.url).pathname;

/** Paths in the checkout, sorted: the modules of `programs`, and what Deno needs beside them. @throws {CommandError} */
export async function modulesOf(programs: readonly Program[]): Promise<string[]> {
  const files = new Set(["deno.json", "deno.lock", "LICENSE"]);
  for (const { task } of programs) {
    const { script } = await taskCommand(task);
    const { success, stdout, stderr } = await new Deno.Command("deno", {
      args: ["info", "--json", "--quiet", script],
      cwd: CHECKOUT,
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    if (!success) {
      throw new CommandError(
        EXIT.resource,
        `Cannot find the modules of ${script}: ${text.decode(stderr).trim()}`,
      );
    }
    const { modules } = JSON.parse(text.decode(stdout)) as { modules: { specifier: string }[] };
    for (const { specifier } of modules) {
      if (!specifier.startsWith("file:")) continue;
      const { pathname } = new URL(specifier);
      if (pathname.startsWith(`${CHECKOUT}node_modules/`)) continue;
      files.add(pathname.slice(CHECKOUT.length));
    }
  }
  return [...files].toSorted();
}
