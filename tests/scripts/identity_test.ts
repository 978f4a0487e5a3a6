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
import { taskArguments } from "../../scripts/cli/tasks.ts";
import { makeIdentity, shortIdentity } from "../../protocol/mod.ts";
import { missing } from "../support/needs.ts";

const notRoot = await missing("root");

const A = "a1".repeat(32);
const B = "b2".repeat(32);

async function configuration(): Promise<{ readonly path: string } & AsyncDisposable> {
  const top = await Deno.makeTempDir();
  return {
    path: `${top}/config/knightsbridge`,
    [Symbol.asyncDispose]: () => Deno.remove(top, { recursive: true }),
  };
}

const filesIn = async (path: string) =>
  (await Array.fromAsync(Deno.readDir(path), ({ name }) => name)).sort();

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
  assertEquals(await filesIn(folder.path), ["identity.pem"]);
});

Deno.test("keygen makes an identity, and finds it again, in a folder that a symbolic link leads to", async () => {
  await using top = await configuration();
  const folder = top.path.replace("/config/knightsbridge", "");
  await Deno.mkdir(`${folder}/where/it/is`, { recursive: true });
  await Deno.symlink(`${folder}/where/it/is`, `${folder}/config`);
  // As systemd has the folder of a dynamic user: the task's permissions name the link, and nothing else.
  const env = { XDG_CONFIG_HOME: `${folder}/config` };
  for (const _ of ["first", "again"]) {
    const args = await taskArguments("keygen", env);
    const { stdout, stderr, success } = await new Deno.Command("deno", { args, env }).output();
    const text = new TextDecoder();
    assert(success, text.decode(stderr));
    assert(text.decode(stdout).includes(`${top.path}/identity.pem`), text.decode(stdout));
  }
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

Deno.test("machineIdentity() refuses an identity that is damaged, at the start and not at each connection", async () => {
  await using folder = await configuration();
  await machineIdentity(folder.path);
  const path = `${folder.path}/identity.pem`;
  const text = await Deno.readTextFile(path);
  await Deno.truncate(path, text.length >> 1);
  const error = await assertRejects(() => machineIdentity(folder.path), CommandError);
  assertEquals(error.exitCode, EXIT.resource);
  assert(error.message.startsWith(`Cannot use ${path}: Cannot read identity: `), error.message);
});

Deno.test("nothing is believed that lies where others may write", async () => {
  await using folder = await configuration();
  await machineIdentity(folder.path);
  await trustPeer({ role: "card", name: "first", fingerprint: A }, folder.path);
  const list = `${folder.path}/trusted.json`;
  const isCard = trusts("card", folder.path);
  for (
    const [path, mode, wanted, read] of [
      [list, 0o620, "600", isCard],
      [list, 0o666, "644", isCard],
      [folder.path, 0o720, "700", isCard],
      [folder.path, 0o777, "755", isCard],
      [folder.path, 0o770, "750", () => machineIdentity(folder.path)],
    ] as const
  ) {
    const before = (await Deno.stat(path)).mode!;
    await Deno.chmod(path, mode);
    const error = await assertRejects(() => Promise.resolve(read(A)), CommandError);
    assertEquals(error.exitCode, EXIT.resource);
    assert(error.message.startsWith(`Cannot use ${path}: it may have been changed by others`));
    assert(error.message.includes(`"chmod ${wanted} ${path}"`), error.message);
    await Deno.chmod(path, before);
  }
  // Others may look at the list: a fingerprint is no secret.
  await Deno.chmod(list, 0o644);
  assertEquals(await isCard(A), true);
});

Deno.test({
  name: "nothing is believed that belongs to another user",
  ignore: notRoot,
}, async () => {
  const other = 12345;
  for (const name of ["identity.pem", "trusted.json", "."]) {
    await using folder = await configuration();
    await machineIdentity(folder.path);
    await trustPeer({ role: "card", name: "first", fingerprint: A }, folder.path);
    await Deno.chown(`${folder.path}/${name}`, other, other);
    const read = name === "identity.pem"
      ? () => machineIdentity(folder.path)
      : () => trustedPeers(folder.path);
    await assertRejects(read, CommandError, `it belongs to user ${other}, and this is user 0`);
  }
});

Deno.test("an identity may be a symbolic link, to a file that is as good; one that leads nowhere is an error", async () => {
  await using one = await configuration();
  await using two = await configuration();
  const { fingerprint } = await machineIdentity(one.path);
  const path = `${two.path}/identity.pem`;
  await Deno.mkdir(two.path, { recursive: true });
  await Deno.symlink(`${one.path}/identity.pem`, path);
  assertEquals((await machineIdentity(two.path)).fingerprint, fingerprint);
  await Deno.chmod(`${one.path}/identity.pem`, 0o644);
  await assertRejects(() => machineIdentity(two.path), CommandError, "(mode 644)");
  await Deno.remove(`${one.path}/identity.pem`);
  await assertRejects(() => machineIdentity(two.path), CommandError, "leads nowhere; remove it");
  assertEquals(await filesIn(two.path), ["identity.pem"]);
});

Deno.test("trustPeer() keeps what others write at the same time", async () => {
  await using folder = await configuration();
  await machineIdentity(folder.path);
  const peers = Array.from({ length: 16 }, (_, i) => ({
    role: "card",
    name: `card ${i}`,
    fingerprint: i.toString(16).repeat(64),
  } as const));
  await Promise.all(peers.map((peer) => trustPeer(peer, folder.path)));
  const kept = await trustedPeers(folder.path);
  assertEquals(kept.toSorted((a, b) => a.fingerprint < b.fingerprint ? -1 : 1), peers);
  assertEquals(await filesIn(folder.path), ["identity.pem", "trusted.json"]);
  assertEquals(await modeOf(`${folder.path}/trusted.json`), "600");
});

Deno.test("trustPeer() that cannot write leaves what was there, and nothing else", async () => {
  await using folder = await configuration();
  await machineIdentity(folder.path);
  await trustPeer({ role: "card", name: "first", fingerprint: A }, folder.path);
  await Deno.writeTextFile(`${folder.path}/trusted.json`, "{}");
  const second = { role: "card", name: "second", fingerprint: B } as const;
  await assertRejects(() => trustPeer(second, folder.path), CommandError, "Cannot read ");
  assertEquals(await Deno.readTextFile(`${folder.path}/trusted.json`), "{}");
  assertEquals(await filesIn(folder.path), ["identity.pem", "trusted.json"]);
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
    const text of [
      "",
      "{}",
      "null",
      "[]",
      '{"peers": [null]}',
      '{"peers": [{"role": "card", "name": "x", "fingerprint": "a1"}]}',
    ]
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
