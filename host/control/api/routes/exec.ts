/**
 * Commands in a card's OS.
 *
 * @module
 */
import { execStream } from "../exec_stream.ts";
import { Problem } from "../problem.ts";
import { route } from "../route.ts";

export const EXEC_ROUTES = [
  route({
    method: "post",
    path: "/v1/cards/{card}/exec",
    summary: "Runs a command with the card OS's shell: its output as JSON lines, then its status",
    body: "ExecRequest",
    type: "application/x-ndjson",
    answer: "ExecLine",
    problems: [409],
    handle({ card, body: { command }, signal }) {
      const { state } = card.status();
      if (state !== "online") {
        const text = `Cannot run a command on ${card.name}: it is ${state}, wanted online`;
        throw new Problem(409, text);
      }
      return new Response(execStream(card, command, signal), {
        headers: {
          "content-type": "application/x-ndjson",
          "cache-control": "no-store, no-transform",
        },
      });
    },
  }),
];
