// A connection that is open and carries nothing: a cable that was pulled, a firewall that forgot. The heartbeat finds it,
// the session goes on over another one, and what comes of the old one later is nobody's.
import { assert, assertEquals } from "@std/assert";
import type { LinkStatus } from "../../protocol/mod.ts";
import { DiagBench, SECTOR } from "../support/diag_bench.ts";
import type { Direction } from "../support/proxy.ts";

/** ms; the smaller of both ends' hold. */
const LIMITS = { heartbeat: 100, silence: 400 };

const reasons = (links: readonly LinkStatus[]): string[] =>
  links.flatMap((status) => status.type === "lost" ? [status.error.message] : []);
const resumptions = (links: readonly LinkStatus[]): number =>
  links.filter((status) => status.type === "up" && status.resumed).length;

for (
  const { what, directions, heard } of [
    {
      what: "the host is not heard",
      directions: ["hostToCard"],
      heard: ({ cardLinks }: DiagBench) => reasons(cardLinks).some(isSilence),
    },
    {
      what: "the card is not heard",
      directions: ["cardToHost"],
      heard: ({ hostLinks }: DiagBench) => reasons(hostLinks).some(isSilence),
    },
    {
      what: "nobody is heard",
      directions: ["cardToHost", "hostToCard"],
      heard: ({ cardLinks }: DiagBench) => reasons(cardLinks).some(isSilence),
    },
  ] as const
) {
  Deno.test(`a connection on which ${what} is left, and the session resumed on another`, async () => {
    await using bench = await DiagBench.start({ limits: LIMITS });
    const { proxy } = bench;
    await bench.work(3);
    const begun = performance.now();
    for (const direction of directions as readonly Direction[]) proxy.stall(direction);
    const bytes = new Uint8Array(SECTOR).fill(0xab);
    // Requested into the void; answered over the next connection.
    await bench.os.disk.write(200, bytes);
    console.log(`figure: pause of ${Math.round(performance.now() - begun)} ms`);
    assertEquals(bench.disk.subarray(200 * SECTOR, 201 * SECTOR), bytes);
    assert(heard(bench), JSON.stringify([bench.cardLinks, bench.hostLinks]));
    assertEquals([resumptions(bench.cardLinks), resumptions(bench.hostLinks)], [1, 1]);
    assertEquals(proxy.connections, 2);

    // All that was held comes now: frames that were sent again long ago, on a connection that nobody has.
    proxy.release();
    await proxy.remaining(1);
    await bench.work(50);
    assertEquals([resumptions(bench.cardLinks), resumptions(bench.hostLinks)], [1, 1]);
    assertEquals([proxy.connections, bench.machines.length, bench.refusals.length], [2, 1, 0]);
  });
}

function isSilence(text: string): boolean {
  return text.includes("nothing was heard for 400 ms");
}
