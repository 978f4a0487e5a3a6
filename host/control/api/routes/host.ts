/**
 * The host as a whole, and what happens at it.
 *
 * @module
 */
import { z } from "zod";
import { Problem } from "../problem.ts";
import { route } from "../route.ts";

export const HOST_ROUTES = [
  route({
    method: "get",
    path: "/v1/host",
    summary: "The host: version, process, address, cards",
    answer: "Host",
    handle: ({ host, place }) => ({
      version: host.version,
      pid: Deno.pid,
      started: host.started,
      uptime: (Date.now() - host.started) / 1000,
      listening: host.listening,
      control: place.name,
      cards: [...host.cards.keys()],
    }),
  }),
  route({
    method: "get",
    path: "/v1/events",
    summary: "What happens, as server-sent events; first the status of each card",
    query: z.strictObject({ card: z.string().optional() }),
    type: "text/event-stream",
    answer: "ControlEvent",
    problems: [404],
    handle({ host, events, query: { card } }) {
      if (card !== undefined && !host.cards.has(card)) {
        throw new Problem(404, `Cannot find card ${card}: this host has none of that name`);
      }
      return new Response(events.stream(card), {
        headers: { "content-type": "text/event-stream", "cache-control": "no-store, no-transform" },
      });
    },
  }),
];
