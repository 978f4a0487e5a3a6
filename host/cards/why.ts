/**
 * Why a card is not online, or not wholly, in one sentence; and what to do about it.
 *
 * A pure function of what is known: the state first, then what is known of how the card came there.
 *
 * @module
 */
import { DEVICE_STATUS } from "../../protocol/mod.ts";
import type { BootRecord, CardStatus, DeviceStatus, Why } from "../control/card_control.ts";

/** A peer that was turned away. */
export interface Refused {
  readonly peer: string;
  readonly text: string;
  /** ms since 1970. */
  readonly time: number;
}

export interface WhyView {
  readonly status: CardStatus;
  /** ms since 1970. */
  readonly now: number;
  /** Of the boot that runs, or ran last. */
  readonly record: BootRecord | undefined;
  /** When its connection was lost, ms since 1970; undefined while it is there. */
  readonly linkLost: number | undefined;
  /** Why the card process, or its last boot, could not be used. */
  readonly failure: string | undefined;
  /** Why the host has no card process be it. */
  readonly fault: string | undefined;
  /** The only identity that may be this card. */
  readonly bound: string | undefined;
  readonly autoboot: boolean;
  readonly hasImages: boolean;
  /** As ExecChannel has it; undefined where there is none to wait for. */
  readonly execWaits: "card" | "earlier-command" | undefined;
  /** Oldest first. */
  readonly refused: readonly Refused[];
}

/** What is older has nothing to do with what is the case now, ms. */
const RECENT = 5 * 60_000;

export function why(view: WhyView): Why {
  const { status, linkLost, fault } = view;
  if (fault !== undefined) {
    return {
      sentence: `the host cannot lend ${status.name} its devices: ${fault}`,
      advice:
        `put that right, then "ctl boot ${status.name}" or a card process that comes tries again; ` +
        "what is changed in the configuration holds when the host is started again",
    };
  }
  if (status.link === "down") return lost(view, linkLost ?? status.since);
  switch (status.state) {
    case "absent":
      return absent(view);
    case "booting":
      return booting(view);
    case "online":
      return online(view);
    case "shutting_down":
      return shuttingDown(view);
    case "resetting":
      return resetting(view);
    case "ready":
      return ready(view);
    case "reset_failed":
      return {
        sentence: `${status.name} did not become ready after a reset${afterPost(status)}${
          because(view.failure)
        }`,
        advice:
          `look at the card process's output; try "ctl reset ${status.name}", else start the card process anew`,
      };
    case "suspending":
      return {
        sentence: `${status.name} is being suspended for ${age(view, status.since)}: ` +
          "its OS was asked to shut down",
        advice: `wait, or "ctl reset ${status.name}" to end it at once`,
      };
    case "suspended":
      return {
        sentence: `${status.name} was suspended ${age(view, status.since)} ago; ${
          status.suspendedOs ? "its OS ran then" : "nothing ran on it then"
        }`,
        advice: status.suspendedOs
          ? `"ctl resume ${status.name}" boots it again`
          : `"ctl resume ${status.name}", then "ctl boot ${status.name}"`,
      };
  }
}

function absent(view: WhyView): Why {
  const { status, bound, now } = view;
  const { name } = status;
  if (view.failure !== undefined) {
    return {
      sentence: `what connected as ${name} cannot be used: ${view.failure}`,
      advice: "see whether host and card are of the same version, and start the card process anew",
    };
  }
  const refused = view.refused.findLast(({ time }) => now - time <= RECENT);
  if (refused) {
    return {
      sentence: `no card process is ${name}; one at ${refused.peer} tried ${
        age(view, refused.time)
      } ago and was refused: ${refused.text}`,
      advice: bound === undefined
        ? `pair it ("deno task host --pair"), or end the process that holds the card's place`
        : `start the card with identity ${bound}, or bind ${name} to the one that tried`,
    };
  }
  if (status.identity === undefined) {
    return {
      sentence: `no card process has connected as ${name}`,
      advice: `start one with "deno task card --connect HOST:PORT"${
        bound === undefined ? "" : `, with identity ${bound}`
      }`,
    };
  }
  const ran = status.reason === "crashed" ? "its OS ran then" : "its OS had stopped";
  return {
    sentence: `the card process of ${name} is gone for ${age(view, status.since)}; ${ran}`,
    advice: status.suspendedOs
      ? `start the card process again; ${name} stays suspended until "ctl resume ${name}"`
      : `see why it ended, and start the card process again`,
  };
}

function lost(view: WhyView, since: number): Why {
  const { name, state, peer } = view.status;
  return {
    sentence: `the connection to ${name}${peer ? ` at ${peer}` : ""} is lost for ${
      age(view, since)
    }; it was ${state}, and goes on from there when it is back`,
    advice: "see whether the card's machine and the network between are up; " +
      "it connects again by itself",
  };
}

function booting(view: WhyView): Why {
  const { status, record } = view;
  const { name } = status;
  const step = record?.steps.at(-1);
  const begun = record?.begun ?? status.since;
  const last = step === undefined || step.step === "booting"
    ? "its images are being downloaded"
    : `the last step was ${step.step}${step.detail ? ` (${step.detail})` : ""} ${
      age(view, step.time)
    } ago`;
  return {
    sentence: `${name} boots for ${age(view, begun)}; POST code ${
      status.postCode ?? "none"
    }, ${last}`,
    advice: OS_STEPS.some((known) => record?.steps.some((s) => s.step === known))
      ? `its kernel runs: see "ctl console ${name}"; "ctl reset ${name}" ends it`
      : `wait; if nothing moves, "ctl reset ${name}" and "ctl boot ${name}"`,
  };
}

