/** Device configuration space through a whole card and its host (virtio 1.3 §2.5.2, §4.1.3.2, §5.1.6.5.2.1, §5.3.5.1). */
import { assertEquals } from "@std/assert";
import { GuestBench } from "../support/guest_bench.ts";
import { type GuestDevice, REG } from "../support/guest_device.ts";
import { turnsUntil } from "../support/turns.ts";

/** Device configuration of functions with few queues. */
const CONFIG = 0x80;
/** 128 sectors; segments of 128 KiB, 126 of them; no geometry; blocks of 512, 8 of them a physical one; writeback. */
const BLOCK = "8000000000000000" + "00000200" + "7e000000" + "00000000" + "00020000" + "03000800" +
  "00000000" + "01000000" + "00002000" + "10000000" + "08000000" + "00002000" + "10000000" +
  "01000000";
const NET = "020000000001" + "0100" + "0000" + "dc05";
const CONSOLE = "5000" + "1900" + "01000000" + "00000000";

function bytesOf(guest: GuestDevice, length: number, width: 1 | 2 | 4): string {
  const bytes = Array.from({ length: length / width }, (_, i) => {
    const value = guest.read(CONFIG + i * width, width);
    return Array.from({ length: width }, (_, byte) => value / 256 ** byte & 0xff);
  });
  return Uint8Array.from(bytes.flat()).toHex();
}

Deno.test("device configuration is read whole, in any width, before a driver has said a word", async () => {
  await using bench = await GuestBench.boot();
  for (
    const [guest, bytes] of [
      [bench.block, BLOCK],
      [bench.network, NET],
      [bench.console, CONSOLE],
    ] as const
  ) {
    assertEquals(guest.status, 0);
    for (const width of [1, 2, 4] as const) {
      assertEquals(bytesOf(guest, bytes.length / 2, width), bytes);
    }
    // A 64-bit field, or what lies there, by its halves in either order.
    const whole = bytes.slice(0, 16);
    const halves = [4, 0].map((at) => guest.read(CONFIG + at, 4));
    assertEquals(halves.map((half) => half.toString(16).padStart(8, "0")), [
      whole.slice(8).match(/../g)!.toReversed().join(""),
      whole.slice(0, 8).match(/../g)!.toReversed().join(""),
    ]);
  }
});

Deno.test("an emergency character is written by a console that nobody has touched", async () => {
  await using bench = await GuestBench.boot();
  const { console: guest, terminal } = bench;
  assertEquals(guest.status, 0);
  guest.write(CONFIG + 8, 4, 0x21);
  guest.write(CONFIG + 8, 1, 0x3f);
  await turnsUntil(() => terminal.text.length === 2, "the terminal has both");
  assertEquals(terminal.text, "!?");
});

Deno.test("a MAC address is in the configuration when the command that set it is used", async () => {
  await using bench = await GuestBench.boot();
  const { network: guest } = bench;
  await guest.start(3);
  const at = guest.buffer(16);
  for (const last of [7, 8, 9]) {
    guest.memory.set([1, 1, 2, 0, 0, 0, 0, last, 0xee], at);
    const before = guest.read(REG.config_generation, 1);
    guest.rings[2]!.add([{ address: at, length: 8 }], [{ address: at + 8, length: 1 }]);
    guest.notify(2);
    // Looked at in every turn: the first in which the command is used has the address.
    let seen: number | undefined;
    await turnsUntil(() => {
      if (guest.rings[2]!.takeUsed() === undefined) return false;
      seen = guest.read(CONFIG + 5, 1);
      return true;
    }, "the command is used");
    assertEquals([guest.memory[at + 8], seen], [0, last]);
    assertEquals(guest.read(REG.config_generation, 1), before + 1);
  }
});
