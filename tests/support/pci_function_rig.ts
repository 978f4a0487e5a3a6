/**
 * A virtio-pci function whose registers the test reads and writes as a driver does, and what it says to the card driver.
 *
 * @module
 */
import { VirtioPciFunction } from "../../card/driver/virtio_pci.ts";

// Offsets of §4.1.4.3, typed by hand.
export const DEVICE_FEATURE_SELECT = 0x00;
export const DEVICE_FEATURE = 0x04;
export const DRIVER_FEATURE_SELECT = 0x08;
export const DRIVER_FEATURE = 0x0c;
export const CONFIG_MSIX = 0x10;
export const NUM_QUEUES = 0x12;
export const STATUS = 0x14;
export const GENERATION = 0x15;
export const QUEUE_SELECT = 0x16;
export const QUEUE_SIZE = 0x18;
export const QUEUE_ENABLE = 0x1c;
export const NOTIFY_OFF = 0x1e;
export const DESC = 0x20;
export const DRIVER = 0x28;
export const DEVICE = 0x30;
export const ISR = 0x38;
export const NOTIFY = 0x40;
export const CONFIG = 0x80;

export const VERSION_1 = 1n << 32n;
export const OFFERED = VERSION_1 | 1n << 28n | 1n << 29n | 0x20n;

export function make(queueSizes: readonly number[] = [256, 0, 64]) {
  const log: string[] = [];
  const config = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
  const state = { generation: 0x1ff, line: false };
  const fn = new VirtioPciFunction(
    {
      name: "test",
      type: 2,
      queueSizes,
      features: OFFERED,
      configLength: config.length,
      deviceConfig: () => config,
      configGeneration: () => state.generation,
    },
    {
      featuresAccepted: (features) => log.push(`features ${features.toString(16)}`),
      queueEnabled: (queue, ring) =>
        log.push(
          `queue ${queue}: ${ring.size} ${ring.descriptorTable} ${ring.availableRing} ${ring.usedRing}`,
        ),
      statusChanged: (status) => log.push(`status ${status}`),
      driverOk: (status) => log.push(`driver ok ${status}`),
      resetRequested: () => log.push("reset?"),
      notified: (queue) => log.push(`notified ${queue}`),
      configWritten: (offset, width, value) => log.push(`config ${offset} ${width} ${value}`),
      refused: (error, queue) => log.push(`refused ${error.fault} ${queue}`),
    },
    0x10_0000,
  );
  fn.connect({ set: (asserted) => state.line = asserted });
  const took = () => log.splice(0);
  return { fn, took, state, config };
}
export type Made = ReturnType<typeof make>;

/** §3.1.1, up to the step named. */
export function accept(fn: VirtioPciFunction, features = OFFERED): number {
  for (const bit of [1, 2]) fn.write(STATUS, 1, fn.read(STATUS, 1) | bit);
  fn.write(DRIVER_FEATURE_SELECT, 4, 0);
  fn.write(DRIVER_FEATURE, 4, Number(features & 0xffff_ffffn));
  fn.write(DRIVER_FEATURE_SELECT, 4, 1);
  fn.write(DRIVER_FEATURE, 4, Number(features >> 32n));
  fn.write(STATUS, 1, 11);
  return fn.read(STATUS, 1);
}
export function setUp(fn: VirtioPciFunction, queue = 0, size = 128, at = 0x1000): void {
  fn.write(QUEUE_SELECT, 2, queue);
  fn.write(QUEUE_SIZE, 2, size);
  fn.write(DESC, 4, at);
  fn.write(DESC + 4, 4, 0);
  fn.write(DRIVER, 4, at + 0x1000);
  fn.write(DRIVER + 4, 4, 0);
  fn.write(DEVICE, 4, at + 0x2000);
  fn.write(DEVICE + 4, 4, 0);
  fn.write(QUEUE_ENABLE, 2, 1);
}
export function live(): Made {
  const made = make();
  accept(made.fn);
  setUp(made.fn);
  made.fn.write(STATUS, 1, 15);
  made.took();
  return made;
}
