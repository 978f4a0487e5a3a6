import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import {
  CommandError,
  EXIT,
  machineIdentity,
  plainIdentity,
  trustedPeers,
  trustPeer,
  trusts,
} from "../../scripts/cli/mod.ts";
import { makeIdentity, shortIdentity } from "../../protocol/mod.ts";

const A = "a1".repeat(32);
const B = "b2".repeat(32);

async function configuration(): Promise<{ readonly path: string } & AsyncDisposable> {
  const top = await Deno.makeTempDir();
  return {
    path: `${top}/config/knightsbridge`,
    [Symbol.asyncDispose]: () => Deno.remove(top, { recursive: true }),
  };
}

const modeOf = async (path: string) => ((await Deno.stat(path)).mode! & 0o777).toString(8);

Deno.test("machineIdentity() makes an identity for this user alone, once", async () => {
  await using folder = await configuration();
  const identity = await machineIdentity(folder.path);
  assertEquals(await machineIdentity(folder.path), identity);
  assertEquals(await modeOf(folder.path), "700");
  assertEquals(await modeOf(`${folder.path}/identity.pem`), "600");
});

Deno.test("machineIdentity() is one for all who ask for the first time at once", async () => {
  await using folder = await configuration();
  const all = await Promise.all(Array.from({ length: 8 }, () => machineIdentity(folder.path)));
  assertEquals(new Set(all.map(({ fingerprint }) => fingerprint)).size, 1);
  const files = await Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name);
  assertEquals(files, ["identity.pem"]);
});

Deno.test("machineIdentity() refuses a key that others may read, and says what to do", async () => {
  await using folder = await configuration();
  const { fingerprint } = await machineIdentity(folder.path);
  const path = `${folder.path}/identity.pem`;
  for (const mode of [0o640, 0o604, 0o620]) {
    await Deno.chmod(path, mode);
    const error = await assertRejects(() => machineIdentity(folder.path), CommandError);
    assertEquals(error.exitCode, EXIT.resource);
    assert(error.message.includes(`(mode ${mode.toString(8)})`), error.message);
    assert(error.message.includes(`"chmod 600 ${path}"`), error.message);
  }
  await Deno.chmod(path, 0o600);
  assertEquals((await machineIdentity(folder.path)).fingerprint, fingerprint);
});

Deno.test("machineIdentity() refuses a file that is no identity, and leaves it", async () => {
  await using folder = await configuration();
  await machineIdentity(folder.path);
  const path = `${folder.path}/identity.pem`;
  await Deno.writeTextFile(path, "nothing of the kind");
  await assertRejects(() => machineIdentity(folder.path), CommandError, "found no PRIVATE KEY");
  assertEquals(await Deno.readTextFile(path), "nothing of the kind");
});

Deno.test("trusts() knows a peer in its role, as long as it stands in the file", async () => {
  await using folder = await configuration();
  const isCard = trusts("card", folder.path);
  assertEquals(await isCard(A), false);
  await machineIdentity(folder.path);
  await trustPeer({ role: "card", name: "first", fingerprint: A }, folder.path);
  await trustPeer({ role: "host", name: "other", fingerprint: B }, folder.path);
  await trustPeer({ role: "card", name: "again", fingerprint: A }, folder.path);
  assertEquals(await trustedPeers(folder.path), [
    { role: "host", name: "other", fingerprint: B },
    { role: "card", name: "again", fingerprint: A },
  ]);
  assertEquals([await isCard(A), await isCard(B)], [true, false]);
  await Deno.writeTextFile(`${folder.path}/trusted.json`, '{"peers": []}');
  assertEquals(await isCard(A), false);
});

Deno.test("trustedPeers() refuses a file that it cannot understand, rather than trust by half", async () => {
  await using folder = await configuration();
  await machineIdentity(folder.path);
  for (
    const text of ["", "{}", '{"peers": [{"role": "card", "name": "x", "fingerprint": "a1"}]}']
  ) {
    await Deno.writeTextFile(`${folder.path}/trusted.json`, text);
    await assertRejects(() => trusts("card", folder.path)(A), CommandError, "Cannot read ");
  }
});

Deno.test("two machines have two identities", async () => {
  await using one = await configuration();
  await using two = await configuration();
  const [a, b] = await Promise.all([machineIdentity(one.path), machineIdentity(two.path)]);
  assertNotEquals(a.fingerprint, b.fingerprint);
});

Deno.test("plainIdentity() is the same each time, another for each key, and not told by the certificate", async () => {
  const [one, two] = [await makeIdentity(), await makeIdentity()];
  const identity = await plainIdentity(one);
  assertEquals(identity.length, 16);
  assertEquals(await plainIdentity({ key: one.key }), identity);
  assertNotEquals(await plainIdentity(two), identity);
  assertNotEquals(shortIdentity(one.fingerprint), identity);
});
