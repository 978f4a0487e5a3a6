/**
 * An ext4 image from a folder, as an ordinary user: mke2fs copies the tree in, debugfs gives the files to root.
 *
 * @module
 */
import { run } from "./run.ts";

/** Makes `image` of `bytes` bytes (sparse) with the files of `tree`, all owned by root. */
export async function ext4Image(image: string, tree: string, bytes: number): Promise<void> {
  await run("mke2fs", [
    "-q",
    "-F",
    ...["-t", "ext4", "-L", "knightsbridge", "-m", "1", "-d", tree],
    ...["-E", "root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1"],
    image,
    `${bytes / 1024}k`,
  ]);
  if (Deno.uid() !== 0) {
    const commands: string[] = [];
    for await (const path of pathsBelow(tree, "/")) {
      commands.push(`set_inode_field "${path}" uid 0`, `set_inode_field "${path}" gid 0`);
    }
    await run("debugfs", ["-w", "-f", "/dev/stdin", image], {
      stdin: new TextEncoder().encode(commands.join("\n") + "\n"),
    });
  }
}

async function* pathsBelow(tree: string, under: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(tree + under)) {
    yield under + entry.name;
    if (entry.isDirectory) yield* pathsBelow(tree, `${under}${entry.name}/`);
  }
}
