/**
 * What happens at a host, in lines for people and in JSON for programs.
 *
 * @module
 */
import type { CardEvent } from "../driver/events.ts";
import type { CardHappening } from "../cards/events.ts";
import type { HostEvent } from "../host.ts";

/** What happens, whichever card it happens to. */
export type Happening =
  | CardHappening
  | Extract<HostEvent, { type: "refused" | "accept_failed" | "not_kept" }>;

/** One line, or nothing for what a person need not know. */
export function lineOf(event: Happening): string | undefined {
  switch (event.type) {
    case "connected":
      return `card at ${event.peer}`;
    case "link":
      return linkLine(event.status);
    case "card":
      return cardLine(event.event);
    case "lent":
      return `has its devices now: ${event.devices.join(", ")}`;
    case "stopped":
      return `card OS stopped: ${event.reason}`;
    case "failed":
      return event.error.message;
    case "refused":
      return `refused ${event.peer}: ${event.reason}, ${event.text}`;
    case "given_up":
      return `the card was gone for ${Math.round(event.after / 1000)} s: given up`;
    case "gone":
      return `card is gone${event.reason === "nop" ? "" : ` (${event.reason})`}`;
    case "accept_failed":
      return `cannot accept connections: ${event.error.message}`;
    case "not_kept":
      return event.error.message;
  }
}

function linkLine(status: Extract<CardHappening, { type: "link" }>["status"]): string | undefined {
  switch (status.type) {
    case "up":
      return status.resumed ? `connection back from ${status.peer}, nothing lost` : undefined;
    case "lost":
      return `connection lost: ${status.error.message}; the card OS waits`;
    case "goodbye":
      return `goodbye ${status.direction}: ${status.reason}${status.text && `, ${status.text}`}`;
    default:
      return undefined;
  }
}

function cardLine(event: CardEvent): string | undefined {
  switch (event.type) {
    case "found": {
      const { info } = event;
      const ids = [info.vendorId, info.deviceId].map((id) => id.toString(16).padStart(4, "0"));
      return `found card ${
        ids.join(":")
      } stepping ${info.stepping}, ${info.memoryMib} MiB, ${info.platform}`;
    }
    case "state":
      return `state ${event.state}${event.reason === "nop" ? "" : ` (${event.reason})`}`;
    case "post_code":
      return `POST ${event.text}`;
    case "progress":
      return event.done === event.total
        ? `${event.part} downloaded, ${(event.total / 1e6).toFixed(1)} MB`
        : undefined;
    case "device_started":
      return `driver ready: ${event.device}`;
    case "fault":
      return `${event.device} needs a reset (${event.fault}): ${event.error.message}`;
    case "ended":
      return event.detail && `card OS ended: ${event.detail}`;
    case "kernel_log":
      return `kernel log kept, it ends with: ${event.text.trimEnd().split("\n").at(-1)}`;
    case "suppressed":
      return suppressedLine(event);
  }
}

/** For what came too often to be told one by one. */
export function suppressedLine({ what, count }: { what: string; count: number }): string {
  return `and ${count} more ${what}`;
}

/** One JSON line: the event with its time in ms since 1970; errors as their text. */
export function jsonOf(event: object): string {
  return JSON.stringify(
    { time: Date.now(), ...event },
    (_key, value) => value instanceof Error ? value.message : value,
  );
}
