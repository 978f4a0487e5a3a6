// A Linux card writes and verifies while its link is cut and its hosts are killed: the short form of the soak.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { killAndVerify } from "../support/kill_and_verify.ts";
import { temporaryFolder } from "../support/lab.ts";
import { missing } from "../support/needs.ts";
import { AREA_SECTORS, numberedWrites, SECTOR_BYTES } from "../support/numbered_writes.ts";

/** The area of writer 1 with seed 7 after `count` writes, made from what the script says; no code in common. */
function written(count: number): Uint8Array {
  const area = new Uint8Array(AREA_SECTORS * SECTOR_BYTES);
  let x = 7n;
  for (let n = 0; n < count; n++) {
    if (n % 8 === 0) x = (x * 1103515245n + 12345n) & 0x7fffffffn;
    const sector = Number((x >> 8n) % 512n) * 8 + n % 8;
    put(area, sector, `writer 1 sector ${4096 + sector} number ${n} `);
  }
  return area;
}

function put(area: Uint8Array, sector: number, start: string): void {
  const line = start.padEnd(63, ".") + "\n";
  area.set(new TextEncoder().encode(line.repeat(8)), sector * SECTOR_BYTES);
}

Deno.test("numberedWrites() counts writes, and finds one that is lost, old, torn, early or elsewhere", () => {
  const writer = { index: 1, seed: 7 };
  const count = (change: (area: Uint8Array) => void = () => {}, writes = 6001) => {
    const area = written(writes);
    change(area);
    return numberedWrites(writer, area);
  };
  assertEquals(count(), 6001);
  assertEquals(count(undefined, 0), 0);
  assertEquals(count(undefined, 3), 3);
  // Places by the same rule: 6000 is the last write, 5992 to 5999 the group before.
  const area = written(6001);
  const text = new TextDecoder();
  const find = (n: number) =>
    Array.from({ length: AREA_SECTORS }, (_, sector) => sector).find((sector) =>
      text.decode(area.subarray(sector * 512, sector * 512 + 64)).includes(` number ${n} `)
    )!;
  const one = find(5995);
  assertThrows(() => count((area) => area.fill(0, one * 512, one * 512 + 512)), Error, "5995");
  assertThrows(
    () => count((area) => put(area, one, `writer 1 sector ${4096 + one} number 11 `)),
    Error,
    "has write 11 of writer 1, wanted 5995: write 6000 is there",
  );
  assertThrows(
    () => count((area) => area.fill(0, one * 512 + 448, one * 512 + 512)),
    Error,
    "torn",
  );
  assertThrows(() => count((area) => area.copyWithin(one * 512, 0, 512)), Error);
  const later = find(6000);
  assertThrows(
    () => count((area) => put(area, later, `writer 1 sector ${4096 + later} number 6008 `)),
    Error,
    "write 6008 is there",
  );
});

Deno.test({
  name: "Linux loses and changes nothing while its encrypted link is cut and its hosts are killed",
  ignore: await missing({ program: "e2fsck" }),
}, async () => {
  await using folder = await temporaryFolder();
  const result = await killAndVerify({
    folder: folder.path,
    seed: 1,
    cuts: 10,
    kills: 3,
    secure: true,
    limit: 240_000,
  });
  console.log(JSON.stringify(result));
  assert(result.cuts >= 10 && result.kills >= 3);
  assert(result.acknowledged > 0 && result.files > 0);
});
