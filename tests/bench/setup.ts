/**
 * The programs that the bridge is measured beside: which of them are here, and how to get the others.
 *
 * @module
 */
import { CommandError, EXIT } from "../../scripts/cli/mod.ts";
import { isInstalled } from "./processes.ts";

/** Programs by the Debian package that has them. */
const PEERS: Readonly<Record<string, readonly string[]>> = {
  fio: ["fio"],
  nbdkit: ["nbdkit"],
  iperf3: ["iperf3"],
  openvpn: ["openvpn"],
  passt: ["passt"],
};

/**
 * Installs the peers that are missing.
 * @throws {CommandError} with the command to give, if this user may not; or if it fails
 */
export async function setup(): Promise<void> {
  const missing: string[] = [];
  for (const [name, programs] of Object.entries(PEERS)) {
    const here = await Promise.all(programs.map(isInstalled));
    if (here.includes(false)) missing.push(name);
  }
  if (missing.length === 0) {
    console.log(`bench: all peers are installed: ${Object.keys(PEERS).join(", ")}`);
    return;
  }
  const args = ["install", "--yes", "--no-install-recommends", ...missing];
  if (Deno.uid() !== 0) {
    throw new CommandError(
      EXIT.resource,
      `Cannot install ${missing.join(", ")}: that needs root; run: sudo apt-get ${args.join(" ")}`,
    );
  }
  const { code } = await new Deno.Command("apt-get", {
    args,
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
  }).spawn().status;
  if (code === 0) return;
  throw new CommandError(
    EXIT.resource,
    `Cannot install ${
      missing.join(", ")
    }: apt-get ended with ${code}; its lists may be old, try apt-get update`,
  );
}
