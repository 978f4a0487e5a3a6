/**
 * One console port, several backends: output goes to all, input comes from any, the size is that of the first which has
 * one (a terminal and a log file, say). The slowest sets the pace.
 *
 * @module
 */
import type { ConsoleBackend } from "./types.ts";

/** Takes over `backends`, at least one: they are closed with it. */
export function tee(backends: readonly ConsoleBackend[]): ConsoleBackend {
  const sized = () => backends.find((backend) => backend.size !== undefined);
  return {
    name: backends.map((backend) => backend.name).join("+"),
    get size() {
      return sized()?.size;
    },
    write(bytes) {
      let waits: Promise<void>[] | undefined;
      for (const backend of backends) {
        const wait = backend.write(bytes);
        if (wait !== undefined) (waits ??= []).push(wait);
      }
      if (waits !== undefined) return Promise.all(waits).then(() => {});
    },
    open(events) {
      for (const backend of backends) {
        backend.open({
          input: (bytes) => events.input(bytes),
          resized(columns, rows) {
            if (backend === sized()) events.resized(columns, rows);
          },
        });
      }
    },
    resume() {
      for (const backend of backends) backend.resume();
    },
    opened(open, assumed) {
      for (const backend of backends) backend.opened?.(open, assumed);
    },
    async [Symbol.asyncDispose]() {
      await using all = new AsyncDisposableStack();
      for (const backend of backends) all.use(backend);
    },
  };
}
