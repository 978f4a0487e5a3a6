/**
 * What has to follow from what a card OS does wrong, as tests: one line each for a case.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { DriverFault } from "../../protocol/mod.ts";
import { GuestBench } from "./guest_bench.ts";
import { type GuestDevice, ISR, REG, STATUS } from "./guest_device.ts";
import { turnsUntil } from "./turns.ts";

/** One thing that a card OS does. */
export interface GuestAct {
  readonly what: string;
  /** The block device, if it does not say. */
  readonly on?: "block" | "network" | "console";
  /** Where the driver has come to: DRIVER_OK and a request served, if it does not say. */
  readonly from?: "reset" | "negotiated";
  /** Features that the driver does not take. */
  readonly without?: bigint;
  act(guest: GuestDevice, bench: GuestBench): void | Promise<void>;
}

/** A driver beside it that does nothing wrong, and the guest as far as the case wants it. */
async function begin(
  { on = "block", from, without }: GuestAct,
): Promise<[GuestBench, GuestDevice]> {
  const bench = await GuestBench.boot();
  const guest = bench[on];
  await bench.start(bench.bystander);
  if (from === undefined) {
    await bench.start(guest, without === undefined ? {} : { without });
    await bench.serves(guest);
  } else {
    await guest.reset();
    if (from === "negotiated") guest.negotiate();
  }
  guest.read(REG.isr, 1);
  return [bench, guest];
}

/** Nobody else has noticed, and after a reset the device is as good as new. */
async function recovers(bench: GuestBench, guest: GuestDevice): Promise<void> {
  assertEquals(bench.bystander.status, STATUS.DRIVER_OK);
  await bench.serves(bench.bystander);
  await bench.start(guest);
  await bench.serves(guest);
  assertEquals(guest.status, STATUS.DRIVER_OK);
}

/** The device needs a reset, its driver is told, the host counts `fault` once, and a reset repairs it. */
export function breaksDevice(fault: DriverFault, acts: readonly GuestAct[]): void {
  for (const act of acts) {
    Deno.test(`${act.what}: ${fault}, DEVICE_NEEDS_RESET, and works after reset`, async () => {
      const [bench, guest] = await begin(act);
      await using _ = bench;
      await act.act(guest, bench);
      await turnsUntil(() => (guest.status & STATUS.NEEDS_RESET) !== 0, "the device needs a reset");
      if (guest.status & 4) {
        assert(guest.interrupting);
        assert(guest.read(REG.isr, 1) & ISR.CONFIG);
      }
      await turnsUntil(() => bench.driver.faults[fault] !== undefined, "the host has counted it");
      assertEquals(bench.driver.faults, { [fault]: 1 });
      const told = bench.events.flatMap((e) =>
        e.type === "card" && e.event.type === "fault" ? [[e.event.slot, e.event.fault]] : []
      );
      assertEquals(told, [[guest.index, fault]]);
      await recovers(bench, guest);
      assertEquals(bench.driver.faults, { [fault]: 1 });
    });
  }
}

/** Nothing comes of it: the driver goes on, without a reset. */
export function doesNothing(acts: readonly GuestAct[]): void {
  for (const act of acts) {
    Deno.test(`${act.what}: nothing comes of it`, async () => {
      const [bench, guest] = await begin(act);
      await using _ = bench;
      await act.act(guest, bench);
      await bench.serves(bench.bystander);
      assertEquals(guest.status & STATUS.NEEDS_RESET, 0);
      if (act.from === undefined) await bench.serves(guest);
      await recovers(bench, guest);
      assertEquals(bench.driver.faults, {});
    });
  }
}

/** What the device makes of it is the driver's own affair; it is whole after a reset, and nobody else has noticed. */
export function survives(acts: readonly GuestAct[]): void {
  for (const act of acts) {
    Deno.test(`${act.what}: nobody else notices, and it works after reset`, async () => {
      const [bench, guest] = await begin(act);
      await using _ = bench;
      await act.act(guest, bench);
      await bench.serves(bench.bystander);
      await recovers(bench, guest);
      assertEquals(bench.driver.faults.internal, undefined);
      assertEquals(bench.host.cards.get("mic0")!.linkUp, true);
    });
  }
}
