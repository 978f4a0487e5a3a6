/**
 * What a row of the clause matrix is: one MUST of virtio 1.3 that falls on the device, in our own words, and the tests
 * that show it or the reason why it does not apply.
 *
 * @module
 */
import type { AbsentFeature } from "./offered.ts";

/** Test file, below `tests/` and without `_test.ts`, to names of tests in it as they are printed. */
export type Tests = Readonly<Record<string, readonly string[]>>;

/** Why a clause does not apply: a feature that it asks for and that no device offers, or another reason. */
export type Exemption = { readonly without: AbsentFeature } | { readonly not: string };

export type Clause =
  & {
    /** Which MUST of its section, counted from 1 through the text. */
    readonly must: number;
    readonly says: string;
  }
  & ({ readonly shown: Tests } | Exemption | { readonly open: string });

/** The MUSTs of one section, all of them. */
export type Section =
  & {
    readonly section: string;
    /** The section's label in the sources of the standard, which is where it is found whatever its number. */
    readonly label: string;
    /** MUSTs in its text that fall on the device. */
    readonly musts: number;
  }
  & ({ readonly clauses: readonly Clause[] } | Exemption);

/** For sections on the legacy interface: what transitional devices have to do. */
export const LEGACY = "legacy interface: no device is transitional";
