// A card OS that writes what it should not into the registers of a virtio-pci function (virtio 1.3 §2.1, §3.1.1,
// §4.1.4.3), through a whole card and host.
import { assertEquals } from "@std/assert";
import type { SplitRing } from "../../protocol/mod.ts";
import { type GuestDevice, REG } from "../support/guest_device.ts";
import { breaksDevice, doesNothing, type GuestAct } from "../support/hostile_guest.ts";

const MEMORY = 8 << 20;

/** Writes one queue register of queue 0 before the queue is enabled. */
const size = (what: string, value: number): GuestAct => ({
  what,
  from: "negotiated",
  act(guest) {
    guest.write(REG.queue_select, 2, 0);
    guest.write(REG.queue_size, 2, value);
  },
});

/** Enables queue 0 with its rings where none may be. */
const rings = (what: string, place: (at: number) => Partial<SplitRing>): GuestAct => ({
  what,
  from: "negotiated",
  act: (guest) => void place32(guest, { ...guest.place(0), ...place(guest.arena) }),
});

/** As `setUp`, for rings that are outside memory. */
function place32(guest: GuestDevice, ring: SplitRing): void {
  guest.write(REG.queue_select, 2, 0);
  guest.write(REG.queue_size, 2, ring.size);
  const parts = [ring.descriptorTable, ring.availableRing, ring.usedRing];
  parts.forEach((address, i) => {
    guest.write(REG.queue_desc + 8 * i, 4, address % 2 ** 32);
    guest.write(REG.queue_desc + 8 * i + 4, 4, Math.floor(address / 2 ** 32));
  });
  guest.write(REG.queue_enable, 2, 1);
}

breaksDevice("queue-setup", [
  size("a queue of no entries", 0),
  size("a queue size that is no power of two", 24),
  size("a queue of twice the largest size", 256),
  size("a queue size of 65535", 0xffff),
  rings("a misaligned descriptor table", (at) => ({ descriptorTable: at + 8 })),
  rings("a misaligned available ring", (at) => ({ availableRing: at + 1 })),
  rings("a misaligned used ring", (at) => ({ usedRing: at + 2 })),
  rings("a descriptor table that leaves memory", () => ({ descriptorTable: MEMORY - 128 })),
  rings("an available ring that leaves memory", () => ({ availableRing: MEMORY - 16 })),
  rings("a used ring that leaves memory", () => ({ usedRing: MEMORY - 128 })),
  rings("a used ring that lies in no memory at all", () => ({ usedRing: 0xfebf_0000 })),
  rings("a ring above 2^32, whose low half would do", (at) => ({ usedRing: 2 ** 32 + at })),
  rings("a ring above 2^52", (at) => ({ descriptorTable: 2 ** 52 + at })),
  rings("a ring that wraps round 2^64", () => ({ availableRing: 2 ** 64 - 2 ** 12 })),
]);

/** A register of queue 0 while it is enabled and live. */
const latched = (what: string, at: number, width: 2 | 4, value: number): GuestAct => ({
  what,
  act(guest) {
    guest.write(REG.queue_select, 2, 0);
    guest.write(at, width, value);
  },
});

breaksDevice("queue-setup", [
  latched("a larger size for a live queue", REG.queue_size, 2, 128),
  latched("a smaller size for a live queue", REG.queue_size, 2, 8),
  latched("another descriptor table for a live queue", REG.queue_desc, 4, 0x1000),
  latched("another used ring for a live queue", REG.queue_device + 4, 4, 1),
  latched("a live queue that is disabled", REG.queue_enable, 2, 0),
  {
    what: "another size for a queue that is enabled, before DRIVER_OK",
    from: "negotiated",
    act(guest) {
      guest.setUp(0);
      guest.write(REG.queue_size, 2, 32);
    },
  },
  ...(["block", "network", "console"] as const).map((on): GuestAct => ({
    what: `DRIVER_OK of a ${on} device without queues`,
    on,
    from: "negotiated",
    act: (guest) => guest.writeStatus(15),
  })),
  {
    what: "DRIVER_OK of a network device without a transmit queue",
    on: "network",
    from: "negotiated",
    act(guest) {
      guest.setUp(0);
      guest.writeStatus(15);
    },
  },
  {
    what: "DRIVER_OK of a multiport console without control queues",
    on: "console",
    from: "negotiated",
    act(guest) {
      for (const queue of [0, 1]) guest.setUp(queue);
      guest.writeStatus(15);
    },
  },
]);

/** A feature negotiation that FEATURES_OK does not survive. */
const features = (what: string, accept: (offered: bigint) => bigint): GuestAct => ({
  what,
  from: "reset",
  act(guest) {
    guest.negotiate({ features: accept(guest.offered) });
    assertEquals(guest.status, 3, "FEATURES_OK is not kept");
  },
});

breaksDevice("features", [
  features("a device feature that was not offered", (offered) => offered | 1n << 5n),
  features("a transport feature that was not offered", (offered) => offered | 1n << 34n),
  features("all features but VERSION_1", (offered) => offered & ~(1n << 32n)),
  features("no features at all", () => 0n),
  {
    what: "a feature above bit 63",
    from: "reset",
    act(guest) {
      const { offered } = guest;
      guest.writeStatus(1);
      guest.writeStatus(3);
      [offered & 0xffff_ffffn, offered >> 32n, 1n].forEach((word, select) => {
        guest.write(REG.driver_feature_select, 4, select);
        guest.write(REG.driver_feature, 4, Number(word));
      });
      guest.writeStatus(11);
      assertEquals(guest.status, 3);
    },
  },
]);

