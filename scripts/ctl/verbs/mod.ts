/**
 * The verbs of ctl, in the order of its help.
 *
 * @module
 */
import type { Verb } from "../verb.ts";
import { CHECK } from "./check.ts";
import { COMPLETION } from "./completion.ts";
import { DISK } from "./disk.ts";
import { CONFIG } from "./config.ts";
import { CONSOLE } from "./console.ts";
import { EXEC } from "./exec.ts";
import { INFO } from "./info.ts";
import { BOOT, RESET, RESUME, SHUTDOWN, SUSPEND } from "./lifecycle.ts";
import { LOG } from "./log.ts";
import { LSPCI } from "./lspci.ts";
import { NET } from "./net.ts";
import { POSTCODE } from "./postcode.ts";
import { STATS } from "./stats.ts";
import { STATUS } from "./status.ts";
import { WAIT } from "./wait.ts";
import { WHY } from "./why.ts";

export const VERBS: readonly Verb[] = [
  STATUS,
  BOOT,
  RESET,
  SHUTDOWN,
  WAIT,
  SUSPEND,
  RESUME,
  WHY,
  CHECK,
  INFO,
  LSPCI,
  LOG,
  POSTCODE,
  STATS,
  CONSOLE,
  EXEC,
  DISK,
  NET,
  CONFIG,
  COMPLETION,
];
