/**
 * Whether a card is as it should be, point by point, as the original's `miccheck` asked it: the first point that fails
 * is the one to do something about.
 *
 * @module
 */
import { DEVICE_STATUS } from "../../protocol/mod.ts";
import type { CardControl, CardStatus, DeviceStatus } from "./card_control.ts";

/** One point. */
export interface Check {
  /** From 1. */
  readonly number: number;
  readonly title: string;
  /** `skip`: it cannot be told, for what failed before. */
  readonly outcome: "pass" | "fail" | "skip";
  /** What was found. */
  readonly detail: string;
  /** What to do, if it failed. */
  readonly advice?: string;
}

/** A card OS that runs a command takes less, ms. */
const EXEC_PATIENCE = 5000;
/** A round trip that is felt in every command, ms. */
const SLOW = 500;

/** What a point came to: found, and what to do about it if it is not as it should be. */
type Finding = { readonly found: string; readonly advice?: string };
interface Point {
  readonly title: string;
  find(card: CardControl, status: CardStatus, signal: AbortSignal): Finding | Promise<Finding>;
  /** The later points cannot be told if this one fails. */
  readonly decides?: boolean;
}

const POINTS: readonly Point[] = [
  {
    title: "a card process is connected",
    decides: true,
    find(card, { link, peer }) {
      if (link === "up") return { found: `link up with ${peer ?? "it"}` };
      const { sentence, advice } = card.why();
      return { found: sentence, advice };
    },
  },
  {
    title: "its link answers in time",
    find(card) {
      const { roundTrip = 0 } = card.stats().link;
      if (roundTrip === 0) return { found: "no heartbeat was due yet" };
      const found = `the last heartbeat took ${roundTrip.toFixed(1)} ms`;
      if (roundTrip < SLOW) return { found };
      return { found, advice: "every disk request takes as long: see what fills the network" };
    },
  },
  {
    title: "it is a card",
    decides: true,
    find(card) {
      const info = card.info();
      if (!info) return { found: "it was not probed yet", advice: "wait, and read the host's log" };
      const ids = [info.vendorId, info.deviceId].map((id) => id.toString(16).padStart(4, "0"));
      return { found: `${ids.join(":")} stepping ${info.stepping}, ${info.memoryMib} MiB` };
    },
  },
  {
    title: "its OS is online",
    decides: true,
    find(card, { state, postCode }) {
      const found = `state ${state}, POST ${postCode ?? "none"}`;
      if (state === "online") return { found };
      const { sentence, advice } = card.why();
      return { found: `${found}: ${sentence}`, advice };
    },
  },
  {
    title: "each device has its driver",
    find(_card, { devices }) {
      const without = devices.filter(({ status }) => !(status & DEVICE_STATUS.DRIVER_OK));
      if (without.length === 0) return { found: `${devices.length} of ${devices.length}` };
      return {
        found: `${names(without)} ${without.length === 1 ? "has" : "have"} none`,
        advice: "load the virtio drivers in the card OS, and read its kernel's log",
      };
    },
  },
  {
    title: "no device needs a reset",
    find(_card, { devices }) {
      const broken = devices.filter(({ needsReset }) => needsReset);
      if (broken.length === 0) return { found: "none does" };
      return {
        found: `${names(broken)} ${broken.length === 1 ? "does" : "do"}`,
        advice:
          "its driver broke the virtio rules: unbind and bind it in the card OS, or reset the card",
      };
    },
  },
  {
    title: "no device waits for its backend",
    find(_card, { devices }) {
      const waiting = devices.filter((device) => device.waiting !== undefined);
      if (waiting.length === 0) return { found: "none does" };
      return {
        found: waiting.map((one) => `${one.name} (${one.backend}) ${one.waiting}`).join("; "),
        advice: "start that server again; what waits is asked again by itself",
      };
    },
  },
  {
    title: "its OS runs commands",
    async find(card, _status, signal) {
      const late = AbortSignal.timeout(EXEC_PATIENCE);
      const silent = { stdout: () => {}, stderr: () => {} };
      const begun = performance.now();
      try {
        const status = await card.exec("echo", {
          ...silent,
          signal: AbortSignal.any([signal, late]),
        });
        const took = Math.round(performance.now() - begun);
        if (status === 0) return { found: `echo took ${took} ms` };
        return { found: `echo ended with status ${status}`, advice: "look at the console" };
      } catch (error) {
        signal.throwIfAborted();
        const found = late.aborted
          ? `no answer in ${EXEC_PATIENCE / 1000} s`
          : (error as Error).message;
        return { found, advice: "see whether its exec service runs, and nothing keeps it busy" };
      }
    },
  },
];

/** Every point, in order. `signal` ends the wait for the card OS. */
export async function checksOf(card: CardControl, signal: AbortSignal): Promise<Check[]> {
  const status = card.status();
  const checks: Check[] = [];
  let decided: string | undefined;
  for (const [index, point] of POINTS.entries()) {
    const { title } = point;
    const number = index + 1;
    if (decided !== undefined) {
      checks.push({ number, title, outcome: "skip", detail: `not before ${decided}` });
      continue;
    }
    const { found, advice } = await point.find(card, status, signal);
    if (advice === undefined) checks.push({ number, title, outcome: "pass", detail: found });
    else checks.push({ number, title, outcome: "fail", detail: found, advice });
    if (advice !== undefined && point.decides) decided = title;
  }
  return checks;
}

const names = (devices: readonly DeviceStatus[]): string =>
  devices.map(({ name }) => name).join(", ");
