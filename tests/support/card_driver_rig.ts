/**
 * A card driver on a fake machine, with a recorder for a link. Only for tests.
 *
 * @module
 */
import { CardDriver } from "../../card/driver/card_driver.ts";
import { HostPage } from "../../card/driver/host_page.ts";
import { page, type SplitRing, viewOf } from "../../protocol/mod.ts";
import { FakeMachine } from "./fake_machine.ts";
import { RecordingRequester } from "./recording_requester.ts";
import { RingDriver } from "./ring_driver.ts";

const MIB = 1 << 20;
export const HOST_PAGE = 0x80_0000_0000;
export const STAGING = 0x80_1000_0000;
export const MIRROR = 0x80_2000_0000;
export const SLOT = 3;
export const OFFERED = 1n << 32n | 1n << 28n | 1n << 29n | 0x20n;
/** Offsets in a function's BAR (virtio 1.3 §4.1.4.3), typed by hand. */
export const BAR = {
  feature_select: 0x08,
  feature: 0x0c,
  status: 0x14,
  select: 0x16,
  size: 0x18,
} as const;
const ENABLE = 0x1c;
const RINGS = 0x20;
export const ISR = 0x38;
export const NOTIFY = 0x40;
export const CONFIG = 0x80;
export const ALL_OK = 15;

/** A card driver with one device of two queues in slot 3; the test is host and card OS at once. */
export class Rig {
  readonly link = new RecordingRequester();
  readonly machine = new FakeMachine(MIB);
  readonly cardPage = new Uint8Array(page.PAGE_SIZE);
  readonly hostPage: HostPage;
  readonly interrupts: number[] = [];
  lives = 0;
  driver!: CardDriver;

  constructor() {
    this.hostPage = new HostPage({
      requester: this.link,
      interrupt: (vector) => this.interrupts.push(vector),
    });
    this.hostPage.moveTo(HOST_PAGE);
    this.writeSlot({});
    this.cardPage.set([1, 2, 3, 4], page.slotOffset(SLOT) + page.DEVICE_CONFIG_OFFSET);
    for (const queue of [0, 1]) {
      page.CARD_QUEUE.write(viewOf(this.cardPage), {
        size_max: 16,
        msi_event: 0,
        staging_length: 0x1000,
        mirror_address: MIRROR + 0x1000 * queue,
        staging_address: STAGING + 0x1000 * queue,
        push_limit: 64,
        reserved: 0,
      }, page.slotOffset(SLOT) + page.QUEUES_OFFSET + queue * page.CARD_QUEUE.size);
    }
  }

  writeSlot(values: Partial<ReturnType<typeof page.CARD_SLOT.read>>): void {
    const view = viewOf(this.cardPage);
    const at = page.slotOffset(SLOT);
    page.CARD_SLOT.write(view, {
      ...page.CARD_SLOT.read(view, at),
      type: 2,
      queue_count: 2,
      config_length: 4,
      features_offered: OFFERED,
      ...values,
    }, at);
  }

  start(): this {
    this.driver = new CardDriver({
      machine: this.machine,
      requester: this.link,
      cardPage: this.cardPage,
      hostPage: this.hostPage,
      sendMsi: (vector) => this.interrupts.push(vector),
      live: () => this.lives++,
    });
    return this;
  }

  get bar() {
    return this.machine.functions[0]!;
  }

  /** §3.1.1 up to DRIVER_OK, with queue 0 set up. */
  driverOk(): RingDriver {
    this.negotiate();
    const ring = this.setUp();
    this.bar.write(BAR.status, 1, ALL_OK);
    return ring;
  }

  negotiate(features = 0): void {
    this.bar.write(BAR.status, 1, 1);
    this.bar.write(BAR.status, 1, 3);
    this.bar.write(BAR.feature_select, 4, 0);
    this.bar.write(BAR.feature, 4, features);
    this.bar.write(BAR.feature_select, 4, 1);
    this.bar.write(BAR.feature, 4, 1);
    this.bar.write(BAR.status, 1, 11);
  }

  setUp(): RingDriver {
    const ring: SplitRing = {
      size: 8,
      descriptorTable: 0x1000,
      availableRing: 0x2000,
      usedRing: 0x3000,
    };
    this.bar.write(BAR.select, 2, 0);
    this.bar.write(BAR.size, 2, ring.size);
    this.bar.write(RINGS, 4, ring.descriptorTable);
    this.bar.write(RINGS + 8, 4, ring.availableRing);
    this.bar.write(RINGS + 16, 4, ring.usedRing);
    this.bar.write(ENABLE, 2, 1);
    return new RingDriver(this.machine.memory.bytes(), ring);
  }

  get hostSlot() {
    const bytes = new Uint8Array(page.PAGE_SIZE);
    for (const p of this.link.posted) {
      const at = "write" in p ? p.write - HOST_PAGE : -1;
      if ("write" in p && at >= 0 && at < bytes.length) bytes.set(p.bytes, at);
    }
    const view = viewOf(bytes);
    const at = page.slotOffset(SLOT);
    return {
      ...page.HOST_SLOT.read(view, at),
      queues: [0, 1].map((queue) =>
        page.HOST_QUEUE.read(view, at + page.QUEUES_OFFSET + queue * page.HOST_QUEUE.size)
      ),
    };
  }

  /** Bus addresses of posted writes that are not the host page's. */
  get mirrored(): number[] {
    return this.link.posted.flatMap((p) => "write" in p && p.write >= STAGING ? [p.write] : []);
  }

  ring(value: number): void {
    this.driver.doorbell(SLOT, value);
  }

  /** What the host does when a device has used `head`: element, index, doorbell. */
  use(ring: RingDriver, head: number): void {
    const { usedRing, size } = ring.ring;
    const index = ring.view.getUint16(usedRing + 2, true);
    ring.view.setUint32(usedRing + 4 + 8 * (index % size), head, true);
    ring.view.setUint16(usedRing + 2, index + 1, true);
    this.ring(0);
  }
}
