import { assertEquals } from "@std/assert";
import { type RestartPolicy, Restarts } from "../../host/cards/restart.ts";
import type { ShutdownReason } from "../../protocol/mod.ts";

/** First answer of a policy to each ending, ms: typed by hand. */
const FIRST: readonly (readonly [ShutdownReason, Record<RestartPolicy, number | undefined>])[] = [
  ["nop", { never: undefined, "on-failure": undefined, always: undefined }],
  ["crashed", { never: undefined, "on-failure": 1000, always: 1000 }],
  ["halted", { never: undefined, "on-failure": undefined, always: 1000 }],
  ["poweroff", { never: undefined, "on-failure": undefined, always: 1000 }],
  ["restart", { never: 0, "on-failure": 0, always: 0 }],
];

Deno.test("Restarts answers each ending as its policy says, and never undoes a command", () => {
  for (const [reason, wanted] of FIRST) {
    for (const policy of ["never", "on-failure", "always"] as const) {
      const what = `${policy}, ${reason}`;
      const after = (asked: boolean) => new Restarts(policy).after({ reason, asked, online: 0 });
      assertEquals(after(false), wanted[policy], what);
      assertEquals(after(true), undefined, `${what}, asked`);
    }
  }
});

Deno.test("Restarts waits twice as long each time, up to a minute; a steady minute starts it over", () => {
  const restarts = new Restarts("on-failure");
  const crash = (online: number) => restarts.after({ reason: "crashed", asked: false, online });
  assertEquals([crash(0), crash(59_999), restarts.afterFailure(), crash(0)], [
    1000,
    2000,
    4000,
    8000,
  ]);
  assertEquals([crash(0), crash(0), crash(0), crash(0)], [16_000, 32_000, 60_000, 60_000]);
  assertEquals([crash(60_000), crash(0)], [1000, 2000]);
});

Deno.test("Restarts tries a boot that failed again unless the policy is never", () => {
  assertEquals(new Restarts("never").afterFailure(), undefined);
  assertEquals(new Restarts("on-failure").afterFailure(), 1000);
  assertEquals(new Restarts("always").afterFailure(), 1000);
});