/** `status` written after the ones in `before`. */
const status = (what: string, before: readonly number[], status: number): GuestAct => ({
  what,
  from: "reset",
  act(guest) {
    for (const value of before) guest.writeStatus(value);
    guest.writeStatus(status);
  },
});

breaksDevice("status", [
  status("DRIVER_OK with FEATURES_OK skipped", [1, 3], 7),
  status("DRIVER taken back", [1, 3], 1),
  status("a status bit that does not exist", [1], 0x11),
  {
    what: "FEATURES_OK taken back",
    from: "negotiated",
    act: (guest) => guest.writeStatus(3),
  },
  { what: "DRIVER_OK taken back", act: (guest) => guest.writeStatus(11) },
  { what: "DRIVER_OK without FEATURES_OK, live", act: (guest) => guest.writeStatus(7) },
  { what: "a live device told ACKNOWLEDGE again", act: (guest) => guest.writeStatus(1) },
]);

/** Writes or reads of a live device that have no effect at all. */
const idle = (what: string, act: (guest: GuestDevice) => void, on?: "network"): GuestAct => ({
  what,
  ...(on && { on }),
  act,
});

doesNothing([
  idle("a notification of a queue that was not enabled", (guest) => guest.notify(2), "network"),
  idle("notifications of queues that do not exist", (guest) => {
    for (const queue of [1, 2, 3, 15]) guest.notify(queue);
  }),
  idle("notifications of odd width and place", (guest) => {
    for (const width of [1, 2, 4] as const) guest.write(REG.notify + 1, width, 0);
    for (const width of [1, 4] as const) guest.write(REG.notify, width, 0xffff_ffff);
  }),
  idle("a million notifications with nothing to notify of", (guest) => {
    for (let i = 0; i < 1e6; i++) guest.notify(0);
  }),
  idle("registers of queues that do not exist", (guest) => {
    for (const queue of [1, 64, 0xffff]) {
      guest.write(REG.queue_select, 2, queue);
      for (let at = REG.queue_size; at < REG.isr; at += 2) guest.write(at, 2, 0xffff);
      assertEquals(guest.read(REG.queue_size, 2), 0);
    }
  }),
  idle("a queue that is set up after DRIVER_OK", (guest) => {
    guest.setUp(2);
    assertEquals(guest.read(REG.queue_enable, 2), 0);
  }, "network"),
  idle("the queue's registers written as they are", (guest) => {
    guest.write(REG.queue_select, 2, 0);
    for (let at = REG.queue_desc; at < REG.isr; at += 4) guest.write(at, 4, guest.read(at, 4));
    for (const at of [REG.queue_size, REG.queue_enable]) guest.write(at, 2, guest.read(at, 2));
  }),
  idle("vectors of an MSI-X that is not there", (guest) => {
    for (const at of [REG.config_msix_vector, REG.queue_msix_vector]) {
      for (const vector of [0, 31, 32, 0xfffe]) guest.write(at, 2, vector);
      assertEquals(guest.read(at, 2), 0xffff);
    }
  }),
  idle("writes to what can only be read", (guest) => {
    const fields = [REG.device_feature, REG.num_queues, REG.config_generation];
    const before = fields.map((at) => guest.read(at, 1));
    for (const at of [...fields, REG.queue_notify_off, REG.isr]) {
      for (const width of [1, 2, 4] as const) guest.write(at, width, 0xffff_ffff);
    }
    assertEquals(fields.map((at) => guest.read(at, 1)), before);
  }),
  idle("features accepted after FEATURES_OK", (guest) => {
    for (const select of [0, 1, 2, 0xffff_ffff]) {
      guest.write(REG.driver_feature_select, 4, select);
      guest.write(REG.driver_feature, 4, 0xffff_ffff);
    }
  }),
  idle(
    "accesses of every width at every place but the status, the queue's own and the interrupt",
    (guest) => {
      for (let at = 0; at < 0x100; at++) {
        for (const width of [1, 2, 4] as const) guest.read(at, width);
        const touches = at >= REG.status && at < REG.isr;
        if (touches) continue;
        for (const width of [1, 2, 4] as const) guest.write(at, width, 0xffff_ffff);
      }
    },
  ),
  idle("device configuration past its end and across it", (guest) => {
    for (const at of [0x80 + 57, 0x80 + 59, 0x80 + 60, 0xff]) {
      for (const width of [1, 2, 4] as const) guest.write(at, width, 0xffff_ffff);
      assertEquals(guest.read(at, 4) & 0xff00_0000, 0);
    }
  }),
  idle("a MAC address written into the configuration", (guest) => {
    const mac = guest.read(0x80, 4);
    guest.write(0x80, 4, 0x1234_5678);
    assertEquals(guest.read(0x80, 4), mac);
  }, "network"),
  idle("DRIVER_OK again and again", (guest) => {
    for (let i = 0; i < 100; i++) guest.writeStatus(15);
  }),
  {
    what: "a first status that skips ACKNOWLEDGE",
    from: "reset",
    act(guest) {
      for (const value of [2, 4, 8, 11, 15, 0x10]) guest.writeStatus(value);
      assertEquals(guest.status, 0);
    },
  },
  {
    what: "queues set up before FEATURES_OK",
    from: "reset",
    act(guest) {
      guest.setUp(0);
      assertEquals(guest.read(REG.queue_enable, 2), 0);
    },
  },
  {
    what: "everything written while a reset is under way",
    from: "negotiated",
    act(guest) {
      guest.writeStatus(0);
      for (let value = 0; value < 256; value++) guest.writeStatus(value);
      guest.setUp(0);
      assertEquals(guest.status, 11);
      return guest.reset();
    },
  },
]);
