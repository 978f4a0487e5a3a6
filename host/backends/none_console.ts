/**
 * Console backend with nobody at it: output vanishes, there is no input.
 *
 * @module
 */
import type { ConsoleBackend } from "./types.ts";

export function noneConsole(): ConsoleBackend {
  return {
    name: "none",
    size: undefined,
    write() {},
    open() {},
    resume() {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
