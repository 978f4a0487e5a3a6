/**
 * Where this host's control API is: as asked for, or at the user's own place if no other host has it.
 *
 * @module
 */
import {
  CONTROL_FORM,
  makeControlFolder,
  makeControlToken,
  parseControl,
} from "../../scripts/cli/mod.ts";
import { ControlServer } from "../control/api/server.ts";
import type { HostControl } from "../control/card_control.ts";
import type { Voice } from "./voice.ts";

/** For help texts. */
export const CONTROL_CHOICES = `${CONTROL_FORM}|none`;

export interface ControlOptions {
  readonly host: HostControl;
  /** What the operator said; undefined if nothing. */
  readonly choice: string | undefined;
  /** TCP beyond loopback, too. */
  readonly insecure: boolean;
  readonly voice: Voice;
}

/**
 * Undefined if there is to be none, or if nothing was said and the usual place cannot be had: that is told.
 * @throws {BackendError | RangeError | CommandError} if what was said cannot be had
 */
export async function serveControl(options: ControlOptions): Promise<ControlServer | undefined> {
  const { host, choice, insecure, voice } = options;
  if (choice === "none") return undefined;
  const place = parseControl(choice);
  const onError = (error: unknown) =>
    voice.say({ type: "control_failed", error }, `control: ${Deno.inspect(error)}`);
  try {
    if (choice === undefined) await makeControlFolder();
    const address = place.transport === "unix"
      ? place
      : { ...place, token: await makeControlToken(), insecure };
    const server = await ControlServer.start({ host, address, onError });
    voice.say({ type: "control", name: server.name }, undefined);
    return server;
  } catch (error) {
    if (choice !== undefined) throw error;
    const { message: text } = error as Error;
    voice.say({ type: "no_control", text }, `${text}; with --control PATH, ctl reaches this host`);
    return undefined;
  }
}
