/**
 * The registers of a virtio-pci function once more, as the rules say and without regard to cost (virtio 1.3 §2.1, §3.1.1,
 * §4.1.4.3), and the property that the function does the same: whatever a driver writes, in any order.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { VirtioPciFunction } from "../../card/driver/virtio_pci.ts";
import { REG } from "./guest_device.ts";

const MEMORY = 0x10_0000;
/** Largest sizes; a queue of 0 does not exist. */
const QUEUES = [256, 0, 64] as const;
/** VERSION_1, EVENT_IDX, INDIRECT_DESC and one bit of the device's own. */
const OFFERED = [0x3000_0020, 1] as const;
const CONFIG = { at: 0x80, length: 10 };
const NEEDS_RESET = 0x40;

/** Status bytes that may follow one another (§3.1.1), but for 0, and FAILED (0x80) from anywhere. */
const MAY_FOLLOW: Readonly<Record<number, readonly number[]>> = {
  0: [1, 3],
  1: [1, 3],
  3: [3, 11],
  11: [11, 15],
  15: [15],
};

interface ModelQueue {
  readonly max: number;
  size: number;
  enabled: boolean;
  /** Halves of the addresses of descriptor table, available and used ring. */
  readonly halves: number[];
}

/** 64-bit address from its halves. */
const address = ({ halves }: ModelQueue, part: number): number =>
  halves[2 * part]! + halves[2 * part + 1]! * 2 ** 32;

export class RegisterModel {
  readonly events: string[] = [];
  status = 0;
  failed = false;
  needsReset = false;
  resetting = false;
  queueSelect = 0;
  deviceSelect = 0;
  driverSelect = 0;
  wanted: [number, number] = [0, 0];
  beyond = false;
  queues: ModelQueue[] = [];

  constructor() {
    this.#clear();
  }

  get live(): boolean {
    return this.status === 15 && !this.failed && !this.resetting;
  }
  /** What the driver reads. */
  get statusByte(): number {
    return this.status | (this.failed ? this.failedBits : 0) | (this.needsReset ? NEEDS_RESET : 0);
  }
  failedBits = 0;

  /** Named registers as they read now. */
  get readable(): Record<string, number> {
    const queue = this.queues[this.queueSelect];
    return {
      device_feature_select: this.deviceSelect,
      device_feature: OFFERED[this.deviceSelect] ?? 0,
      driver_feature_select: this.driverSelect,
      driver_feature: this.wanted[this.driverSelect] ?? 0,
      num_queues: QUEUES.length,
      status: this.statusByte,
      queue_select: this.queueSelect,
      queue_size: queue?.size ?? 0,
      queue_enable: queue?.enabled ? 1 : 0,
      queue_desc: queue?.halves[0] ?? 0,
      queue_device: queue?.halves[4] ?? 0,
    };
  }

  write(at: number, width: number, value: number): void {
    if (at >= REG.notify && at < REG.notify + 4 * QUEUES.length) {
      const queue = (at - REG.notify) / 4;
      if (this.live && this.queues[queue]?.enabled) this.events.push(`notified ${queue}`);
      return;
    }
    if (this.resetting) return;
    if (at >= CONFIG.at && at + width <= CONFIG.at + CONFIG.length) {
      this.events.push(`config ${at - CONFIG.at} ${width} ${value}`);
      return;
    }
    if (width === 4) this.#write32(at, value >>> 0);
    else if (width === 2) this.#write16(at, value & 0xffff);
    else if (at === REG.status) this.#writeStatus(value & 0xff);
  }

  resetDone(): void {
    if (this.resetting) this.#clear();
  }

  /** The device is found broken by somebody else. */
  breaks(): void {
    this.needsReset = true;
  }

