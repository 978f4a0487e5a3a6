/**
 * `deno task keygen`: shows by what this machine is known, and whom it trusts.
 *
 * @module
 */
import {
  configFolder,
  EXIT,
  machineIdentity,
  parseOptions,
  runMain,
  trustedPeers,
} from "./cli/mod.ts";

const COMMAND = {
  name: "deno task keygen",
  about: "shows this machine's fingerprint and the peers it trusts.\n\n" +
    "Makes the identity if there is none yet, as host and card do when they first need it.",
  options: {},
} as const;

await runMain("keygen", async () => {
  if (!parseOptions(COMMAND, Deno.args)) return EXIT.ok;
  const folder = configFolder();
  const { fingerprint } = await machineIdentity(folder);
  console.log(`${fingerprint}  this machine, ${folder}/identity.pem`);
  for (const peer of await trustedPeers(folder)) {
    console.log(`${peer.fingerprint}  trusted ${peer.role}, paired at ${peer.name}`);
  }
  return EXIT.ok;
});
