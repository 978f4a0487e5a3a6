import { assertEquals } from "@std/assert";
import FakeTimers from "@sinonjs/fake-timers";
import { EventLimit } from "../../protocol/mod.ts";

/** A limit of 3 a second under a clock by hand, and what it says was not told. */
function limited(test: (limit: EventLimit, clock: FakeTimers.Clock, untold: string[]) => void) {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const untold: string[] = [];
  try {
    using limit = new EventLimit(3, (what, count) => untold.push(`${what} ${count}`));
    test(limit, clock, untold);
  } finally {
    clock.uninstall();
  }
}
const tell = (limit: EventLimit, what: string, times: number): number =>
  Array.from({ length: times }, () => limit.admits(what)).filter((told) => told).length;

Deno.test("EventLimit admits so many of each kind a second, and tells the number of the rest", () => {
  limited((limit, clock, untold) => {
    assertEquals([tell(limit, "a", 10), tell(limit, "b", 2)], [3, 2]);
    assertEquals(untold, []);
    clock.tick(1000);
    assertEquals(untold, ["a 7"]);
    assertEquals([tell(limit, "a", 10), tell(limit, "b", 4)], [3, 3]);
    clock.tick(1000);
    assertEquals(untold, ["a 7", "a 7", "b 1"]);
  });
});

Deno.test("EventLimit tells a number once a second at most, however long it goes on", () => {
  limited((limit, clock, untold) => {
    let told = 0;
    for (let ms = 0; ms < 10_000; ms++) {
      told += tell(limit, "a", 100);
      clock.tick(1);
    }
    assertEquals(told, 30);
    const numbers = untold.map((line) => Number(line.slice(2)));
    assertEquals(numbers.length <= 20, true, `${numbers.length} lines`);
    tell(limit, "a", 100);
    assertEquals(clock.countTimers(), 1);
  });
});

Deno.test("EventLimit forgets nothing at its end, and leaves no timer", () => {
  const untold: string[] = [];
  {
    using limit = new EventLimit(1, (what, count) => untold.push(`${what} ${count}`));
    tell(limit, "a", 1000);
  }
  assertEquals(untold, ["a 999"]);
});
