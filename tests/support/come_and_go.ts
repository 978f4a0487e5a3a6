/**
 * Cards that appear and vanish at any moment of their lives, while others work on their disks.
 *
 * @module
 */
import { SECTOR } from "./diag_bench.ts";
import type { CardFarm, CardProcess } from "./card_farm.ts";
import type { Random } from "./random.ts";

/** Sectors of a farm's disk of 64 KiB. */
const SECTORS = 128;

/** Writes, reads back and compares until `stop` aborts; resolves to how often. @throws {Error} if it is not what was written */
export async function workOnDisk(card: CardProcess, stop: AbortSignal): Promise<number> {
  const { disk } = card.os;
  let rounds = 0;
  while (!stop.aborted) {
    const bytes = new Uint8Array(SECTOR).fill(++rounds);
    await disk.write(rounds % SECTORS, bytes);
    const back = await disk.read(rounds % SECTORS, 1);
    if (back.some((byte) => byte !== bytes[0])) throw new Error(`Round ${rounds} was not kept`);
  }
  return rounds;
}

/**
 * Card `number` comes and goes `times` times: before its host has answered, while it boots, or when it is online and has
 * done something. Ends with the card online.
 */
export async function comeAndGo(
  farm: CardFarm,
  number: number,
  times: number,
  random: Random,
): Promise<void> {
  const card = farm.host.cards.get(`mic${number}`)!;
  for (let time = 0; time < times; time++) {
    const process = farm.power(number);
    const moment = random.below(4);
    if (moment > 0) await card.waitForDriver();
    if (moment > 1) await card.waitFor(["booting", "online"]);
    if (moment > 2) {
      await farm.online(number);
      await process.os.disk.read(random.below(SECTORS), 1);
    }
    await farm.vanish(number);
  }
  farm.power(number);
  await farm.online(number);
}
