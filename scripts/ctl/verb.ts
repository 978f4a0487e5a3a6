/**
 * What a verb of ctl is: one file each, one line in the table (`verbs/mod.ts`); help, dispatch and shell completion
 * are made from it.
 *
 * @module
 */
import { CONTROL_FORM } from "../cli/control_place.ts";
import type { Operands, OptionTable, OptionValues } from "../cli/options.ts";
import type { ControlClient } from "./client.ts";

/** What stands behind a verb. */
export interface VerbOperands extends Operands {
  /** What completes each of them in a shell; the last goes for all that follow. */
  readonly completes: readonly ("cards" | "files" | readonly string[])[];
}

/** What every verb takes. */
export const COMMON_OPTIONS = {
  control: {
    kind: "text",
    value: CONTROL_FORM,
    help: "Where the host is (its socket in the user's runtime folder).",
  },
  json: { kind: "flag", help: "The answer as JSON." },
} as const satisfies OptionTable;

/** Names of cards; all cards of the host if there are none. */
export const CARDS: VerbOperands = { value: "[CARD...]", completes: ["cards"] };

/** A verb and what it does. */
export interface VerbOptions<T extends OptionTable> {
  readonly name: string;
  /** One letter: `-b`, as micctrl had it. */
  readonly short?: string;
  /** One line. */
  readonly about: string;
  readonly operands?: VerbOperands;
  readonly options: T;
  readonly examples?: readonly string[];
  run(call: VerbCall<T>): Promise<number>;
}

export interface VerbCall<T extends OptionTable> {
  readonly client: ControlClient;
  readonly options: OptionValues<T> & { readonly json: boolean };
  /** As typed. */
  readonly operands: readonly string[];
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly out: Output;
  /** Every verb, itself too. */
  readonly verbs: readonly Verb[];
}

/** Where answers go. */
export interface Output {
  readonly terminal: boolean;
  /** One line; the newline is added. */
  line(text: string): void;
  json(value: unknown): void;
  /** As it is. */
  write(text: string): void;
}

/** A verb of any options. */
// deno-lint-ignore no-explicit-any -- a table of verbs holds verbs of different options
export type Verb = VerbOptions<any>;

/** Lets the compiler see that `run` uses the options that there are. */
export function verb<const T extends OptionTable>(options: VerbOptions<T>): Verb {
  return options;
}
