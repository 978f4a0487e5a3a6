import { assertEquals, assertRejects } from "@std/assert";
import { made } from "../../scripts/demo/disk.ts";

async function folder() {
  const path = await Deno.makeTempDir();
  const names = () => [...Deno.readDirSync(path)].map((entry) => entry.name);
  return { path, names, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("made() makes a file once", async () => {
  await using at = await folder();
  const path = `${at.path}/disk.img`;
  assertEquals(await made(path, (part) => Deno.writeTextFile(part, "first")), path);
  assertEquals(await made(path, (part) => Deno.writeTextFile(part, "second")), path);
  assertEquals(await Deno.readTextFile(path), "first");
  assertEquals(at.names(), ["disk.img"]);
});

Deno.test("made() takes no file away that came meanwhile", async () => {
  await using at = await folder();
  const path = `${at.path}/disk.img`;
  await made(path, async (part) => {
    await Deno.writeTextFile(part, "late");
    await Deno.writeTextFile(path, "in use");
  });
  assertEquals(await Deno.readTextFile(path), "in use");
  assertEquals(at.names(), ["disk.img"]);
});

Deno.test("made() leaves nothing half-made", async () => {
  await using at = await folder();
  const failing = async (part: string) => {
    await Deno.writeTextFile(part, "half");
    throw new Error("no space left");
  };
  await assertRejects(() => made(`${at.path}/disk.img`, failing), Error, "no space left");
  assertEquals(at.names(), []);
});
