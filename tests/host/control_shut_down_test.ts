import { assertEquals, assertRejects } from "@std/assert";
import { shutDown } from "../../host/control/shut_down.ts";
import { BootError } from "../../host/driver/boot_error.ts";
import { LinkError } from "../../protocol/mod.ts";

const NEVER = new AbortController().signal;

/** A card whose shutdown fails with `error`. */
const failing = (error: unknown) => ({ shutdown: () => Promise.reject(error) });

Deno.test("shutDown() gives the card OS its time", async () => {
  let given: number | undefined;
  await shutDown({
    shutdown(options) {
      given = options?.timeout;
      return Promise.resolve("poweroff");
    },
  }, { timeout: 700, signal: NEVER });
  assertEquals(given, 700);
});

Deno.test("shutDown() ends where the card is gone, or cannot be reset", async () => {
  await shutDown(failing(new LinkError("gone")), { timeout: 1, signal: NEVER });
  await shutDown(failing(new BootError("not ready")), { timeout: 1, signal: NEVER });
});

Deno.test("shutDown() passes on what is a fault of our own", async () => {
  const options = { timeout: 1, signal: NEVER };
  await assertRejects(() => shutDown(failing(new TypeError("oops")), options), TypeError, "oops");
});

Deno.test("shutDown() ends at once when its signal aborts", async () => {
  const stop = new AbortController();
  const ended = shutDown({
    shutdown: (options) =>
      new Promise((_, reject) => {
        options!.signal!.addEventListener("abort", () => reject(options!.signal!.reason));
      }),
  }, { timeout: 60_000, signal: stop.signal });
  stop.abort();
  await ended;
});
