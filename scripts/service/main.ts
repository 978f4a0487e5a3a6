/**
 * `deno task service`: installs knightsbridge as a service of this machine or of this user, and takes it away again.
 *
 * @module
 */
import { CommandError, EXIT, parseOptions, runMain } from "../cli/mod.ts";
import { install, remove, UNITS } from "./install.ts";
import { readRecord, removeIfThere } from "./installed.ts";
import { type Places, placesIn } from "./places.ts";

const COMMAND = {
  name: "deno task service",
  about: "installs knightsbridge as a service, or removes it.\n\n" +
    "  deno task service install    programs, units, sleep hook; again: the newer ones\n" +
    "  deno task service remove     stops and removes all that; state and configuration stay\n" +
    "  deno task service status     what is installed\n\n" +
    "For the whole machine this needs root, for --user it does not.",
  options: {
    prefix: { kind: "text", value: "DIR", help: "Where to (/usr/local; with --user ~/.local)." },
    user: { kind: "flag", help: "For this user's own service manager (systemctl --user)." },
    purge: { kind: "flag", help: "remove: state, keys and configuration, too." },
  },
  examples: [
    "sudo deno task service install",
    "deno task service install --user",
  ],
} as const;

await runMain("service", async () => {
  const [verb, ...words] = Deno.args;
  const options = parseOptions(COMMAND, verb?.startsWith("-") ? Deno.args : words);
  if (!options) return EXIT.ok;
  const places = placesIn(prefixOf(options.prefix, options.user), options.user);
  switch (verb) {
    case "install":
      return await installed(places);
    case "remove":
      return await removed(places, options.purge);
    case "status":
      return await status(places);
    default:
      throw new CommandError(
        EXIT.usage,
        `Cannot do "${
          verb ?? ""
        }": wanted install, remove or status (try "${COMMAND.name} --help")`,
      );
  }
});

async function installed(places: Places): Promise<number> {
  const { version, files } = await allowed(() => install(places));
  await reload(places);
  const { user, library, bin } = places;
  const sudo = user ? "systemctl --user" : "systemctl";
  const config = user ? "~/.config/knightsbridge" : "/etc/knightsbridge";
  console.log(
    `knightsbridge ${version}: ${files.length} files, and ${library}\n` +
      `host:  write ${config}/knightsbridge.jsonc, then ${sudo} enable --now knightsbridge-host\n` +
      `card:  ${sudo} enable --now knightsbridge-card@HOST:PORT\n` +
      `sleep: ${sudo} enable --now knightsbridge-sleep`,
  );
  if (!user && /^\/(home|root)\//.test(Deno.execPath())) {
    console.log(
      `Units cannot see ${Deno.execPath()}, which is in somebody's home: install deno in ${bin} or /usr/bin, ` +
        "and this again with it",
    );
  }
  return EXIT.ok;
}

async function removed(places: Places, purge: boolean): Promise<number> {
  if (await readRecord(places.library) !== undefined) {
    // An instance of a template cannot be named without its host.
    const units = UNITS.map((unit) => unit.replace("@.", "@*."));
    await systemctl(places, "stop", ...units);
    await systemctl(places, "disable", ...UNITS);
    // By a pattern, which may match nothing: a unit that had failed is remembered without its file.
    await systemctl(places, "reset-failed", "knightsbridge-*.service");
  }
  if (!await allowed(() => remove(places))) {
    console.log(`Nothing is installed in ${places.library}`);
  }
  await reload(places);
  if (purge) {
    for (const path of statePlaces(places.user)) {
      await allowed(() => removeIfThere(path, { recursive: true }));
    }
  }
  return EXIT.ok;
}

async function status(places: Places): Promise<number> {
  const record = await readRecord(places.library);
  if (record === undefined) {
    console.log(`Nothing is installed in ${places.library}`);
    return EXIT.resource;
  }
  console.log(`knightsbridge ${record.version} in ${places.library}`);
  for (const path of record.files) console.log(path);
  return EXIT.ok;
}

/** What services and commands keep: state, keys, configuration, caches. */
function statePlaces(user: boolean): string[] {
  if (user) {
    const home = Deno.env.get("HOME");
    if (!home) throw new CommandError(EXIT.usage, "Cannot purge: HOME is not set");
    const base = (name: string, otherwise: string) =>
      `${Deno.env.get(name) || `${home}/${otherwise}`}/knightsbridge`;
    return [
      base("XDG_CONFIG_HOME", ".config"),
      base("XDG_STATE_HOME", ".local/state"),
      base("XDG_CACHE_HOME", ".cache"),
    ];
  }
  // What a dynamic user had is in private/, and the name itself a link to it.
  const names = ["knightsbridge", "knightsbridge-card", "knightsbridge-sleep"];
  return [
    "/etc/knightsbridge",
    ...["/var/lib", "/var/cache"].flatMap((base) =>
      names.flatMap((name) => [`${base}/${name}`, `${base}/private/${name}`])
    ),
  ];
}

/** @throws {CommandError} */
function prefixOf(prefix: string | undefined, user: boolean): string {
  const home = Deno.env.get("HOME");
  const chosen = prefix ?? (user ? home && `${home}/.local` : "/usr/local");
  if (chosen && /^\/[^\s"'%$`\\@,]*$/.test(chosen)) return chosen.replace(/\/+$/, "");
  throw new CommandError(
    EXIT.usage,
    `Cannot install in "${chosen ?? ""}": wanted an absolute path without spaces, commas or quotes`,
  );
}

/** Has systemd read its units again, and logind its settings. */
async function reload(places: Places): Promise<void> {
  await systemctl(places, "daemon-reload");
  if (places.logind === undefined) return;
  const logind = "systemd-logind.service";
  if (!await systemctl(places, "is-active", "--quiet", logind)) return;
  await systemctl(places, "kill", "--signal=HUP", logind);
}

/**
 * Where systemd runs and looks at `places`; elsewhere there is nobody to tell, which is no success either. What it says
 * is shown.
 */
async function systemctl(places: Places, ...words: string[]): Promise<boolean> {
  const watched = placesIn(prefixOf(undefined, places.user), places.user);
  if (
    places.units !== watched.units || !await Deno.stat("/run/systemd/system").catch(() => false)
  ) {
    return false;
  }
  const args = places.user ? ["--user", ...words] : words;
  return (await new Deno.Command("systemctl", { args, stdin: "null" }).spawn().status).success;
}

/** Gives refusals of the file system an exit status and what to do. */
async function allowed<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new CommandError(
      EXIT.resource,
      `Cannot write there: ${error.message}; run it as root, or with --user`,
      { cause: error },
    );
  }
}
