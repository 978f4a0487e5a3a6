// The file system that a disk image lies on is full, really: a small one of the host process's own.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { digest, onHost, randomBytes, temporaryFolder } from "../support/lab.ts";
import { PressureLab } from "../support/pressure_lab.ts";

const MIB = 1024 * 1024;
/** Digest of 4 MiB of zeros. */
const ZEROS = "bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8";

/**
 * Words that give a process a file system of 8 MiB at `place`, with an image of 32 MiB that has almost nothing in it, and
 * 4 MiB of ballast. Nobody else sees it, and it goes with the process; no root is needed where user namespaces are
 * allowed. Undefined, with the reason printed, where they are not.
 */
async function smallFileSystem(place: string): Promise<string[] | undefined> {
  const unshare = ["unshare", Deno.uid() === 0 ? "-m" : "-Urm"];
  const script = [
    'mount -t tmpfs -o size=8m none "$0"',
    'truncate -s 32M "$0/disk.img"',
    'head -c 4M /dev/zero >"$0/ballast"',
    'exec "$@"',
  ].join(" && ");
  const words = [...unshare, "sh", "-c", script, place];
  try {
    await onHost(words[0]!, ...words.slice(1), "true");
    return words;
  } catch (error) {
    console.error(`skipped here: no file system of one's own, ${(error as Error).message}`);
  }
}

const possible = await (async () => {
  await using folder = await temporaryFolder();
  return await smallFileSystem(folder.path) !== undefined;
})();

Deno.test({
  name: "a write that finds the host's disk full fails alone, and the next ones when there is room",
  ignore: !possible,
}, async () => {
  await using folder = await temporaryFolder();
  const source = `${folder.path}/source.img`;
  const content = randomBytes(8 * MIB);
  await Deno.writeFile(source, content);
  const small = `${folder.path}/small`;
  await Deno.mkdir(small);
  const within = await smallFileSystem(small);
  await using run = await PressureLab.start({
    os: "diag",
    host: [
      ...["--disk", `${small}/disk.img`, "--disk", `${source},readonly`],
      ...["--console", "tcp:127.0.0.1:0"],
    ],
    within: within!,
  });
  const { host } = run.lab;
  await run.lab.online();
  const ask = async (command: string) => (await run.ask(command)).output;
  const copy = (mib: number, seek: number) =>
    ask(`dd if=vdb of=vda bs=64k count=${16 * mib} seek=${16 * seek} conv=fsync`);
  const sumOf = async (offset: number, mib: number) =>
    /^[0-9a-f]{64}/m.exec(await ask(`sha256 vda offset=${offset}M length=${mib}M`))?.[0];
  const contentSum = (mib: number) => digest("sha256", content.subarray(0, mib * MIB));

  assertMatch(await copy(2, 0), /2\.0 MiB|2097152/);
  assertEquals(host.events.filter(({ type }) => type === "backend"), []);
  const full = await copy(8, 4);
  assertMatch(full, /Cannot write vda at sector \d+: /);
  const failures = host.events.filter(({ type }) => type === "backend");
  assertEquals(failures.length, 1, JSON.stringify(failures));
  assertMatch(
    failures[0]!["error"] as string,
    /^OUT request at sector \d+ failed: Cannot write .*disk\.img: .*(no space left|ENOSPC)/i,
  );
  // What is there is as it was, and what was never written is not touched.
  assertEquals(await sumOf(0, 2), contentSum(2));
  assertEquals(await sumOf(20, 4), ZEROS);
  // What has its place may still be written.
  await copy(2, 0);
  assertEquals(host.events.filter(({ type }) => type === "backend").length, 1);

  await onHost("rm", `/proc/${host.pid}/root${small}/ballast`);
  const room = await copy(4, 4);
  assert(!room.includes("Cannot"), room);
  assertEquals(await sumOf(4, 4), contentSum(4));
  assertEquals(await sumOf(0, 2), contentSum(2));
  assertEquals(await sumOf(20, 4), ZEROS);
  assertEquals(host.events.filter(({ type }) => type === "backend").length, 1);
});
