/**
 * `ctl disk`: disks that come and go, grow, or get another backend, while their card runs.
 *
 * @module
 */
import type { CardStatus } from "../../../host/control/card_control.ts";
import { CommandError, EXIT } from "../../cli/errors.ts";
import { cardPath } from "../cards.ts";
import { size } from "../table.ts";
import { verb } from "../verb.ts";

const SIZE = /^(\d+)([KMGT]?)$/;
const UNITS = ["", "K", "M", "G", "T"];

const ACTS = {
  add: { operands: 1, wanted: "add CARD CHOICE" },
  remove: { operands: 1, wanted: "remove CARD DISK" },
  resize: { operands: 2, wanted: "resize CARD DISK SIZE" },
  swap: { operands: 2, wanted: "swap CARD DISK CHOICE" },
} as const;
type Act = keyof typeof ACTS;

export const DISK = verb({
  name: "disk",
  about: "Add, remove or resize a disk, or swap its backend, while its card runs",
  operands: {
    value: "add|remove|resize|swap CARD DISK|CHOICE [SIZE|CHOICE]",
    completes: [Object.keys(ACTS), "cards", "files", "files"],
    least: 3,
    most: 4,
  },
  options: {},
  examples: [
    "ctl disk add mic0 /srv/more.img",
    "ctl disk remove mic0 disk1",
    "ctl disk resize mic0 disk0 4G",
    "ctl disk swap mic0 disk0 /srv/other.img",
  ],
  async run({ client, options, operands, out }) {
    const [word, card, ...rest] = operands as [string, string, ...string[]];
    const { method, path, body } = request(word, card, rest);
    const status = await client.json<CardStatus>(path, { method, ...(body && { body }) });
    if (options.json) out.json(status);
    else {
      for (const { name, kind, backend, size: now } of status.devices) {
        if (kind === "block") out.line(`${card} ${name}: ${backend}, ${size(now ?? 0)}`);
      }
    }
    return EXIT.ok;
  },
});

interface DiskRequest {
  readonly method: "POST" | "DELETE" | "PATCH";
  readonly path: string;
  readonly body?: object;
}

function request(word: string, card: string, rest: readonly string[]): DiskRequest {
  if (!Object.hasOwn(ACTS, word)) {
    const wanted = Object.keys(ACTS).join(", ");
    throw new CommandError(EXIT.usage, `Cannot ${word} a disk: wanted one of ${wanted}`);
  }
  const act = word as Act;
  if (rest.length !== ACTS[act].operands) {
    throw new CommandError(EXIT.usage, `Cannot ${act} a disk: wanted ${ACTS[act].wanted}`);
  }
  const [first, value] = rest as [string, string?];
  if (act === "add") {
    return { method: "POST", path: cardPath(card, "/disks"), body: { disk: first } };
  }
  const path = cardPath(card, `/disks/${encodeURIComponent(first)}`);
  if (act === "remove") return { method: "DELETE", path };
  const body = act === "resize" ? { size: bytes(value!) } : { swap: value! };
  return { method: "PATCH", path, body };
}

function bytes(text: string): number {
  const [, count, unit] = SIZE.exec(text) ?? [];
  if (count !== undefined) return Number(count) * 1024 ** UNITS.indexOf(unit!);
  const wanted = "wanted bytes, or a number with K, M, G or T";
  throw new CommandError(EXIT.usage, `Cannot use size ${text}: ${wanted}`);
}
