/**
 * What tests of the installed units have in common: a card unit that boots at once, and the machine's sleep.
 *
 * @module
 */
import { assert } from "@std/assert";
import type { SystemdMachine } from "./systemd_machine.ts";

/** What makes the card's unit one of the diagnostic OS, which is a machine of its own. */
export const bootsDiag = (units: string, bin: string) => `
  mkdir -p ${units}/knightsbridge-card@.service.d
  printf '[Service]\nExecStart=\nExecStart=%s\n' '${bin}/knightsbridge-card --connect %i --machine diag' \
    > ${units}/knightsbridge-card@.service.d/diag.conf`;

/** Fails unless `lines` has a match of each of `patterns`, in that order. */
export function assertOrder(lines: string, patterns: readonly RegExp[]): void {
  let rest = lines;
  for (const pattern of patterns) {
    const found = pattern.exec(rest);
    assert(found, `No ${pattern} in its place in:\n${lines}`);
    rest = rest.slice(found.index + found[0].length);
  }
}

/** How systemd says that it goes to sleep: up to version 253, and since. */
export const FELL_ASLEEP = /Entering sleep state|Performing sleep operation/;
/** What is said of a sleep, in its order. */
export const SLEEP = [
  /state suspended/,
  FELL_ASLEEP,
  /System returned from sleep/,
  /state booting/,
];

/** The journal of one sleep of the machine, until its card OS boots or runs. */
export async function sleep(machine: SystemdMachine): Promise<string> {
  const before = (await machine.journal()).length;
  await machine.sh(`
    cursor=$(journalctl -n 0 --show-cursor | sed -n 's/^-- cursor: //p')
    systemctl suspend
    said() { journalctl --output=cat --after-cursor="$cursor" | grep -q "$1"; }
    until said "Operation .* finished" && said "state booting"; do sleep 0.2; done`);
  return (await machine.journal()).slice(before);
}

/** Waits until `knightsbridge-sleep` delays the next sleep. */
export const delays = (machine: SystemdMachine) =>
  machine.sh("until systemd-inhibit --list | grep -q knightsbridge; do sleep 0.2; done");
