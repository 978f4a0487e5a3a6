/**
 * `ctl info`: what a card is and what it is lent, in the groups of the original's micinfo.
 *
 * @module
 */
import type { CardStatus, DeviceStatus } from "../../../host/control/card_control.ts";
import type { CardInfo } from "../../../host/driver/card_info.ts";
import { EXIT } from "../../cli/errors.ts";
import { cardPath, chosenCards, eachCard } from "../cards.ts";
import { featureText } from "../features.ts";
import { duration, pairs, size } from "../table.ts";
import { CARDS, verb } from "../verb.ts";
import { stateText } from "./status.ts";

interface Facts {
  readonly host: { readonly version: string; readonly listening: string };
  readonly status: CardStatus;
  readonly info: CardInfo;
}

export const INFO = verb({
  name: "info",
  about: "Versions, board, memory, link, and devices with the features that were negotiated",
  operands: CARDS,
  options: {},
  async run({ client, options, operands, out }) {
    const names = await chosenCards(client, operands);
    const host = await client.json<Facts["host"]>("/v1/host");
    const all = new Map<string, Facts>();
    const status = await eachCard(names, async (card) => {
      const [status, info] = await Promise.all([
        client.json<CardStatus>(cardPath(card)),
        client.json<CardInfo>(cardPath(card, "/info")),
      ]);
      all.set(card, { host, status, info });
      return EXIT.ok;
    });
    const found = names.filter((card) => all.has(card));
    if (options.json) out.json(Object.fromEntries(found.map((card) => [card, all.get(card)])));
    else for (const card of found) for (const line of groups(all.get(card)!)) out.line(line);
    return status;
  },
});

function groups({ host, status, info }: Facts): string[] {
  const [vendor, device, subVendor, sub] = [
    info.vendorId,
    info.deviceId,
    info.subsystemVendorId,
    info.subsystemId,
  ].map((id) => hex(id, 4));
  return [
    status.name,
    ...group("Versions", [
      ["host", host.version],
      ["card OS", status.os ?? "none yet"],
    ]),
    ...group("Board", [
      ["vendor, device", `${vendor}:${device}`],
      ["subsystem", `${subVendor}:${sub}`],
      ["stepping", `${info.stepping} (revision ${hex(info.revision, 2)})`],
      ["class", hex(info.classCode, 6)],
      ["interrupts", `${info.vectors} MSI vectors`],
      ...info.bars.map((bar) =>
        [`BAR ${bar.index}`, `${bar.kind}, ${size(bar.size)} at ${hex(bar.address, 1)}`] as const
      ),
    ]),
    ...group("Core", [
      ["platform", info.platform],
      ["state", stateText(status)],
      ["POST code", status.postCode ?? "none"],
      ["uptime", status.uptime === undefined ? "-" : duration(status.uptime)],
      ["boots, crashes", `${status.bootCount}, ${status.crashCount}`],
      ["restart", status.restart],
    ]),
    ...group("Memory", [["card memory", `${info.memoryMib} MiB`]]),
    ...group("Link", [
      ["state", status.link],
      ["peer", status.peer ?? "-"],
      ["identity", status.identity ?? "-"],
      ["host listens on", host.listening],
    ]),
    "  Devices",
    ...status.devices.flatMap(deviceLines),
  ];
}

function group(title: string, rows: readonly (readonly [string, string])[]): string[] {
  return [`  ${title}`, ...pairs(rows, "    ")];
}

function deviceLines(device: DeviceStatus): string[] {
  const { slot, name, kind, backend, status, features, needsReset } = device;
  const facts = [
    backend,
    ...(device.size === undefined ? [] : [size(device.size)]),
    ...(device.carrier === undefined ? [] : [`carrier ${device.carrier ? "up" : "down"}`]),
    needsReset ? "needs a reset" : status === 0 ? "no driver" : `status ${hex(status, 2)}`,
  ];
  const width = Math.max(0, ...features.map((feature) => feature.length)) + 2;
  return [
    `    slot ${slot}, ${name}: ${facts.join(", ")}`,
    ...features.map((feature) =>
      `      ${feature.padEnd(width)}${featureText(kind, feature)}`.trimEnd()
    ),
  ];
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
