/**
 * Debian packages without root: apt with a state of its own, which knows one suite of one architecture and nothing of
 * what is installed on this machine.
 *
 * @module
 */
import { CommandError, EXIT } from "../cli/mod.ts";
import type { Pin } from "./packages.ts";
import { run } from "./run.ts";

export interface AptOptions {
  /** A folder for lists and caches. */
  readonly state: string;
  readonly architecture: string;
  readonly suite: string;
  /** Archive to use instead of the system's own. */
  readonly mirror: string | undefined;
}

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** A private view of the archive: `update` once, then `download`. */
export class PrivateApt {
  readonly #options: AptOptions;
  readonly #arguments: readonly string[];

  constructor(options: AptOptions) {
    this.#options = options;
    const { state, architecture } = options;
    this.#arguments = [
      `APT::Architecture=${architecture}`,
      `APT::Architectures=${architecture}`,
      `Dir::State=${state}`,
      `Dir::State::Lists=${state}/lists`,
      `Dir::State::status=${state}/status`,
      `Dir::Cache=${state}/cache`,
      `Dir::Etc::sourcelist=${state}/sources.list`,
      "Dir::Etc::sourceparts=/dev/null",
      "Dir::Etc::preferencesparts=/dev/null",
      "APT::Sandbox::User=",
      "Debug::NoLocking=1",
      "Acquire::Languages=none",
      "Acquire::Retries=3",
    ].flatMap((setting) => ["-o", setting]);
  }

  /** Fetches the lists of the suite, signature checked by apt. */
  async update(): Promise<void> {
    const { state, architecture, suite } = this.#options;
    await Deno.mkdir(`${state}/lists/partial`, { recursive: true });
    await Deno.mkdir(`${state}/cache/archives/partial`, { recursive: true });
    await Deno.writeTextFile(`${state}/status`, "");
    const mirror = this.#options.mirror ?? await systemMirror();
    const line = `deb [arch=${architecture} signed-by=${KEYRING}] ${mirror} ${suite} main\n`;
    await Deno.writeTextFile(`${state}/sources.list`, line);
    await run("apt-get", [...this.#arguments, "-qq", "update"]);
  }

  /**
   * For each pin the pinned version where the archive has it, else the newest of that name, else undefined. One
   * question for all: each costs apt a third of a second.
   */
  async available(pins: readonly Pin[]): Promise<(Pin | undefined)[]> {
    const versions = new Map<string, string[]>();
    for (const row of (await this.#cache("madison", ...pins.map((pin) => pin.name))).split("\n")) {
      const [name, version] = row.split("|").map((field) => field.trim());
      if (name && version) versions.set(name, [...versions.get(name) ?? [], version]);
    }
    return pins.map((pin) => {
      const known = versions.get(pin.name) ?? [];
      if (known.includes(pin.version)) return pin;
      return known[0] === undefined ? undefined : { name: pin.name, version: known[0] };
    });
  }

  /** The package that a metapackage stands for: its first dependency. */
  async dependency(name: string): Promise<string | undefined> {
    return /Depends: (\S+)/.exec(await this.#cache("depends", name))?.[1];
  }

  /** Downloads the packages into `folder`, checksums checked by apt. */
  async download(pins: readonly Pin[], folder: string): Promise<void> {
    await Deno.mkdir(folder, { recursive: true });
    const names = pins.map((pin) => `${pin.name}=${pin.version}`);
    await run("apt-get", [...this.#arguments, "-qq", "download", ...names], { cwd: folder });
  }

  async #cache(verb: string, ...names: readonly string[]): Promise<string> {
    return new TextDecoder().decode(await run("apt-cache", [...this.#arguments, verb, ...names]));
  }
}

/** The archive that this machine's own apt uses: the first `deb` line or `URIs:` field that names a Debian suite. */
async function systemMirror(): Promise<string> {
  const files = ["/etc/apt/sources.list"];
  try {
    for await (const entry of Deno.readDir("/etc/apt/sources.list.d")) {
      files.push(`/etc/apt/sources.list.d/${entry.name}`);
    }
  } catch {
    // No folder: the one file is all there is.
  }
  for (const file of files.sort()) {
    const text = await Deno.readTextFile(file).catch(() => "");
    const uri = /^URIs:\s*(\S+\/debian)\/?\s*$/m.exec(text)?.[1] ??
      /^deb\s+(?:\[[^\]]*\]\s+)?(\S+\/debian)\/?\s/m.exec(text)?.[1];
    if (uri !== undefined) return uri;
  }
  throw new CommandError(
    EXIT.resource,
    "Cannot find a Debian archive in this machine's apt sources: name one with --mirror",
  );
}
