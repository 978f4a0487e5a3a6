/**
 * The machines a card can be, by the name that users give.
 *
 * @module
 */
import type { MachineFactory } from "./types.ts";

export const MACHINES = ["v86", "diag"] as const;
export type MachineName = (typeof MACHINES)[number];

/** The factory of machine `name`; an emulator that is not used is not loaded. */
export async function machineFactory(name: MachineName): Promise<MachineFactory> {
  return name === "v86"
    ? (await import("./v86/machine.ts")).v86Machine
    : (await import("./diag/machine.ts")).DiagMachine.make;
}
