import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { BootLog, type BootLogOptions } from "../../host/console/boot_log.ts";
import { LineStamper } from "../../host/console/stamp.ts";
import { temporaryFolder } from "../support/lab.ts";

const textOf = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);
const bytesOf = (text: string) => new TextEncoder().encode(text);
const AT = Date.UTC(2026, 10, 22, 22, 1, 2, 345);

const options = (folder: string): BootLogOptions => ({
  folder: `${folder}/console`,
  now: () => AT,
  report(error) {
    throw error;
  },
});

Deno.test("LineStamper.stamp() puts the time of a line's first byte before it", () => {
  const stamper = new LineStamper();
  const pieces = ["Linux\r", "\nlogin: ", "root\r\n\r\n50%\r60%", "\n"];
  const text = pieces.map((piece, i) => textOf(stamper.stamp(bytesOf(piece), AT + i))).join("");
  assertEquals(
    text,
    "2026-11-22T22:01:02.345Z Linux\n" +
      "2026-11-22T22:01:02.346Z login: root\n" +
      "2026-11-22T22:01:02.347Z \n" +
      "2026-11-22T22:01:02.347Z 50%\r60%\n",
  );
});

Deno.test("LineStamper.stamp() changes nothing but line ends, however the output is cut", () => {
  const output = fc.string({ unit: fc.constantFrom("a", "\r", "\n"), maxLength: 60 });
  fc.assert(fc.property(output, fc.array(fc.nat(60), { maxLength: 4 }), (text, cuts) => {
    const stamper = new LineStamper();
    const places = [0, ...cuts.map((at) => Math.min(at, text.length)), text.length]
      .sort((a, b) => a - b);
    let stamped = "";
    for (let i = 1; i < places.length; i++) {
      stamped += textOf(stamper.stamp(bytesOf(text.slice(places[i - 1], places[i])), AT));
    }
    // A carriage return at the very end may still be that of a line's end.
    const whole = text.replace(/\r$/, "").replaceAll("\r\n", "\n");
    assertEquals(stamped.replaceAll("2026-11-22T22:01:02.345Z ", ""), whole);
  }));
});

Deno.test("BootLog has a file for each boot, a line for each line", async () => {
  await using folder = await temporaryFolder();
  {
    await using log = new BootLog(options(folder.path));
    log.write(bytesOf("before any boot\n"));
    log.begin(1);
    log.write(bytesOf("one\r\nunfin"));
    log.write(bytesOf("ished"));
    log.begin(2);
    log.write(bytesOf("two\n"));
    assertEquals(textOf(await log.read(2)), "2026-11-22T22:01:02.345Z two\n");
  }
  const text = (n: number) => Deno.readTextFileSync(`${folder.path}/console/boot-${n}.log`);
  assertEquals(text(1), "2026-11-22T22:01:02.345Z one\n2026-11-22T22:01:02.345Z unfinished\n");
  // The next host goes on with the boot that runs.
  await using log = new BootLog(options(folder.path));
  log.begin(2);
  log.write(bytesOf("more\n"));
  assertStringIncludes(textOf(await log.read(2))!, "two\n2026-11-22T22:01:02.345Z more\n");
  assertEquals([await log.list(), await log.read(3)], [[1, 2], undefined]);
});

Deno.test("BootLog keeps the newest of a boot that shows more than there is room for", async () => {
  await using folder = await temporaryFolder();
  await using log = new BootLog({ ...options(folder.path), size: 2048 });
  log.begin(1);
  for (let i = 1; i <= 200; i++) {
    log.write(bytesOf(`line ${i}\n`));
    await log.flushed();
    const sizes = [...Deno.readDirSync(`${folder.path}/console`)]
      .map(({ name }) => Deno.statSync(`${folder.path}/console/${name}`).size);
    assert(sizes.every((size) => size <= 1024) && sizes.length <= 2, `${sizes}`);
  }
  const lines = textOf(await log.read(1))!.trimEnd().split("\n").map((line) => line.slice(25));
  assert(lines.length > 30, "more than one half of it");
  assertEquals(lines, lines.map((_, i) => `line ${200 - lines.length + 1 + i}`));
});

Deno.test("BootLog keeps so many boots, the newest, and touches no other file", async () => {
  await using folder = await temporaryFolder();
  const other = `${folder.path}/console/notes.txt`;
  await using log = new BootLog({ ...options(folder.path), boots: 3 });
  for (let i = 1; i <= 6; i++) {
    log.begin(i);
    log.write(bytesOf(`boot ${i}\n`));
    await log.flushed();
    if (i === 1) Deno.writeTextFileSync(other, "mine");
  }
  assertEquals(await log.list(), [4, 5, 6]);
  assertEquals(Deno.readTextFileSync(other), "mine");
});

Deno.test("BootLog says what it lost while the disk was slow, and holds no more than its bound", async () => {
  await using folder = await temporaryFolder();
  await using log = new BootLog(options(folder.path));
  log.begin(1);
  const line = "x".repeat(99) + "\n";
  // Nothing is written before this turn is over.
  for (let i = 0; i < 50_000; i++) log.write(bytesOf(line));
  await log.flushed();
  log.write(bytesOf("end\n"));
  const text = textOf(await log.read(1))!;
  const [, lost] = /Z \[knightsbridge: (\d+) bytes are not here: the disk was too slow\]\n/
    .exec(text)!;
  const kept = text.split("\n").filter((each) => each.endsWith(line.trimEnd())).length;
  assertEquals(Number(lost) + kept * 100, 50_000 * 100);
  assert(text.length < 300 * 1024);
  assert(text.endsWith("end\n"));
});

Deno.test("BootLog reports once that it cannot write, and works again with the next boot", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/console`;
  Deno.writeTextFileSync(path, "in the way");
  const errors: string[] = [];
  await using log = new BootLog({
    ...options(folder.path),
    report: ({ message }) => errors.push(message),
  });
  log.begin(1);
  log.write(bytesOf("lost\n"));
  log.write(bytesOf("lost\n"));
  await log.flushed();
  assertEquals(errors.length, 1);
  assertStringIncludes(errors[0]!, `Cannot write the console's log in ${path}: `);
  Deno.removeSync(path);
  log.begin(2);
  log.write(bytesOf("kept\n"));
  assertEquals(textOf(await log.read(2)), "2026-11-22T22:01:02.345Z kept\n");
  assertEquals(errors.length, 1);
});
