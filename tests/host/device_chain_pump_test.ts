import FakeTimers from "@sinonjs/fake-timers";
import { assertEquals, assertInstanceOf } from "@std/assert";
import { ChainPump, type ChainPumpOptions } from "../../host/devices/chain_pump.ts";
import type { DescriptorChain } from "../../host/driver/virtio_device.ts";
import { DriverError } from "../../protocol/mod.ts";
import { FakeSession } from "../support/fake_queue.ts";

function pumped(
  handle: (chain: DescriptorChain, pump: ChainPump) => boolean,
  options: ChainPumpOptions = {},
) {
  const session = new FakeSession([256], 0n);
  const queue = session.queues[0]!;
  const pump: ChainPump = new ChainPump(session, queue, (chain) => handle(chain, pump), options);
  return { session, queue, pump };
}

const give = (chain: DescriptorChain, pump: ChainPump): boolean => {
  pump.give(chain, 0);
  return true;
};

Deno.test("ChainPump gives a batch back with one publish", () => {
  const { queue, pump } = pumped(give);
  for (let i = 0; i < 10; i++) queue.add({});
  pump.kick();
  assertEquals([queue.used.length, queue.publishes], [10, 1]);
});

Deno.test("ChainPump lets the first of a turn leave early, where that is asked for", () => {
  const { session, queue, pump } = pumped(give, { early: 4 });
  pump.kick();
  for (let i = 0; i < 10; i++) queue.add({});
  pump.kick();
  assertEquals([queue.used.length, queue.publishes, session.flushes], [10, 3, 2]);
});

Deno.test("ChainPump lets nothing leave early when another pump had the last turn", () => {
  const one = pumped(give, { early: 4 });
  const two = pumped(give, { early: 4 });
  for (let round = 0; round < 3; round++) {
    for (const { queue, pump } of [one, two]) {
      for (let i = 0; i < 10; i++) queue.add({});
      pump.kick();
    }
  }
  for (const { session, queue } of [one, two]) {
    assertEquals([queue.used.length, queue.publishes, session.flushes], [30, 3, 0]);
  }
});

Deno.test("ChainPump publishes once for chains given back later in one turn", async () => {
  const held: DescriptorChain[] = [];
  const { queue, pump } = pumped((chain) => {
    held.push(chain);
    return true;
  });
  const chains = [queue.add({}), queue.add({})];
  pump.kick();
  assertEquals(queue.publishes, 0);
  for (const chain of held) pump.give(chain, 0);
  await Promise.all(chains.map(({ used }) => used));
  assertEquals(queue.publishes, 1);
});

Deno.test("ChainPump leaves the event loop its turn after 64 chains, and goes on by itself", async () => {
  const { queue, pump } = pumped(give);
  const chains = Array.from({ length: 130 }, () => queue.add({}));
  pump.kick();
  assertEquals(queue.used.length, 64);
  await chains.at(-1)!.used;
  assertEquals([queue.used.length, queue.publishes], [130, 3]);
});

Deno.test("ChainPump counts bytes too: two chains of 256 KiB fill a turn", async () => {
  const { queue, pump } = pumped(give);
  const chains = Array.from({ length: 3 }, () => queue.add({ writable: 256 * 1024 }));
  pump.kick();
  assertEquals(queue.used.length, 2);
  await chains[2]!.used;
});

Deno.test("ChainPump leaves the event loop its turn when chains take longer than 50 ms", async () => {
  const clock = FakeTimers.install({ toFake: ["Date"] });
  try {
    const { queue, pump } = pumped((chain, pump) => {
      clock.tick(20);
      return give(chain, pump);
    });
    const chains = Array.from({ length: 4 }, () => queue.add({}));
    pump.kick();
    assertEquals(queue.used.length, 3);
    await chains.at(-1)!.used;
    assertEquals([queue.used.length, queue.publishes], [4, 2]);
  } finally {
    clock.uninstall();
  }
});

Deno.test("ChainPump offers a refused chain again after resume(), before any other", () => {
  let room = false;
  const seen: number[] = [];
  const { queue, pump } = pumped((chain, pump) => {
    seen.push(chain.head);
    return room && give(chain, pump);
  });
  queue.add({});
  queue.add({});
  pump.kick();
  pump.kick();
  assertEquals(seen, [0]);
  room = true;
  pump.resume();
  assertEquals(seen, [0, 0, 1]);
  assertEquals(queue.used.length, 2);
});

Deno.test("ChainPump goes on when resume() comes while the handler still refuses", () => {
  let tries = 0;
  const { queue, pump } = pumped((chain, pump) => {
    if (tries++ > 0) return give(chain, pump);
    pump.resume();
    return false;
  });
  queue.add({});
  pump.kick();
  assertEquals([queue.used.length, tries], [1, 2]);
});

Deno.test("ChainPump takes nothing while the link is full, and goes on when it is not", () => {
  const { session, queue, pump } = pumped(give);
  session.writable = false;
  queue.add({});
  pump.kick();
  pump.kick();
  assertEquals(queue.available, 1);
  session.writable = true;
  assertEquals(queue.used.length, 1);
});

Deno.test("ChainPump publishes what was done before a malformed chain, then fails the device", () => {
  const { session, queue, pump } = pumped((chain, pump) => {
    queue.fault = new DriverError("chain-loop", "made by the test");
    return give(chain, pump);
  });
  queue.add({});
  queue.add({});
  pump.kick();
  assertEquals([queue.used.length, queue.publishes], [1, 1]);
  assertInstanceOf(session.failure, DriverError);
  pump.kick();
  assertEquals(queue.available, 1);
});

Deno.test("ChainPump touches nothing after stop(): not by budget, link, resume or give", async () => {
  const { session, queue, pump } = pumped((chain, pump) => {
    if (chain.head === 99) return false;
    return give(chain, pump);
  });
  for (let i = 0; i < 130; i++) queue.add({});
  pump.kick();
  session.writable = false;
  pump.stop();
  session.close();
  session.writable = true;
  pump.resume();
  pump.kick();
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(queue.used.length, 64);
});
