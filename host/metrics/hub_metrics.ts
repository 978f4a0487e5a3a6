/**
 * Metrics of the switches between cards, by end: a card's port, or the uplink.
 *
 * @module
 */
import type { Registry } from "prom-client";
import type { HubEnd } from "../backends/hub/hub.ts";
import type { HubTraffic } from "../control/card_control.ts";
import { counter } from "./collectors.ts";

type Name = keyof HubEnd["counters"];

/** A hub counts as it sees it; what it took from an end, that one has sent. */
const DIRECTIONS = { sent: "received", received: "sent" } as const satisfies Record<string, Name>;
const CAUSES = ["dropped", "foreign", "malformed"] as const satisfies readonly Name[];

export function hubMetrics(registry: Registry, hubs: () => Iterable<HubTraffic>): void {
  function* each(): Generator<readonly [{ hub: string; end: string }, HubEnd["counters"]]> {
    for (const { name: hub, ends } of hubs()) {
      for (const { name: end, counters } of ends) yield [{ hub, end }, counters];
    }
  }
  counter(registry, {
    name: "knightsbridge_hub_frames_total",
    help: "Ethernet frames that an end of the hub sent, refused ones among them, and received.",
    labels: ["hub", "end", "direction"],
  }, function* () {
    for (const [which, counters] of each()) {
      for (const [direction, name] of Object.entries(DIRECTIONS)) {
        yield [{ ...which, direction }, counters[name]];
      }
    }
  });
  counter(registry, {
    name: "knightsbridge_hub_frames_lost_total",
    help: "Ethernet frames for which an end had no room, and frames of its own that were refused.",
    labels: ["hub", "end", "cause"],
  }, function* () {
    for (const [which, counters] of each()) {
      for (const cause of CAUSES) yield [{ ...which, cause }, counters[cause]];
    }
  });
}
