/**
 * Metrics of the links between host and cards.
 *
 * @module
 */
import type { Registry } from "prom-client";
import type { CardControl } from "../control/card_control.ts";
import { counter, gauge } from "./collectors.ts";

type Cards = Iterable<CardControl>;

/** Label values to the counter of a link that they stand for. */
const DIRECTIONS = { sent: "Sent", received: "Received" } as const;
const CREDITS = {
  posted_bytes: "creditPostedBytes",
  posted_frames: "creditPostedFrames",
  non_posted_requests: "creditNonPosted",
} as const;

export function linkMetrics(registry: Registry, cards: () => Cards): void {
  /** Counter `name` of each card that has a link. */
  function* each(name: string): Generator<readonly [{ card: string }, number]> {
    for (const card of cards()) {
      const value = card.stats().link[name];
      if (value !== undefined) yield [{ card: card.name }, value];
    }
  }
  function* directions(name: string) {
    for (const [direction, suffix] of Object.entries(DIRECTIONS)) {
      for (const [label, value] of each(`${name}${suffix}`)) {
        yield [{ ...label, direction }, value] as const;
      }
    }
  }

  gauge(registry, {
    name: "knightsbridge_link_up",
    help: "1 while the card process is connected.",
    labels: ["card"],
  }, function* () {
    for (const card of cards()) yield [{ card: card.name }, card.status().link === "up" ? 1 : 0];
  });
  counter(registry, {
    name: "knightsbridge_link_frames_total",
    help:
      "Sequenced frames, each once however often it was sent, of the card process that is there.",
    labels: ["card", "direction"],
  }, () => directions("frames"));
  counter(registry, {
    name: "knightsbridge_link_bytes_total",
    help: "Bytes on the connection, inside of TLS if there is TLS.",
    labels: ["card", "direction"],
  }, () => directions("bytes"));
  counter(registry, {
    name: "knightsbridge_link_frames_replayed_total",
    help: "Frames that were sent again after a lost connection.",
    labels: ["card"],
  }, () => each("framesReplayed"));
  counter(registry, {
    name: "knightsbridge_link_reconnects_total",
    help: "Times that the session came back on another connection.",
    labels: ["card"],
  }, () => each("reconnects"));
  counter(registry, {
    name: "knightsbridge_link_unsupported_requests_total",
    help: "Requests of the card that nothing of the host claims.",
    labels: ["card"],
  }, () => each("unsupported"));
  gauge(registry, {
    name: "knightsbridge_link_round_trip_seconds",
    help: "Of the last heartbeat; 0 before the first.",
    labels: ["card"],
  }, function* () {
    for (const [labels, ms] of each("roundTrip")) yield [labels, ms / 1000];
  });
  gauge(registry, {
    name: "knightsbridge_link_credit",
    help: "What the card lets the host send now: bytes, frames, requests.",
    labels: ["card", "kind"],
  }, function* () {
    for (const [kind, name] of Object.entries(CREDITS)) {
      for (const [labels, value] of each(name)) yield [{ ...labels, kind }, value];
    }
  });
}
