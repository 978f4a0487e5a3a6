/**
 * A network backend by its name on the command line: `tap:NAME`, `passt` or `none`.
 *
 * @module
 */
import type { BackendError } from "../../protocol/mod.ts";
import { ifreq, type Ipv4Network } from "./_interface.ts";
import { nearest } from "./_nearest.ts";
import { noneNet } from "./none_net.ts";
import { PasstBackend } from "./passt.ts";
import { TapBackend } from "./tap.ts";
import type { NetBackend } from "./types.ts";

/** What {@linkcode parseNet} makes of the text. */
export type NetChoice =
  | { readonly kind: "tap"; readonly interface: string }
  | { readonly kind: "passt" }
  | { readonly kind: "none" };

/** For help texts. */
export const NET_CHOICES = "tap:NAME, passt or none";

/** Opens nothing. @throws {RangeError} naming the text and the choices */
export function parseNet(text: string): NetChoice {
  const [kind, ...rest] = text.split(":");
  if (kind === "tap" && rest.length > 0) {
    const name = rest.join(":");
    ifreq(name);
    return { kind, interface: name };
  }
  if (text === "passt" || text === "none") return { kind: text };
  throw new RangeError(`Cannot use network "${text}": wanted ${suggestion(kind!, rest)}`);
}

function suggestion(kind: string, rest: readonly string[]): string {
  const word = nearest(kind, ["tap", "passt", "none"]);
  if (word === undefined) return NET_CHOICES;
  return word === "tap" ? `tap:${rest.join(":") || "NAME"}` : word;
}

/** Options of {@linkcode openNet}. */
export interface OpenNetOptions {
  /** Address for the card's interface; random when left out. */
  readonly mac?: Uint8Array;
  /** Address for the host's end of a TAP; root only. */
  readonly network?: Ipv4Network;
  /** Called once if the backend is lost later. */
  readonly report?: (error: BackendError) => void;
}

/** @throws {BackendError} naming what is missing and what to do */
export async function openNet(
  choice: NetChoice,
  options: OpenNetOptions = {},
): Promise<NetBackend> {
  switch (choice.kind) {
    case "tap":
      return TapBackend.open(choice.interface, options);
    case "passt":
      return await PasstBackend.open(options);
    case "none":
      return noneNet(options.mac);
  }
}
