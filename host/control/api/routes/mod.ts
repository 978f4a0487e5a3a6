/**
 * Every route of the API: a new one is a line in its table.
 *
 * @module
 */
import type { Route } from "../route.ts";
import { BOOT_ROUTES } from "./boots.ts";
import { CARD_ROUTES } from "./cards.ts";
import { COMMAND_ROUTES } from "./commands.ts";
import { DEVICE_ROUTES } from "./devices.ts";
import { CONSOLE_ROUTES } from "./console.ts";
import { EXEC_ROUTES } from "./exec.ts";
import { HOST_ROUTES } from "./host.ts";
import { INFO_ROUTES } from "./info.ts";
import { METRICS_ROUTES } from "./metrics.ts";

export const ROUTES: readonly Route[] = [
  ...HOST_ROUTES,
  ...CARD_ROUTES,
  ...COMMAND_ROUTES,
  ...INFO_ROUTES,
  ...BOOT_ROUTES,
  ...CONSOLE_ROUTES,
  ...EXEC_ROUTES,
  ...DEVICE_ROUTES,
  ...METRICS_ROUTES,
];
