/**
 * A proxy that makes a short way long, and narrow, in a process of its own, so that its timers wait for nobody.
 *
 *     deno run --allow-net=127.0.0.1 tests/support/delay_proxy.ts PORT MILLISECONDS [BYTES_PER_SECOND]
 *
 * Every byte arrives so many milliseconds after it was sent, either way, and no more of them a second in each direction.
 * Prints the port it listens on.
 *
 * @module
 */
import { Proxy } from "./proxy.ts";

if (import.meta.main) {
  const [port, delay, rate] = Deno.args.map(Number);
  const proxy = await Proxy.start(port!, {
    delay: delay!,
    ...(rate === undefined ? {} : { rate }),
  });
  console.log(proxy.port);
}