/** From here on the bootstrap has done its part. */
const OS_STEPS: readonly string[] = ["plugged", "os"];

function online({ status, execWaits }: WhyView): Why {
  const { name, devices } = status;
  const broken = devices.filter(({ needsReset }) => needsReset);
  if (broken.length > 0) {
    return {
      sentence: `${name} is online, but its driver broke the rules of ${
        names(broken)
      }: DEVICE_NEEDS_RESET`,
      advice: "unbind and bind that driver in the card OS, or reset the card; " +
        `the fault is in "ctl log ${name}"`,
    };
  }
  const stalled = devices.filter(({ waiting }) => waiting !== undefined);
  if (stalled.length > 0) {
    return {
      sentence: `${name} is online, but requests wait: ${
        stalled.map((device) => `${device.name} (${device.backend}) ${device.waiting}`).join("; ")
      }`,
      advice: "start that server again; what waits is asked again by itself",
    };
  }
  const without = devices.filter((device) => !(device.status & DEVICE_STATUS.DRIVER_OK));
  if (without.length > 0) {
    return {
      sentence: `${name} is online, but ${names(without)} ${
        without.length === 1 ? "has" : "have"
      } no driver yet`,
      advice: "wait for the card OS to come up, or load the virtio drivers in it",
    };
  }
  if (execWaits === "card") {
    return {
      sentence: `${name} is online, but takes no commands: its exec port is not open`,
      advice: `wait for its services; if they hang, see "ctl console ${name}"`,
    };
  }
  if (execWaits === "earlier-command") {
    return {
      sentence: `${name} is online, and still works on a command of an earlier host`,
      advice: "wait for its end, or end it on the console",
    };
  }
  return { sentence: `${name} is online`, advice: "nothing is to be done" };
}

function shuttingDown(view: WhyView): Why {
  const { name, since, reason } = view.status;
  if (reason !== "nop") {
    return {
      sentence: `the OS of ${name} stopped (${reason}), and the card is being reset`,
      advice: "wait",
    };
  }
  return {
    sentence: `the OS of ${name} was asked to shut down ${age(view, since)} ago`,
    advice: `wait, or "ctl reset ${name}" to end it at once`,
  };
}

function resetting(view: WhyView): Why {
  const { status } = view;
  if (status.memoryMib === undefined) {
    return {
      sentence: `${status.name} is connected, and being probed`,
      advice: `wait; if it stays so, start the card process anew`,
    };
  }
  return {
    sentence: `${status.name} is being reset for ${age(view, status.since)}${afterPost(status)}`,
    advice: "wait",
  };
}

function ready(view: WhyView): Why {
  const { status, record, now } = view;
  const { name, restart, nextBoot } = status;
  const ended = endedText(view);
  if (nextBoot !== undefined) {
    return {
      sentence: `${name} is ready${ended}; the next boot begins in ${
        seconds(Math.max(0, nextBoot - now))
      }`,
      advice: `wait, or "ctl boot ${name}" to boot it now`,
    };
  }
  if (!view.hasImages) {
    return {
      sentence: `${name} is ready, and has nothing to boot`,
      advice: "name an OS or a kernel in its configuration",
    };
  }
  if (record?.ended === undefined) {
    return {
      sentence: `${name} is ready, and was not booted yet${
        view.autoboot ? "" : ": its configuration says no autoboot"
      }`,
      advice: `"ctl boot ${name}"`,
    };
  }
  const refused = record.online === undefined && record.reason !== "crashed" && !record.asked;
  if (refused) {
    return {
      sentence: `${name} is ready; its last boot failed: ${
        record.detail ?? view.failure ?? "it did not come online"
      }`,
      advice: `put right what it says, then "ctl boot ${name}"`,
    };
  }
  return {
    sentence: `${name} is ready${ended}${record.asked ? "" : `; its restart policy is ${restart}`}`,
    advice: record.reason === "crashed"
      ? `see "ctl log ${name}" for its kernel's last words; "ctl boot ${name}" boots it again`
      : `"ctl boot ${name}" boots it again`,
  };
}

/** `; its OS stopped 3 s ago (crashed: ...)`. */
function endedText(view: WhyView): string {
  const { record } = view;
  if (record?.ended === undefined) return "";
  const ago = age(view, record.ended);
  if (record.reason === "nop") {
    return record.asked ? `; it was reset ${ago} ago` : `; its last boot failed ${ago} ago`;
  }
  const by = record.asked ? ", as it was asked to" : "";
  const detail = record.detail ? `: ${record.detail}` : "";
  return `; its OS stopped ${ago} ago (${record.reason}${detail})${by}`;
}

const names = (devices: readonly DeviceStatus[]): string =>
  devices.map(({ name }) => name).join(", ");

const because = (failure: string | undefined): string =>
  failure === undefined ? "" : `: ${failure}`;

const afterPost = ({ postCode }: CardStatus): string =>
  postCode === undefined ? "" : `, last POST code ${postCode}`;

const age = ({ now }: WhyView, since: number): string => seconds(Math.max(0, now - since));

/** `850 ms`, `12 s`, `3 min`, `2 h`. */
function seconds(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}