  #clear(): void {
    this.status = this.failedBits = 0;
    this.failed =
      this.needsReset =
      this.resetting =
      this.beyond =
        false;
    this.queueSelect = this.deviceSelect = this.driverSelect = 0;
    this.wanted = [0, 0];
    this.queues = QUEUES.map((max) => ({
      max,
      size: max,
      enabled: false,
      halves: [0, 0, 0, 0, 0, 0],
    }));
  }

  #write32(at: number, value: number): void {
    if (at === REG.device_feature_select) this.deviceSelect = value;
    else if (at === REG.driver_feature_select) this.driverSelect = value;
    else if (at === REG.driver_feature) {
      if (this.statusByte & 8) return;
      if (this.driverSelect < 2) this.wanted[this.driverSelect] = value;
      else if (value !== 0) this.beyond = true;
    } else if (at >= REG.queue_desc && at < REG.isr && at % 4 === 0) {
      const half = (at - REG.queue_desc) / 4;
      this.#setQueue((queue) => queue.halves[half]!, value, (queue) => {
        queue.halves[half] = value;
      });
    }
  }

  #write16(at: number, value: number): void {
    if (at === REG.queue_select) this.queueSelect = value;
    else if (at === REG.queue_size) {
      this.#setQueue((queue) => queue.size, value, (queue) => {
        const power = [1, 2, 4, 8, 16, 32, 64, 128, 256].includes(value);
        if (power && value <= queue.max) queue.size = value;
        else this.#refuse("queue-setup", this.queueSelect);
      });
    } else if (at === REG.queue_enable) {
      this.#setQueue(() => 1, value, (queue) => {
        if (value === 1) this.#enable(queue);
      });
    }
  }

  /** A queue register: latched while the queue is enabled, and open only between FEATURES_OK and DRIVER_OK. */
  #setQueue(now: (queue: ModelQueue) => number, value: number, set: (queue: ModelQueue) => void) {
    const queue = this.queues[this.queueSelect];
    if (queue === undefined || queue.max === 0) return;
    if (queue.enabled) {
      if (now(queue) !== value) this.#refuse("queue-setup", this.queueSelect);
    } else if (this.status === 11 && !this.failed) set(queue);
  }

  #enable(queue: ModelQueue): void {
    const { size } = queue;
    const parts = [
      { align: 16, length: 16 * size },
      { align: 2, length: 6 + 2 * size },
      { align: 4, length: 6 + 8 * size },
    ];
    const good = parts.every(({ align, length }, part) => {
      const at = address(queue, part);
      return at % align === 0 && at + length <= MEMORY;
    });
    if (!good) return this.#refuse("queue-setup", this.queueSelect);
    queue.enabled = true;
    this.events.push(
      `queue ${this.queueSelect}: ${size} ${[0, 1, 2].map((part) => address(queue, part))}`,
    );
  }

  #writeStatus(value: number): void {
    const written = value & ~NEEDS_RESET;
    if (written === 0) {
      if (this.statusByte === 0) return this.#clear();
      this.resetting = true;
      this.events.push("reset?");
    } else if (written & 0x80) {
      if (this.failed) return;
      this.failed = true;
      this.failedBits = written;
      this.status = 0;
      this.events.push(`status ${this.statusByte}`);
    } else if (this.failed || !MAY_FOLLOW[this.status]!.includes(written)) {
      if (this.statusByte !== 0) this.#refuse("status", 0);
    } else if (written !== this.status) this.#advance(written);
  }

  #advance(status: number): void {
    if (status === 11) {
      const [low, high] = this.wanted;
      const known = (low & ~OFFERED[0]) === 0 && (high & ~OFFERED[1]) === 0 && !this.beyond;
      if (!known || (high & 1) === 0) {
        this.events.push("refused features 0");
        return;
      }
      this.events.push(`features ${high.toString(16)}:${low.toString(16)}`);
    }
    this.status = status;
    this.events.push(`${status === 15 ? "driver ok" : "status"} ${this.statusByte}`);
  }

  #refuse(fault: string, queue: number): void {
    if (this.needsReset) return;
    this.needsReset = true;
    this.events.push(`refused ${fault} ${queue}`);
  }
}

type Op =
  | { readonly op: "write"; readonly at: number; readonly width: 1 | 2 | 4; readonly value: number }
  | { readonly op: "read"; readonly at: number; readonly width: 1 | 2 | 4 }
  | { readonly op: "resetDone" | "breaks" };

const write = (at: number, width: 1 | 2 | 4, value: number): Op => ({
  op: "write",
  at,
  width,
  value,
});
/** A driver as it should be, up to DRIVER_OK. */
const HONEST: readonly Op[] = [
  write(REG.status, 1, 1),
  write(REG.status, 1, 3),
  write(REG.driver_feature, 4, OFFERED[0]),
  write(REG.driver_feature_select, 4, 1),
  write(REG.driver_feature, 4, OFFERED[1]),
  write(REG.status, 1, 11),
  write(REG.queue_size, 2, 64),
  write(REG.queue_desc, 4, 0x1000),
  write(REG.queue_driver, 4, 0x2000),
  write(REG.queue_device, 4, 0x3000),
  write(REG.queue_enable, 2, 1),
  write(REG.status, 1, 15),
];

