/**
 * The `ip=` option, on the command line and in the `ip` command.
 *
 * @module
 */
import { parseAddress, prefixOf } from "./ip/packets.ts";
import type { Ipv4Settings } from "./ip/stack.ts";

/**
 * `dhcp`, `ADDRESS/PREFIX[,GATEWAY]`, or Linux's form `ADDRESS:SERVER:GATEWAY:NETMASK:...` (whose seventh field may
 * say `dhcp`). Undefined for anything else.
 */
export function parseIpSetting(text: string): Ipv4Settings | "dhcp" | undefined {
  if (text === "dhcp" || text === "on" || text === "any") return "dhcp";
  if (text.includes(":")) return parseLinux(text.split(":"));
  const match = /^([\d.]+)\/(\d{1,2})(?:,([\d.]+))?$/.exec(text);
  if (!match) return undefined;
  const address = parseAddress(match[1]!);
  const prefix = Number(match[2]);
  const gateway = match[3] === undefined ? 0 : parseAddress(match[3]);
  if (address === undefined || gateway === undefined || prefix > 32) return undefined;
  return { address, prefix, gateway };
}

function parseLinux(fields: readonly string[]): Ipv4Settings | "dhcp" | undefined {
  const [client = "", , router = "", mask = "", , , auto = ""] = fields;
  if (client === "" && /^(dhcp|on|any)$/.test(auto)) return "dhcp";
  const address = parseAddress(client);
  const gateway = router === "" ? 0 : parseAddress(router);
  const maskNumber = mask === "" ? 0xffff_ff00 : parseAddress(mask);
  const prefix = maskNumber === undefined ? undefined : prefixOf(maskNumber);
  if (address === undefined || gateway === undefined || prefix === undefined) return undefined;
  return { address, prefix, gateway };
}
