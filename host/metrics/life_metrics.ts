/**
 * Metrics of the cards' lives: states, boots, how they ended, how long they took.
 *
 * @module
 */
import { Counter, Histogram, type Registry } from "prom-client";
import type { CardControl, HostControl } from "../control/card_control.ts";
import { counter, gauge } from "./collectors.ts";

/** Every state has its line: one that a card has left reads 0. */
const STATES = [
  "absent",
  "ready",
  "booting",
  "online",
  "shutting_down",
  "resetting",
  "reset_failed",
  "suspending",
  "suspended",
] as const satisfies readonly ReturnType<CardControl["status"]>["state"][];

const BOOT_BOUNDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120];

/** Listens until what it returns is called. */
export function lifeMetrics(registry: Registry, host: HostControl): () => void {
  const cards = () => host.cards.values();
  gauge(registry, {
    name: "knightsbridge_card_state",
    help: "1 for the state that the card is in, 0 for the others.",
    labels: ["card", "state"],
  }, function* () {
    for (const card of cards()) {
      const { state } = card.status();
      for (const one of STATES) yield [{ card: card.name, state: one }, one === state ? 1 : 0];
    }
  });
  gauge(registry, {
    name: "knightsbridge_card_uptime_seconds",
    help: "Since the card OS came online.",
    labels: ["card"],
  }, function* () {
    for (const card of cards()) {
      const { uptime } = card.status();
      if (uptime !== undefined) yield [{ card: card.name }, uptime];
    }
  });
  counter(registry, {
    name: "knightsbridge_card_boots_total",
    help: "Boots since the card was first configured.",
    labels: ["card"],
  }, function* () {
    for (const card of cards()) yield [{ card: card.name }, card.status().bootCount];
  });
  counter(registry, {
    name: "knightsbridge_card_crashes_total",
    help: "Of those, the ones that ended in a crash.",
    labels: ["card"],
  }, function* () {
    for (const card of cards()) yield [{ card: card.name }, card.status().crashCount];
  });
  counter(registry, {
    name: "knightsbridge_refused_connections_total",
    help: "Peers that were turned away since the host started, by reason.",
    labels: ["reason"],
  }, function* () {
    for (const [reason, value] of Object.entries(host.refusals ?? {})) yield [{ reason }, value];
  });
  const ends = new Counter({
    name: "knightsbridge_card_ends_total",
    help: "Ends of the card OS since the host started, by reason.",
    labelNames: ["card", "reason"],
    registers: [registry],
  });
  const times = new Histogram({
    name: "knightsbridge_card_boot_seconds",
    help: "From the order to boot until the card OS was online.",
    labelNames: ["card"],
    buckets: BOOT_BOUNDS,
    registers: [registry],
  });
  return host.subscribe((event) => {
    if (event.type !== "step") return;
    const { step } = event.step;
    if (step !== "online" && step !== "stopped") return;
    const record = host.cards.get(event.card)?.boots().find(({ number }) => number === event.boot);
    if (record === undefined) return;
    const { card } = event;
    if (step === "stopped") ends.inc({ card, reason: record.reason ?? "nop" });
    else times.observe({ card }, ((record.online ?? record.begun) - record.begun) / 1000);
  });
}
