/**
 * `ctl disk`: another size or another backend for a disk, while its card runs.
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

export const DISK = verb({
  name: "disk",
  about: "Resize a disk, or swap its backend, while its card runs",
  operands: {
    value: "resize|swap CARD DISK SIZE|CHOICE",
    completes: [["resize", "swap"], "cards", [], "files"],
    least: 4,
    most: 4,
  },
  options: {},
  examples: ["ctl disk resize mic0 disk0 4G", "ctl disk swap mic0 disk0 /srv/other.img"],
  async run({ client, options, operands, out }) {
    const [act, card, disk, value] = operands as [string, string, string, string];
    const status = await client.json<CardStatus>(
      cardPath(card, `/disks/${encodeURIComponent(disk)}`),
      { method: "PATCH", body: change(act, value) },
    );
    if (options.json) out.json(status);
    else {
      const now = status.devices.find(({ name }) => name === disk)!;
      out.line(`${card} ${disk}: ${now.backend}, ${size(now.size ?? 0)}`);
    }
    return EXIT.ok;
  },
});

/** The body of the request. */
function change(act: string, value: string): object {
  if (act === "resize") return { size: bytes(value) };
  if (act === "swap") return { swap: value };
  throw new CommandError(EXIT.usage, `Cannot ${act} a disk: wanted resize or swap`);
}

function bytes(text: string): number {
  const [, count, unit] = SIZE.exec(text) ?? [];
  if (count !== undefined) return Number(count) * 1024 ** UNITS.indexOf(unit!);
  const wanted = "wanted bytes, or a number with K, M, G or T";
  throw new CommandError(EXIT.usage, `Cannot use size ${text}: ${wanted}`);
}
