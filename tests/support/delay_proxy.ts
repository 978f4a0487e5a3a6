/**
 * A proxy that makes a short way long, in a process of its own, so that its timers wait for nobody.
 *
 *     deno run --allow-net=127.0.0.1 tests/support/delay_proxy.ts PORT MILLISECONDS
 *
 * Every byte arrives so many milliseconds after it was sent, either way. Prints the port it listens on.
 *
 * @module
 */
import { Proxy } from "./proxy.ts";

if (import.meta.main) {
  const [port, delay] = Deno.args.map(Number);
  const proxy = await Proxy.start(port!, { delay: delay! });
  console.log(proxy.port);
}
