/**
 * Metrics of the devices that cards are lent: their queues, and the requests of disks.
 *
 * @module
 */
import type { Registry } from "prom-client";
import type { CardControl } from "../control/card_control.ts";
import { LATENCY_BOUNDS } from "../devices/request_meter.ts";
import { counter, histogram } from "./collectors.ts";

/** Traffic of networks and consoles as the card sees it: metric to counters of the device. */
const TRAFFIC = {
  net_frames: {
    help: "Ethernet frames that the card sent and received.",
    sent: "sent",
    received: "received",
  },
  net_bytes: { help: "Bytes in those.", sent: "sentBytes", received: "receivedBytes" },
  console_bytes: {
    help: "Bytes of all ports, commands' among them.",
    sent: "outputBytes",
    received: "inputBytes",
  },
} as const;

export function deviceMetrics(registry: Registry, cards: () => Iterable<CardControl>): void {
  /** `value` of each device's counters, where it has any. */
  function* each(value: (counters: Readonly<Record<string, number>>) => number | undefined) {
    for (const card of cards()) {
      for (const [device, counters] of Object.entries(card.stats().devices)) {
        const found = value(counters);
        if (found !== undefined) yield [{ card: card.name, device }, found] as const;
      }
    }
  }
  function* kinds() {
    for (const card of cards()) {
      for (const [device, requests] of Object.entries(card.requests())) {
        for (const [kind, totals] of Object.entries(requests)) {
          if (totals) yield [{ card: card.name, device, kind }, totals] as const;
        }
      }
    }
  }
  const labels = ["card", "device"] as const;

  counter(registry, {
    name: "knightsbridge_device_buffers_total",
    help: "Descriptor chains that the driver gave the device: requests, packets, output, room.",
    labels,
  }, () => each(({ chains }) => chains));
  counter(registry, {
    name: "knightsbridge_device_bytes_total",
    help: "Bytes in those, headers included: read from the driver, and written for it.",
    labels: ["card", "device", "direction"],
  }, function* () {
    for (const [which, value] of each(({ bytesFromDriver }) => bytesFromDriver)) {
      yield [{ ...which, direction: "from_driver" }, value];
    }
    for (const [which, value] of each(({ bytesToDriver }) => bytesToDriver)) {
      yield [{ ...which, direction: "to_driver" }, value];
    }
  });
  counter(registry, {
    name: "knightsbridge_device_notifications_total",
    help: "Available buffer notifications that found buffers, and used buffer notifications sent.",
    labels: ["card", "device", "kind"],
  }, function* () {
    for (const [which, value] of each(({ notifications }) => notifications)) {
      yield [{ ...which, kind: "available" }, value];
    }
    for (const [which, value] of each(({ doorbells }) => doorbells)) {
      yield [{ ...which, kind: "used" }, value];
    }
  });
  counter(registry, {
    name: "knightsbridge_device_notifications_suppressed_total",
    help: "Buffers that came, or went back, without a notification of their own.",
    labels: ["card", "device", "kind"],
  }, function* () {
    for (const [which, value] of each((c) => less(c["chains"], c["notifications"]))) {
      yield [{ ...which, kind: "available" }, value];
    }
    for (const [which, value] of each((c) => less(c["used"], c["doorbells"]))) {
      yield [{ ...which, kind: "used" }, value];
    }
  });
  counter(registry, {
    name: "knightsbridge_driver_faults_total",
    help: "Rules that drivers on the card broke, by fault, since the card process came.",
    labels: ["card", "fault"],
  }, function* () {
    for (const card of cards()) {
      for (const [fault, value] of Object.entries(card.stats().faults)) {
        yield [{ card: card.name, fault }, value];
      }
    }
  });
  for (const [what, names] of Object.entries(TRAFFIC)) {
    counter(registry, {
      name: `knightsbridge_${what}_total`,
      help: names.help,
      labels: ["card", "device", "direction"],
    }, function* () {
      for (const direction of ["sent", "received"] as const) {
        for (const [which, value] of each((counters) => counters[names[direction]])) {
          yield [{ ...which, direction }, value];
        }
      }
    });
  }
  counter(registry, {
    name: "knightsbridge_net_frames_lost_total",
    help: "Ethernet frames dropped for want of a place or a cable, and refused for a wrong header.",
    labels: ["card", "device", "cause"],
  }, function* () {
    for (const [which, value] of each(({ dropped }) => dropped)) {
      yield [{ ...which, cause: "dropped" }, value];
    }
    for (const [which, value] of each(({ refused }) => refused)) {
      yield [{ ...which, cause: "refused" }, value];
    }
  });
  counter(registry, {
    name: "knightsbridge_block_bytes_total",
    help: "Bytes that requests moved which went well.",
    labels: ["card", "device", "kind"],
  }, function* () {
    for (const [which, { bytes }] of kinds()) yield [which, bytes];
  });
  counter(registry, {
    name: "knightsbridge_block_errors_total",
    help: "Requests that were answered with an I/O error, or as not supported.",
    labels: ["card", "device", "kind", "error"],
  }, function* () {
    for (const [which, { failed, unsupported }] of kinds()) {
      yield [{ ...which, error: "io" }, failed];
      yield [{ ...which, error: "unsupported" }, unsupported];
    }
  });
  histogram(
    registry,
    {
      name: "knightsbridge_block_request_seconds",
      help: "How long requests took, from when the host saw them until it gave them back.",
      labels: ["card", "device", "kind"],
    },
    LATENCY_BOUNDS,
    function* () {
      for (const [which, { buckets, seconds }] of kinds()) yield [which, { buckets, sum: seconds }];
    },
  );
}

/** A buffer may be announced twice, or a notification come for one that was taken already: never below 0. */
const less = (all: number | undefined, some: number | undefined): number | undefined =>
  all === undefined || some === undefined ? undefined : Math.max(all - some, 0);
