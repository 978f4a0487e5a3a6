import { assert, assertEquals } from "@std/assert";
import { ReactorPing } from "../../card/machine/v86/reactor_ping.ts";
import { Scheduler } from "../../card/machine/v86/scheduler.ts";
import type { Cpu, Runner } from "../../card/machine/v86/v86_types.ts";

/** A runner whose CPU is `slice`, and what its scheduler reports. */
async function harness(slice: () => number) {
  const events: string[] = [];
  const over = Promise.withResolvers<void>();
  const runner: Runner = {
    cpu: { main_loop: () => slice() } as Cpu,
    bus: { send: (event) => void events.push(event) },
    idle: true,
    running: false,
    run() {
      this.running = true;
      this.next_tick(0);
    },
    next_tick: () => {},
  };
  const scheduler = new Scheduler(runner, await ReactorPing.open(), {
    sliced: () => {},
    stopped() {
      events.push("stopped");
      over.resolve();
    },
    failed(error) {
      events.push(`failed: ${error}`);
      over.resolve();
    },
  });
  return { runner, scheduler, events, over: over.promise };
}

Deno.test("Scheduler runs slices until stop(), and reports it after the last", async () => {
  let slices = 0;
  const { runner, scheduler, events, over } = await harness(() => {
    assertEquals(runner.idle, false);
    if (++slices === 3) scheduler.stop();
    return 0;
  });
  await using _ = scheduler;
  scheduler.start();
  assertEquals(slices, 0, "no slice runs within start()");
  await over;
  assertEquals([slices, runner.running], [3, false]);
  assertEquals(events, ["emulator-stopped", "stopped"]);
});

Deno.test("Scheduler reports what a slice throws, and runs no more", async () => {
  let slices = 0;
  const { scheduler, events, over } = await harness(() => {
    slices++;
    throw new Error("unreachable");
  });
  await using _ = scheduler;
  scheduler.start();
  await over;
  assertEquals(slices, 1);
  assertEquals(events, ["emulator-stopped", "failed: Error: unreachable"]);
});

Deno.test("Scheduler runs an idle CPU when its timer is due", async () => {
  let slices = 0;
  const { scheduler, over } = await harness(() => {
    if (++slices === 3) scheduler.stop();
    return 2;
  });
  await using _ = scheduler;
  scheduler.start();
  await over;
  assertEquals(slices, 3);
});

Deno.test("Scheduler runs an idle CPU at once when an interrupt wakes it, however often", async () => {
  let slices = 0;
  const asleep = Promise.withResolvers<void>();
  const { runner, scheduler, over } = await harness(() => {
    if (++slices === 2) scheduler.stop();
    asleep.resolve();
    return 1e6; // were it not woken, this test would not end
  });
  await using _ = scheduler;
  scheduler.start();
  await asleep.promise;
  runner.next_tick(0);
  runner.next_tick(0);
  await over;
  assertEquals(slices, 2);
});

Deno.test("Scheduler is silent when disposed, be it within a slice", async () => {
  let disposed: Promise<void> | undefined;
  const { scheduler, events } = await harness(() => {
    disposed = scheduler[Symbol.asyncDispose]();
    ran.resolve();
    return 5;
  });
  const ran = Promise.withResolvers<void>();
  scheduler.start();
  await ran.promise;
  await disposed;
  assertEquals(events, ["emulator-stopped"]);
});

Deno.test("Scheduler lets a socket be served between two slices of a busy CPU", async () => {
  let slices = 0;
  const { scheduler } = await harness(() => {
    slices++;
    const end = performance.now() + 1;
    while (performance.now() < end);
    return 0;
  });
  await using _ = scheduler;
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using near = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  using far = await listener.accept();
  scheduler.start();
  const byte = new Uint8Array(1);
  const trips = 50;
  for (let i = 0; i < trips; i++) {
    // Read first: it must wait for the operating system to be polled.
    const read = far.read(byte);
    await near.write(byte);
    await read;
  }
  // One slice each and some for noise; with a yield that does not poll, about 60 each.
  assert(slices < trips * 5, `${slices} slices for ${trips} bytes`);
});
