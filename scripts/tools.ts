/**
 * Programs that a demo or a test wants and this machine may lack (passt, iperf3): taken from PATH, else downloaded as
 * Debian packages into the user's cache and run from there. Nothing is installed and nothing needs root.
 *
 * @module
 */
import { PrivateApt } from "./card_os/apt.ts";
import { placeFolder } from "./card_os/place.ts";
import { run } from "./card_os/run.ts";
import { cacheFolder, withProgress } from "./cli/mod.ts";

/** Program to the packages it needs beyond what every Debian system has. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  passt: ["passt"],
  iperf3: ["iperf3", "libiperf0", "libsctp1"],
};

/** What to put into a child's environment so that it finds the tool. */
export interface Tool {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The program `name`, or undefined where it can neither be found nor downloaded; `why` hears the reason. */
export async function findTool(
  name: keyof typeof PACKAGES & string,
  why: (reason: string) => void = () => {},
): Promise<Tool | undefined> {
  const installed = await onPath(name);
  if (installed !== undefined) return { path: installed, env: {} };
  const folder = `${cacheFolder()}/tools/${name}`;
  const path = `${folder}/usr/bin/${name}`;
  try {
    if (!await exists(path)) await withProgress(`program ${name}`, () => download(name, folder));
  } catch (error) {
    why(error instanceof Error ? error.message : String(error));
    return undefined;
  }
  const libraries = await librariesIn(`${folder}/usr/lib`);
  return { path, env: libraries === "" ? {} : { LD_LIBRARY_PATH: libraries } };
}

async function download(name: string, folder: string): Promise<void> {
  await Deno.mkdir(cacheFolder(), { recursive: true });
  const work = await Deno.makeTempDir({ dir: cacheFolder(), prefix: "tool-" });
  try {
    const architecture = await debianArchitecture();
    const apt = new PrivateApt({
      state: `${work}/apt`,
      architecture,
      suite: await debianSuite(),
      mirror: undefined,
    });
    await apt.update();
    const names = PACKAGES[name]!;
    const pins = await apt.available(names.map((name) => ({ name, version: "" })));
    await apt.download(pins.map((pin, index) => pin ?? missing(names[index]!)), `${work}/debs`);
    for await (const entry of Deno.readDir(`${work}/debs`)) {
      await run("dpkg-deb", ["-x", `${work}/debs/${entry.name}`, `${work}/root`]);
    }
    await Deno.mkdir(`${cacheFolder()}/tools`, { recursive: true });
    await placeFolder(`${work}/root`, folder);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

function missing(name: string): never {
  throw new Error(`Cannot find package ${name} in the archive`);
}

async function debianArchitecture(): Promise<string> {
  return new TextDecoder().decode(await run("dpkg", ["--print-architecture"])).trim();
}

async function debianSuite(): Promise<string> {
  const release = await Deno.readTextFile("/etc/os-release");
  const id = /^ID=debian$/m.test(release);
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1];
  if (!id || suite === undefined) {
    throw new Error("Cannot download programs: this is no Debian release");
  }
  return suite;
}

async function librariesIn(folder: string): Promise<string> {
  if (!await exists(folder)) return "";
  const folders = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isDirectory) folders.push(`${folder}/${entry.name}`);
  }
  return folders.join(":");
}

async function onPath(name: string): Promise<string | undefined> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    if (folder !== "" && await exists(`${folder}/${name}`)) return `${folder}/${name}`;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
