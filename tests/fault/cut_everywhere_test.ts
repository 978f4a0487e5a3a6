// A scripted session of every kind of frame over real TCP, cut: its two ends are as if it had not been. Here at a sample
// of bytes and around every frame; `deno task soak` cuts at all of them.
import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { GREETING } from "../../protocol/link/greeting.ts";
import { campaign, closerOf, cutsOf, DIRECTIONS } from "../support/cut_campaign.ts";
import { type CutPlan, runCut } from "../support/cut_rig.ts";

/** All but goodbye, which one side says. */
const KINDS = [0x02, 0x03, 0x04, 0x10, 0x11, 0x20, 0x21, 0x22, 0x23, 0x24, 0x30];
const GOODBYE = 0x01;

for (const direction of DIRECTIONS) {
  const whole = await runCut([], { closer: closerOf(direction) });

  Deno.test(`the script has every kind of frame, ${direction}`, () => {
    const types = whole.frames[direction].map(({ type }) => type);
    assertEquals(
      [...new Set(types)].toSorted((a, b) => a - b),
      [GOODBYE, ...KINDS],
    );
    assertGreaterOrEqual(types.length, 60);
  });

  for (const [how, step] of [["close", 13], ["reset", 41], ["stall", 61]] as const) {
    const name = { close: "cut", reset: "reset", stall: "left half-open" }[how];
    Deno.test(`a session ${name} anywhere is the whole session, ${direction}`, async () => {
      // A greeting that does not come is waited for much longer than a heartbeat: that is for the long form.
      const plans = cutsOf(whole, direction, how, step, how === "close")
        .filter(([cut]) => how !== "stall" || cut!.at >= GREETING.size);
      const figures = await campaign(plans, whole);
      console.error(`  ${JSON.stringify(figures)}`);
      assertGreaterOrEqual(figures.reconnects, figures.cuts / 2);
    });
  }

  Deno.test(`a session cut again while it is resumed is the whole session, ${direction}`, async () => {
    const plans: CutPlan[][] = [];
    for (let n = 0; n < 100; n++) {
      plans.push([
        { direction, at: 129 + (n * 197) % (whole.bytes[direction] - 200), how: "close" },
        // In the second greeting, in the replay, behind it; and once more.
        { direction: DIRECTIONS[n % 2]!, at: 1 + (n * 37) % 700, how: n % 3 ? "close" : "reset" },
        { direction: DIRECTIONS[(n >> 1) % 2]!, at: 1 + (n * 53) % 500, how: "close" },
      ]);
    }
    const figures = await campaign(plans, whole);
    console.error(`  ${JSON.stringify(figures)}`);
    assertGreaterOrEqual(figures.cuts, 2 * plans.length);
  });

  Deno.test(`an encrypted session cut anywhere is the whole session, ${direction}`, async () => {
    const secure = await runCut([], { tls: true });
    assertEquals(secure.outcome, whole.outcome);
    const figures = await campaign(cutsOf(secure, direction, "close", 101), whole, { tls: true });
    console.error(`  ${JSON.stringify(figures)}`);
    assertGreaterOrEqual(figures.reconnects, figures.cuts / 2);
  });
}