/** Writes that drivers make, in the main; some that they do not. */
function operations(): fc.Arbitrary<Op> {
  const oneOf = (at: number, width: 1 | 2 | 4, ...values: number[]) =>
    fc.constantFrom(...values).map((value) => write(at, width, value));
  const width = fc.constantFrom<1 | 2 | 4>(1, 2, 4);
  return fc.oneof(
    { weight: 8, arbitrary: oneOf(REG.status, 1, 1, 3, 11, 11, 15, 15, 0, 7, 0x83, 0x4b) },
    { weight: 3, arbitrary: oneOf(REG.driver_feature_select, 4, 0, 1, 1, 2) },
    { weight: 3, arbitrary: oneOf(REG.driver_feature, 4, 0, 1, 1, 0x3000_0020, 0x20, 2) },
    { weight: 4, arbitrary: oneOf(REG.queue_select, 2, 0, 0, 2, 1, 3, 0xffff) },
    { weight: 2, arbitrary: oneOf(REG.queue_size, 2, 16, 64, 256, 0, 3, 512) },
    { weight: 4, arbitrary: oneOf(REG.queue_enable, 2, 1, 1, 1, 0, 2) },
    {
      weight: 3,
      arbitrary: fc.tuple(fc.nat(2), fc.constantFrom(0, 0x1000, 0x2000, 0x8, 0x3, MEMORY - 64))
        .map(([part, value]): Op => ({
          op: "write",
          at: REG.queue_desc + 8 * part,
          width: 4,
          value,
        })),
    },
    { weight: 2, arbitrary: fc.nat(2).chain((queue) => oneOf(REG.notify + 4 * queue, 2, queue)) },
    {
      weight: 3,
      arbitrary: fc.tuple(fc.nat(0x9f), width, fc.nat(0xffff_ffff)).map(
        ([at, width, value]): Op => ({ op: "write", at, width, value }),
      ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.nat(0x110), width).map(([at, width]): Op => ({
        op: "read",
        at,
        width,
      })),
    },
    { weight: 4, arbitrary: fc.constant<Op>({ op: "resetDone" }) },
    { weight: 1, arbitrary: fc.constant<Op>({ op: "breaks" }) },
  );
}

/** `ran` is called after each case with the number of its operations and the furthest status that it reached. */
export function registersFollowModel(ran: (operations: number, status: number) => void = () => {}) {
  const begins = fc.nat(HONEST.length);
  const goesOn = fc.array(operations(), { maxLength: 60, size: "max" });
  return fc.property(begins, goesOn, (honest, wild) => {
    const list = [...HONEST.slice(0, honest), ...wild];
    const model = new RegisterModel();
    const { fn, events } = make();
    let furthest = 0;
    for (const op of list) {
      if (op.op === "write") {
        fn.write(op.at, op.width, op.value);
        model.write(op.at, op.width, op.value);
      } else if (op.op === "read") {
        fn.read(op.at, op.width);
      } else if (op.op === "resetDone") {
        fn.resetDone();
        model.resetDone();
      } else {
        fn.needsReset();
        model.breaks();
      }
      assertEquals(readable(fn), model.readable);
      assertEquals(fn.live, model.live);
      furthest = Math.max(furthest, model.status);
    }
    assertEquals(events, model.events);
    ran(list.length, furthest);
  });
}

function make() {
  const events: string[] = [];
  const config = new Uint8Array(CONFIG.length);
  const fn = new VirtioPciFunction(
    {
      name: "model",
      type: 2,
      queueSizes: QUEUES,
      features: BigInt(OFFERED[1]) << 32n | BigInt(OFFERED[0]),
      configLength: config.length,
      deviceConfig: () => config,
      configGeneration: () => 0,
    },
    {
      featuresAccepted: (features) =>
        events.push(
          `features ${(features >> 32n).toString(16)}:${(features & 0xffff_ffffn).toString(16)}`,
        ),
      queueEnabled: (queue, { size, descriptorTable, availableRing, usedRing }) =>
        events.push(`queue ${queue}: ${size} ${[descriptorTable, availableRing, usedRing]}`),
      statusChanged: (status) => events.push(`status ${status}`),
      driverOk: (status) => events.push(`driver ok ${status}`),
      resetRequested: () => events.push("reset?"),
      notified: (queue) => events.push(`notified ${queue}`),
      configWritten: (offset, width, value) => events.push(`config ${offset} ${width} ${value}`),
      refused: (error, queue) => events.push(`refused ${error.fault} ${queue}`),
    },
    MEMORY,
  );
  fn.connect({ set() {} });
  return { fn, events };
}

function readable(fn: VirtioPciFunction): Record<string, number> {
  return {
    device_feature_select: fn.read(REG.device_feature_select, 4),
    device_feature: fn.read(REG.device_feature, 4),
    driver_feature_select: fn.read(REG.driver_feature_select, 4),
    driver_feature: fn.read(REG.driver_feature, 4),
    num_queues: fn.read(REG.num_queues, 2),
    status: fn.read(REG.status, 1),
    queue_select: fn.read(REG.queue_select, 2),
    queue_size: fn.read(REG.queue_size, 2),
    queue_enable: fn.read(REG.queue_enable, 2),
    queue_desc: fn.read(REG.queue_desc, 4),
    queue_device: fn.read(REG.queue_device, 4),
  };
}
