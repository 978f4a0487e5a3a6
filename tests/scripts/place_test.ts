import { assertEquals, assertRejects } from "@std/assert";
import { placeFolder, replaceFolder } from "../../scripts/card_os/place.ts";

/** Folders with one file each, its text the folder's name. */
async function folders(...names: string[]) {
  const path = await Deno.makeTempDir();
  for (const name of names) {
    await Deno.mkdir(`${path}/${name}`);
    await Deno.writeTextFile(`${path}/${name}/file`, name);
  }
  return {
    path,
    text: (name: string) => Deno.readTextFile(`${path}/${name}/file`),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

Deno.test("replaceFolder() puts a folder where none is, and where one is", async () => {
  await using at = await folders("new", "newer");
  await replaceFolder(`${at.path}/new`, `${at.path}/place`);
  assertEquals(await at.text("place"), "new");
  await replaceFolder(`${at.path}/newer`, `${at.path}/place`);
  assertEquals(await at.text("place"), "newer");
});

Deno.test("replaceFolder() stands others that do the same at the same time", async () => {
  const names = ["a", "b", "c", "d"];
  await using at = await folders(...names);
  await Promise.all(names.map((name) => replaceFolder(`${at.path}/${name}`, `${at.path}/place`)));
  assertEquals(names.includes(await at.text("place")), true);
});

Deno.test("replaceFolder() fails without its folder, and puts nothing there", async () => {
  await using at = await folders();
  await assertRejects(
    () => replaceFolder(`${at.path}/none`, `${at.path}/place`),
    Deno.errors.NotFound,
  );
});

Deno.test("placeFolder() leaves alone what is there", async () => {
  await using at = await folders("first", "second");
  await placeFolder(`${at.path}/first`, `${at.path}/place`);
  await placeFolder(`${at.path}/second`, `${at.path}/place`);
  assertEquals(await at.text("place"), "first");
});
