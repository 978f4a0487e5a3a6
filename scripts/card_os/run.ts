/**
 * Running the tools the image is built with, so that a failure names the tool and says what it said.
 *
 * @module
 */
import { CommandError, EXIT } from "../cli/mod.ts";

/** Tool to the Debian package that has it. */
const PACKAGE: Readonly<Record<string, string>> = {
  "apt-get": "apt",
  "apt-cache": "apt",
  "dpkg-deb": "dpkg",
  xz: "xz-utils",
  mke2fs: "e2fsprogs",
  debugfs: "e2fsprogs",
  e2fsck: "e2fsprogs",
};

export interface RunOptions {
  readonly cwd?: string;
  readonly stdin?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs `tool` and resolves with its stdout.
 * @throws {CommandError} if it is missing or fails
 */
export async function run(
  tool: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Uint8Array> {
  // An ordinary user's PATH often lacks the folders where file system tools live.
  const path = `${Deno.env.get("PATH") ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(await find(tool, path), {
      args: [...args],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { LC_ALL: "C", PATH: path, ...options.env },
      stdin: options.stdin ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CommandError(
      EXIT.resource,
      `Cannot build the card image: program "${tool}" is missing; install package ${
        PACKAGE[tool] ?? tool
      }`,
      { cause: error },
    );
  }
  const feed = options.stdin
    ? new Blob([options.stdin as BlobPart]).stream().pipeTo(child.stdin)
    : undefined;
  const [output] = await Promise.all([child.output(), feed]);
  if (!output.success) {
    const said = new TextDecoder().decode(output.stderr).trim().split("\n").slice(-4).join("; ");
    throw new CommandError(
      EXIT.resource,
      `Cannot build the card image: "${tool} ${
        args.at(0) ?? ""
      }" ended with status ${output.code}: ${said}`,
    );
  }
  return output.stdout;
}

async function find(tool: string, path: string): Promise<string> {
  for (const folder of path.split(":")) {
    if (folder === "") continue;
    try {
      if ((await Deno.stat(`${folder}/${tool}`)).isFile) return `${folder}/${tool}`;
    } catch {
      // Not in this folder.
    }
  }
  throw new Deno.errors.NotFound(tool);
}
