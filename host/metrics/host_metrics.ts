/**
 * All metrics of a host as Prometheus reads them.
 *
 * Everything is in a registry of its own, and read from the cards when it is asked for; what happens seldom, ends and
 * boots, is heard of as it happens.
 *
 * @module
 */
import { Registry } from "prom-client";
import type { HostControl } from "../control/card_control.ts";
import { gauge } from "./collectors.ts";
import { deviceMetrics } from "./device_metrics.ts";
import { hubMetrics } from "./hub_metrics.ts";
import { lifeMetrics } from "./life_metrics.ts";
import { linkMetrics } from "./link_metrics.ts";

export class HostMetrics implements Disposable {
  readonly #registry = new Registry();
  readonly #end: () => void;

  constructor(host: HostControl) {
    const registry = this.#registry;
    const cards = () => host.cards.values();
    gauge(registry, {
      name: "knightsbridge_host_info",
      help: "1, with this host's version.",
      labels: ["version"],
    }, () => [[{ version: host.version }, 1]]);
    gauge(registry, {
      name: "knightsbridge_host_start_time_seconds",
      help: "When the host started, in seconds since 1970.",
      labels: [],
    }, () => [[{}, host.started / 1000]]);
    linkMetrics(registry, cards);
    deviceMetrics(registry, cards);
    hubMetrics(registry, () => host.hubs ?? []);
    this.#end = lifeMetrics(registry, host);
  }

  /** Of what {@linkcode text} returns. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text format, version 0.0.4. */
  async text(): Promise<string> {
    return await this.#registry.metrics();
  }

  /** Listens no more. */
  [Symbol.dispose](): void {
    this.#end();
    this.#registry.clear();
  }
}
