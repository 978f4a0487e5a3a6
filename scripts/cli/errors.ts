/**
 * Exit statuses of every knightsbridge command, and the error that carries one.
 *
 * @module
 */
import { tell } from "./tell.ts";

/** What a command's exit status means. `demo --exec` alone passes on the status of the command in the card instead. */
export const EXIT = {
  ok: 0,
  /** A fault of our own. */
  failure: 1,
  /** The command line is wrong. */
  usage: 2,
  /** Something of this machine cannot be used: a file, a port, a network interface, a program. */
  resource: 3,
  /** The other machine speaks another wire version, or the two do not trust each other. */
  refused: 4,
  /** The card could not boot what it was given, or its OS crashed. */
  boot: 5,
  /** A card is not as it was wanted: its state does not allow a command, a check failed, a wait was in vain. */
  card: 6,
  interrupted: 130,
} as const;

/** An error for the person at the terminal: one sentence that names the thing and what to do, and an exit status. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;
  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Runs a command's main function and ends the process with the exit status its outcome calls for. */
export async function runMain(name: string, main: () => Promise<number>): Promise<never> {
  try {
    Deno.exit(await main());
  } catch (error) {
    if (error instanceof CommandError) {
      tell(`${name}: ${error.message}`);
      Deno.exit(error.exitCode);
    }
    tell(`${name}: internal error, please report it`);
    tell(Deno.inspect(error));
    Deno.exit(EXIT.failure);
  }
}
