/**
 * Metrics, for Prometheus.
 *
 * @module
 */
import { route } from "../route.ts";

export const METRICS_ROUTES = [
  route({
    method: "get",
    path: "/metrics",
    summary: "Metrics of the host and its cards, in Prometheus' text format",
    type: "text/plain",
    async handle({ metrics }) {
      const headers = { "content-type": metrics.contentType, "cache-control": "no-store" };
      return new Response(await metrics.text(), { headers });
    },
  }),
];
