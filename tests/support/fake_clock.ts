/**
 * A clock that moves only when told.
 *
 * @module
 */
import FakeTimers from "@sinonjs/fake-timers";

/** Timers and `performance.now()` of this process, until disposed. */
export interface FakeClock extends Disposable {
  tick(ms: number): Promise<number>;
}

export function fakeClock(): FakeClock {
  const clock = FakeTimers.install({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"],
  });
  return { tick: (ms) => clock.tickAsync(ms), [Symbol.dispose]: () => clock.uninstall() };
}
