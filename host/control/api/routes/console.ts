/**
 * A card's console: to watch and to type at, and what it has shown.
 *
 * @module
 */
import { z } from "zod";
import { SCROLLBACK } from "../../../console/scrollback.ts";
import { SocketViewer } from "../../../console/socket_viewer.ts";
import type { CardControl } from "../../card_control.ts";
import { Problem } from "../problem.ts";
import { route } from "../route.ts";

/** As query parameters are: `write` and `write=1` are yes. */
const FLAG = z.enum(["", "0", "1"]).optional().transform((text) => text === "" || text === "1");
const BYTES = z.coerce.number().int().min(0).max(SCROLLBACK);

const SEAT = z.strictObject({
  write: FLAG.describe("1: asks for the keyboard, and gets it if nobody has it"),
  takeover: FLAG.describe("1: takes the keyboard, whoever has it; who had it is told"),
  scrollback: BYTES.default(0).describe("Bytes of what was shown before, which come first"),
  as: z.string().regex(/^[\w.@:\/ -]{1,64}$/).default("a WebSocket")
    .describe("Who others are told it is"),
});

const TAIL = z.strictObject({
  bytes: BYTES.default(SCROLLBACK).describe("At most, from the end"),
});

const TEXT = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };

export const CONSOLE_ROUTES = [
  route({
    method: "get",
    path: "/v1/cards/{card}/console",
    summary: "The console as a WebSocket: binary messages are its bytes, text messages are JSON, " +
      '{"resize": {"columns", "rows"}} or {"takeover": true} to the host, {"notice"} from it',
    query: SEAT,
    type: "application/octet-stream",
    problems: [426],
    handle({ card, query: { write, takeover, scrollback, as }, request }) {
      const hub = consoleOf(card);
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
        const text = `Cannot show the console of ${card.name} as a page: wanted a WebSocket`;
        throw new Problem(426, text, { headers: { upgrade: "websocket" } });
      }
      const { socket, response } = Deno.upgradeWebSocket(request);
      new SocketViewer(socket, hub, {
        name: as,
        use: write || takeover ? "asking" : "never",
        ...(takeover ? { keyboard: "takes" } : write ? { keyboard: "asks" } : {}),
        scrollback,
      });
      return response;
    },
  }),
  route({
    method: "get",
    path: "/v1/cards/{card}/console/log",
    summary: "What the console has shown last, over all boots, as it was shown",
    query: TAIL,
    type: "text/plain",
    handle: ({ card, query }) => new Response(consoleOf(card).tail(query.bytes), { headers: TEXT }),
  }),
  route({
    method: "get",
    path: "/v1/cards/{card}/boots/{boot}/log",
    summary: "What the console showed in a boot (its number, or `last`), each line with its time",
    type: "text/plain",
    async handle({ card, path }) {
      const { log } = consoleOf(card);
      const boots = await log?.list() ?? [];
      const name = path["boot"]!;
      const number = name === "last" ? boots.at(-1) : boots.find((boot) => `${boot}` === name);
      const bytes = number === undefined ? undefined : await log?.read(number);
      if (bytes !== undefined) return new Response(bytes, { headers: TEXT });
      const known = log === undefined
        ? "this host keeps no logs of consoles"
        : boots.length > 0
        ? `it has those of ${boots[0]} to ${boots.at(-1)}`
        : "there is none yet";
      throw new Problem(404, `Cannot find a log of boot ${name} of ${card.name}: ${known}`);
    },
  }),
];

function consoleOf(card: CardControl) {
  if (card.console) return card.console;
  throw new Problem(404, `Cannot show the console of ${card.name}: it has none`);
}
