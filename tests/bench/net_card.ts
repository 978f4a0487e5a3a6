/**
 * A card for the network benchmarks: its operating system is a bridge to a TAP of this machine (`FrameMachine`), so that
 * both ends of the cable are the kernel's. Says `ready` when its driver is up.
 *
 *     net_card.ts HOST:PORT TAP ADDRESS/PREFIX offload|plain
 *
 * @module
 */
import { runCard } from "../../card/card.ts";
import { TapBackend } from "../../host/backends/tap.ts";
import { dialTcp } from "../../protocol/mod.ts";
import { FrameMachine } from "../support/frame_machine.ts";

const [to, tap, network, kind] = Deno.args as [string, string, string, string];
const [hostname, port] = to.split(":");
const [address, prefix] = network.split("/");
await using net = TapBackend.open(tap, {
  network: { address: address!, prefix: Number(prefix) },
  report: (error) => console.error(error.message),
});
await runCard({
  dial: (signal) => dialTcp(hostname!, Number(port), signal),
  machine: ({ memoryBytes }) => {
    const ready = () => console.log("ready");
    return Promise.resolve(
      new FrameMachine({ memoryBytes, net, offload: kind === "offload", ready }),
    );
  },
  memoryBytes: 128 * 0x10_0000,
  identity: crypto.getRandomValues(new Uint8Array(16)),
  signal: new AbortController().signal,
  onEvent(event) {
    if (event.type === "machine_stopped") console.error(`card OS: ${event.reason} ${event.detail}`);
  },
});
