/**
 * Commands on the network.
 *
 * @module
 */
import { formatAddress, formatMac, parseAddress } from "../ip/packets.ts";
import { NetError } from "../ip/stack.ts";
import { within } from "../ip/within.ts";
import { parseIpSetting } from "../ip_option.ts";
import type { DiagOs, NetInterface } from "../os.ts";
import { type Command, UsageError } from "./types.ts";

function firstInterface(os: DiagOs): NetInterface {
  const net = os.interfaces[0];
  if (!net) throw new UsageError("Cannot use the network: there is no interface");
  return net;
}

export const ping: Command = {
  usage: "[-c COUNT] ADDRESS",
  summary: "ICMP echo; four of them unless told",
  async run(args, io, os) {
    const rest = [...args];
    let count = 4;
    if (rest[0] === "-c") {
      count = Number(rest[1]);
      rest.splice(0, 2);
    }
    const to = parseAddress(rest[0] ?? "");
    if (to === undefined || rest.length !== 1 || !(count >= 1)) {
      throw new UsageError(`Cannot ping '${rest.join(" ")}': wanted an IPv4 address`);
    }
    const net = firstInterface(os);
    await net.settled();
    const times: number[] = [];
    for (let i = 1; i <= count; i++) {
      try {
        const ms = await net.stack.ping(to, { signal: io.signal });
        times.push(ms);
        await io.out(`64 bytes from ${formatAddress(to)}: seq=${i} time=${ms.toFixed(3)} ms\n`);
      } catch (error) {
        if (!(error instanceof NetError)) throw error;
        await io.out(`${error.message}\n`);
      }
      if (i < count) await pause(1000, io.signal);
    }
    const lost = Math.round((100 * (count - times.length)) / count);
    await io.out(`${count} sent, ${times.length} received, ${lost}% lost\n`);
    if (times.length === 0) return 1;
    const mean = times.reduce((sum, ms) => sum + ms, 0) / times.length;
    const [min, avg, max] = [Math.min(...times), mean, Math.max(...times)].map((ms) =>
      ms.toFixed(3)
    );
    await io.out(`round-trip min/avg/max = ${min}/${avg}/${max} ms\n`);
    return 0;
  },
};

export const ip: Command = {
  usage: "[show | set ADDRESS/PREFIX [GATEWAY] | set dhcp]",
  summary: "show or set the address of the interface",
  async run([verb = "show", ...rest], io, os) {
    if (verb === "show" && rest.length === 0) {
      for (const net of os.interfaces) {
        await net.settled();
        await io.out(describe(net));
      }
      return 0;
    }
    if (verb !== "set" || rest.length === 0) throw new UsageError(`Cannot do '${verb}'`);
    const setting = parseIpSetting(rest.join(","));
    if (setting === undefined) throw new UsageError(`Cannot use address '${rest.join(" ")}'`);
    const net = firstInterface(os);
    await net.configure(setting, io.signal);
    await io.out(describe(net));
    return 0;
  },
};

function describe({ name, driver, stack: { settings } }: NetInterface): string {
  const address = settings.address === 0
    ? "no address"
    : `inet ${formatAddress(settings.address)}/${settings.prefix}`;
  const gateway = settings.gateway === 0 ? "" : ` via ${formatAddress(settings.gateway)}`;
  return `${name}: ${driver.linkUp ? "up" : "down"} mtu ${driver.mtu} ` +
    `ether ${formatMac(driver.mac)} ${address}${gateway}\n`;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const over = new NetError("");
  const never = new Promise<never>(() => {});
  await within(never, ms, () => over, signal).catch((error) => {
    if (error !== over) throw error;
  });
}
