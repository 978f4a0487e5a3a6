/**
 * The life of one card, as the host tells it (architecture §7): one table, walked exhaustively by its test.
 *
 * States and shutdown reasons keep the names of the MIC X100 host driver. Commands are what the operator asks for,
 * the other events are what the card did. A new state is a new row, a new event a new column.
 *
 * @module
 */

export type LifeState =
  | "ready"
  | "booting"
  | "online"
  | "shutting_down"
  | "resetting"
  | "reset_failed"
  | "suspending"
  | "suspended";

export type LifeEvent =
  /** Command: download the OS and start it. */
  | "boot"
  /** The download failed before the card was started: it still waits for one. */
  | "boot_failed"
  /** The card driver on the card reported in. */
  | "came_online"
  /** A card OS that outlived its host was found running, and goes on with this one. */
  | "adopted"
  /** Command: ask the card OS to stop in good order. */
  | "shutdown"
  /** Command: shut the card OS down, if one runs, and boot none until `resume`. */
  | "suspend"
  /** Command: the end of a suspension. */
  | "resume"
  /** The card OS stopped, for whatever reason, or the bootstrap refused to start it. */
  | "stopped"
  /** Command: forced reset. */
  | "reset"
  /** The card waits for a download again. */
  | "became_ready"
  /** It did not, in time. */
  | "reset_timeout"
  /** The card process is gone, and the link's session with it. */
  | "gone";

export const LIFE_EVENTS: readonly LifeEvent[] = [
  "boot",
  "boot_failed",
  "came_online",
  "adopted",
  "shutdown",
  "suspend",
  "resume",
  "stopped",
  "reset",
  "became_ready",
  "reset_timeout",
  "gone",
];

/** Row: where the card is. Cell: where an event takes it. No cell: the event does not apply there. */
const NEXT: Readonly<Record<LifeState, Partial<Record<LifeEvent, LifeState>>>> = {
  ready: { boot: "booting", suspend: "suspended" },
  booting: {
    boot_failed: "ready",
    came_online: "online",
    stopped: "shutting_down",
    reset: "resetting",
    gone: "shutting_down",
  },
  online: {
    shutdown: "shutting_down",
    suspend: "suspending",
    stopped: "shutting_down",
    reset: "resetting",
    gone: "shutting_down",
  },
  shutting_down: { stopped: "shutting_down", reset: "resetting", gone: "shutting_down" },
  resetting: {
    became_ready: "ready",
    adopted: "online",
    reset_timeout: "reset_failed",
    gone: "reset_failed",
  },
  reset_failed: { reset: "resetting", gone: "reset_failed" },
  suspending: {
    stopped: "suspending",
    became_ready: "suspended",
    reset: "resetting",
    reset_timeout: "reset_failed",
    gone: "shutting_down",
  },
  suspended: { resume: "ready", reset: "resetting", gone: "suspended" },
};

export const LIFE_STATES = Object.keys(NEXT) as readonly LifeState[];

/** Where `event` takes a card that is in `state`; undefined where it does not apply. */
export function next(state: LifeState, event: LifeEvent): LifeState | undefined {
  return NEXT[state][event];
}

/** The states in which `event` applies, for error texts. */
export function statesFor(event: LifeEvent): readonly LifeState[] {
  return LIFE_STATES.filter((state) => NEXT[state][event] !== undefined);
}
