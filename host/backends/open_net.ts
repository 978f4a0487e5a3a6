/**
 * A network backend by its name on the command line: `tap:NAME`, `hub:NAME`, `passt` or `none`.
 *
 * @module
 */
import type { BackendError } from "../../protocol/mod.ts";
import { ifreq, type Ipv4Network } from "./_interface.ts";
import { randomMac } from "./_mac.ts";
import { nearest } from "./_nearest.ts";
import type { Hubs } from "./hub/hubs.ts";
import { noneNet } from "./none_net.ts";
import { PasstBackend } from "./passt.ts";
import { TapBackend } from "./tap.ts";
import type { NetBackend } from "./types.ts";

/** What {@linkcode parseNet} makes of the text. */
export type NetChoice =
  | { readonly kind: "tap"; readonly interface: string }
  | { readonly kind: "hub"; readonly hub: string }
  | { readonly kind: "passt" }
  | { readonly kind: "none" };

/** For help texts. */
export const NET_CHOICES = "tap:NAME, hub:NAME, passt or none";

/** Of hubs, and of cards. */
export const HUB_NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;

/** Opens nothing. @throws {RangeError} naming the text and the choices */
export function parseNet(text: string): NetChoice {
  const [kind, ...rest] = text.split(":");
  if (kind === "tap" && rest.length > 0) {
    const name = rest.join(":");
    ifreq(name);
    return { kind, interface: name };
  }
  if (kind === "hub" && HUB_NAME.test(rest.join(":"))) return { kind, hub: rest.join(":") };
  if (text === "passt" || text === "none") return { kind: text };
  throw new RangeError(`Cannot use network "${text}": wanted ${suggestion(kind!, rest)}`);
}

function suggestion(kind: string, rest: readonly string[]): string {
  const word = nearest(kind, ["tap", "hub", "passt", "none"]);
  if (word === undefined) return NET_CHOICES;
  if (kind === "hub" && rest.length > 0) {
    return "hub:NAME, the name in lower-case letters, digits and dashes, at most 32";
  }
  return word === "tap" || word === "hub" ? `${word}:${rest.join(":") || "NAME"}` : word;
}

/** Options of {@linkcode openNet}. */
export interface OpenNetOptions {
  /** Address for the card's interface; random when left out. */
  readonly mac?: Uint8Array;
  /** Address for the host's end of a TAP; root only. */
  readonly network?: Ipv4Network;
  /** Where a `hub:NAME` is. */
  readonly hubs?: Hubs;
  /** Of the card, as the hub counts for it; `card` when left out. */
  readonly card?: string;
  /** Called once if the backend is lost later. */
  readonly report?: (error: BackendError) => void;
}

/**
 * @throws {BackendError} naming what is missing and what to do
 * @throws {RangeError} for a hub without `hubs`, or one that has this address already
 */
export async function openNet(
  choice: NetChoice,
  options: OpenNetOptions = {},
): Promise<NetBackend> {
  switch (choice.kind) {
    case "tap":
      return TapBackend.open(choice.interface, options);
    case "hub":
      if (options.hubs === undefined) throw new RangeError(`Cannot attach to hub ${choice.hub}`);
      return options.hubs.get(choice.hub).attach(
        options.mac ?? randomMac(),
        options.card ?? "card",
      );
    case "passt":
      return await PasstBackend.open(options);
    case "none":
      return noneNet(options.mac);
  }
}
