import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BootError } from "../../host/driver/boot_error.ts";
import { place } from "../../host/driver/placement.ts";

const MIB = 2 ** 20;
const PAGE = { address: 64 * MIB, length: 0x20000 };
const CARD = { memoryBytes: 64 * MIB, loadAddress: 16 * MIB, page: PAGE };

Deno.test("place() puts kernel at the load address, command line behind it, initrd at the top", () => {
  assertEquals(place({ kernel: 5000, cmdline: 30, initrd: 4097 }, CARD), {
    kernel: { address: 0x100_0000, length: 5000 },
    cmdline: { address: 0x100_2000, length: 30 },
    initrd: { address: 0x3ff_e000, length: 4097 },
  });
});

Deno.test("place() leaves out an initrd that is none", () => {
  assertEquals(place({ kernel: 1, cmdline: 0, initrd: 0 }, CARD).initrd, undefined);
});

Deno.test("place() keeps the initrd below a card page that lies in memory", () => {
  const card = { ...CARD, page: { address: 63 * MIB, length: 0x20000 } };
  assertEquals(place({ kernel: 1, cmdline: 1, initrd: 4096 }, card).initrd?.address, 0x3ef_f000);
});

Deno.test("place() says how much memory a download needs that does not fit", () => {
  const error = assertThrows(
    () => place({ kernel: 30 * MIB, cmdline: 10, initrd: 20 * MIB }, CARD),
    BootError,
  );
  assertEquals(
    error.message,
    "Cannot boot: kernel (30.0 MiB) and initrd (20.0 MiB) at 16.0 MiB need 67 MiB of card memory, the card has 64",
  );
  assertThrows(
    () => place({ kernel: 48 * MIB, cmdline: 0, initrd: 0 }, CARD),
    BootError,
    "kernel (48.0 MiB) at 16.0 MiB need 65 MiB",
  );
});

Deno.test("place() refuses a command line longer than Linux takes", () => {
  place({ kernel: 1, cmdline: 2047, initrd: 0 }, CARD);
  assertThrows(
    () => place({ kernel: 1, cmdline: 2048, initrd: 0 }, CARD),
    BootError,
    "the command line has 2048 bytes, at most 2047 fit",
  );
});

Deno.test("place() never overlaps, leaves memory or loses alignment", () => {
  const size = fc.integer({ min: 1, max: 40 * MIB });
  fc.assert(fc.property(
    size,
    fc.integer({ min: 0, max: 2047 }),
    fc.oneof(fc.constant(0), size),
    fc.integer({ min: 0, max: 70 * 256 }),
    (kernel, cmdline, initrd, pagePage) => {
      const page = { address: Math.max(pagePage * 4096, CARD.loadAddress), length: 0x20000 };
      const memory = { ...CARD, page };
      let placed;
      try {
        placed = place({ kernel, cmdline, initrd }, memory);
      } catch (error) {
        if (error instanceof BootError) return;
        throw error;
      }
      const spans = [placed.kernel, { ...placed.cmdline, length: cmdline + 1 }];
      if (placed.initrd) spans.push(placed.initrd);
      const end = Math.min(page.address, CARD.memoryBytes);
      let last = CARD.loadAddress;
      for (const { address, length } of spans) {
        assertEquals(address % 4096, 0);
        assertEquals(address >= last, true);
        last = address + length;
      }
      assertEquals(last <= end, true);
    },
  ));
});
