/**
 * A host process reduced to its terminal, for the test of the stdio backend: shows what it gets, until
 * Ctrl-], a full stop or SIGUSR1.
 *
 * @module
 */
import { StdioBackend } from "../../host/backends/stdio.ts";

const left = Promise.withResolvers<void>();
Deno.addSignalListener("SIGUSR1", () => left.resolve());
{
  await using stdio = new StdioBackend({ detach: left.resolve });
  const show = (text: string) => stdio.write(new TextEncoder().encode(text));
  let room = 4;
  stdio.open({
    input(bytes) {
      const taken = bytes.subarray(0, room);
      room -= taken.length;
      if (room === 0) {
        room = 4;
        queueMicrotask(() => stdio.resume());
      }
      show(`<${new TextDecoder().decode(taken)}>`);
      if (taken.includes(0x2e)) left.resolve();
      return taken.length;
    },
    resized: (columns, rows) => show(`[${columns}x${rows}]`),
  });
  stdio.opened(true);
  await show(`ready ${stdio.size?.columns}x${stdio.size?.rows}\n`);
  if (Deno.args[0] === "flood") {
    for (let i = 0; i < 16; i++) show("x".repeat(65_536));
    // Once nothing more goes in, a change of mode must not wait for it.
    setTimeout(() => {
      stdio.opened(false);
      stdio.opened(true);
      console.error("alive");
    }, 200);
  }
  await left.promise;
  if (Deno.args[0] === "exit") Deno.exit(3);
}
// As the host does: what still hangs in a write ends with the process.
if (Deno.args[0] === "flood" || Deno.args[0] === "quiet") Deno.exit(0);
console.log("closed");
if (Deno.args[0] === "stay") setInterval(() => {}, 1000);
