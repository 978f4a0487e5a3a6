/** Clauses of virtio 1.3 §2.7, split virtqueues, and §2.8, which no device offers. */
import { LEGACY, type Section } from "./types.ts";

const BASIC = "Basic Facilities of a Virtio Device";
const QUEUES = `${BASIC} / Virtqueues`;
const PACKED = `${BASIC} / Packed Virtqueues`;

/** Whole chains of every device, cut in many ways, with all other memory compared. */
const FRAMING = [
  "a block request is the same in whatever descriptors, and writes only where it may",
  "a frame is the same in whatever descriptors, both ways",
  "console output and control messages are the same in whatever descriptors",
];

export const SPLIT_RING: readonly Section[] = [
  {
    section: "2.7.2",
    label: `sec:${QUEUES} / Legacy Interfaces: A Note on Virtqueue Layout`,
    musts: 1,
    not: LEGACY,
  },
  {
    section: "2.7.3",
    label: `sec:${QUEUES} / Legacy Interfaces: A Note on Virtqueue Endianness`,
    musts: 1,
    not: LEGACY,
  },
  {
    section: "2.7.4.1",
    label: `${BASIC} / Message Framing`,
    musts: 1,
    clauses: [
      {
        must: 1,
        says: "how a buffer is cut into descriptors means nothing",
        shown: { "clauses/framing": FRAMING },
      },
    ],
  },
  {
    section: "2.7.5.1",
    label: `${QUEUES} / The Virtqueue Descriptor Table`,
    musts: 2,
    clauses: [
      {
        must: 1,
        says: "a device-readable buffer is not written",
        shown: {
          "clauses/framing": FRAMING,
          "host/device_queue": [
            "what a device writes stays where the record was checked, whatever the card writes later",
          ],
        },
      },
      {
        must: 2,
        says: "no descriptor is written, in the table or an indirect one",
        shown: { "clauses/framing": FRAMING },
      },
    ],
  },
  {
    section: "2.7.5.3.2",
    label: `${QUEUES} / The Virtqueue Descriptor Table / Indirect Descriptors`,
    musts: 2,
    clauses: [
      {
        must: 1,
        says: "WRITE on the descriptor of an indirect table is ignored",
        shown: {
          "protocol/chain": ["walk() follows an indirect table, whose WRITE flag it ignores"],
        },
      },
      {
        must: 2,
        says: "direct descriptors may come before the one of an indirect table",
        shown: {
          "protocol/chain": ["walk() takes descriptors before an indirect table (§2.7.5.3.2)"],
        },
      },
    ],
  },
  {
    section: "2.7.7.2",
    label: `${QUEUES} / Used Buffer Notification Suppression`,
    musts: 4,
    clauses: [
      {
        must: 1,
        says: "without EVENT_IDX used_event means nothing",
        shown: { "card/mirror": ["used() looks at the flags alone, EVENT_IDX false"] },
      },
      {
        must: 2,
        says: "without EVENT_IDX, flags of 0 bring a notification for what was used",
        shown: {
          "card/mirror": [
            "used() says whether the driver wants an interrupt: flags without EVENT_IDX",
          ],
          "protocol/mirror": [
            "a chain comes back with its answer: a direct chain, without EVENT_IDX",
          ],
        },
      },
      {
        must: 3,
        says: "with EVENT_IDX the flag means nothing",
        shown: { "card/mirror": ["used() looks at used_event alone, EVENT_IDX true"] },
      },
      {
        must: 4,
        says: "with EVENT_IDX the element with index used_event brings a notification",
        shown: {
          "card/mirror": [
            "used() says whether the driver wants an interrupt: used_event with EVENT_IDX",
            "used() still wants the interrupt for what kick() took before it",
          ],
          "protocol/ring_index": [
            "crossed() is true when the awaited entry was just written",
            "crossed() is true when it was passed while wrapping",
          ],
        },
      },
    ],
  },
  {
    section: "2.7.8.2",
    label: `${QUEUES} / The Virtqueue Used Ring`,
    musts: 2,
    clauses: [
      {
        must: 1,
        says: "an element is whole before the used index counts it",
        shown: {
          "host/device_queue": [
            "publish() posts elements, used index and doorbell in one write, byte for byte",
            "more used elements than one posted write carries: the index comes with the last",
          ],
        },
      },
      {
        must: 2,
        says: "len bytes from the first writable one on are written before the used index counts",
        shown: {
          "clauses/framing": FRAMING,
          "host/device_block_refusals": [
            "BlockDevice refuses a read past the end and changes nothing",
          ],
          "host/device_block": [
            "BlockDevice answers GET_ID into a shorter and into a longer buffer",
          ],
        },
      },
    ],
  },
  {
    section: "2.7.10.2",
    label: `${QUEUES} / Available Buffer Notification Suppression`,
    musts: 3,
    clauses: [
      {
        must: 1,
        says: "without EVENT_IDX the used ring's flags are 0 or 1",
        shown: {
          "card/mirror": [
            "a mirror clears the used ring's flags that a driver left set, EVENT_IDX false",
            "a queue without EVENT_IDX that stalls says 1 in its flags, and 0 when it goes on",
          ],
        },
      },
      {
        must: 2,
        says: "with EVENT_IDX they are 0",
        shown: {
          "card/mirror": [
            "a mirror clears the used ring's flags that a driver left set, EVENT_IDX true",
          ],
        },
      },
      {
        must: 3,
        says: "a notification for nothing does no harm",
        shown: {
          "fault/hostile_guest_registers": [
            "a million notifications with nothing to notify of: nothing comes of it",
            "a notification of a queue that was not enabled: nothing comes of it",
          ],
        },
      },
    ],
  },
  {
    section: "2.8.12",
    label: PACKED,
    musts: 2,
    without: "VIRTIO_F_RING_PACKED",
  },
  {
    section: "2.8.15",
    label: `${PACKED} / The Virtqueue Descriptor Table`,
    musts: 3,
    without: "VIRTIO_F_RING_PACKED",
  },
  {
    section: "2.8.18",
    label: `${PACKED} / Scatter-Gather Support`,
    musts: 1,
    without: "VIRTIO_F_RING_PACKED",
  },
];
