/**
 * Network backend with nothing behind it: no carrier, frames from the card vanish.
 *
 * @module
 */
import { checkedMac, randomMac } from "./_mac.ts";
import type { NetBackend, NetEvents } from "./types.ts";

/** `mac` is the address for the card's interface; random when left out. */
export function noneNet(mac: Uint8Array = randomMac()): NetBackend {
  let closed = false;
  return {
    name: "none",
    mac: checkedMac(mac),
    mtu: 1500,
    offloads: { checksum: false, segmentation: false },
    send: () => true,
    open: (events: NetEvents) => queueMicrotask(() => closed || events.link(false)),
    resume() {},
    [Symbol.asyncDispose]() {
      closed = true;
      return Promise.resolve();
    },
  };
}
