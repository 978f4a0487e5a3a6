/** Clauses of virtio 1.3 chapters 2, 3 and 6, but for the virtqueues' layouts. */
import { LEGACY, type Section } from "./types.ts";

const BASIC = "Basic Facilities of a Virtio Device";

export const BASICS: readonly Section[] = [
  {
    section: "2.1.2",
    label: `${BASIC} / Device Status Field`,
    musts: 2,
    clauses: [
      {
        must: 1,
        says: "no buffer is taken and none is notified of before DRIVER_OK",
        shown: {
          "card/driver_card_driver": [
            "a chain made available before DRIVER_OK is mirrored at DRIVER_OK",
          ],
          "card/driver_virtio_pci_live": [
            "no interrupt comes before DRIVER_OK",
            "notify is dropped, when the device is not live or the queue not enabled",
          ],
        },
      },
      {
        must: 2,
        says: "a live device that needs a reset says so by a configuration change",
        shown: {
          "card/driver_virtio_pci_live": [
            "needsReset() shows DEVICE_NEEDS_RESET with a configuration interrupt until reset",
          ],
          "fault/hostile_guest_chains": [
            "a loop of two: chain-loop, DEVICE_NEEDS_RESET, and works after reset",
          ],
        },
      },
    ],
  },
  {
    section: "2.2.2",
    label: `${BASIC} / Feature Bits`,
    musts: 3,
    clauses: [
      {
        must: 1,
        says: "no feature is offered without those that it requires",
        shown: {
          "clauses/features": [
            "a disk offers these features, and none without those that it needs",
            "a read-only disk offers these features, and none without those that it needs",
            "a network offers these features, and none without those that it needs",
            "a network with checksums offers these features, and none without those that it needs",
            "a network with segmentation offers these features, and none without those that it needs",
            "a network with segmentation and no checksums offers these features, and none without those that it needs",
            "a console offers these features, and none without those that it needs",
          ],
        },
      },
      {
        must: 2,
        says: "FEATURES_OK is not kept for a set that is not accepted",
        shown: {
          "clauses/features": [
            "a driver may take any set of the features offered that is whole in itself",
          ],
          "card/driver_virtio_pci": [
            "FEATURES_OK is not kept, when the driver accepts a feature that was not offered",
            "FEATURES_OK is not kept, when the driver accepts everything but VERSION_1",
            "FEATURES_OK is not kept, when the driver accepts a feature above 63",
          ],
        },
      },
      {
        must: 3,
        says: "nothing is offered that is reserved, unknown or not implemented",
        shown: {
          "clauses/features": [
            "a driver reads what the host's device offers in words 0 and 1 of device_feature, and 0 in all others",
          ],
          "card/driver_card_driver": [
            "a transport feature that the card does not know is not offered on",
          ],
        },
      },
    ],
  },
  {
    section: "2.2.3",
    label: `sec:${BASIC} / Feature Bits / Legacy Interface: A Note on Feature Bits`,
    musts: 2,
    not: LEGACY,
  },
  {
    section: "2.4.1",
    label: `${BASIC} / Device Reset`,
    musts: 2,
    clauses: [
      {
        must: 1,
        says: "device status is 0 after a reset",
        shown: {
          "card/driver_virtio_pci_live": [
            "reset keeps the status until resetDone(), and drops all writes meanwhile",
          ],
          "card/driver_card_driver": [
            "a reset is asked of the host, and done when the host says so",
          ],
        },
      },
      {
        must: 2,
        says:
          "once status reads 0 no queue is touched and nothing is notified until a driver comes",
        shown: {
          "host/driver_slot": ["Slot answers a reset when the device has stopped, and not before"],
          "host/device_queue": ["after stop() nothing is posted, popped or thrown"],
          "card/mirror": ["stop() ends everything, a call that the link still owes too"],
          "host/device_block": [
            "BlockDevice.stop() waits for the backend and touches nothing afterwards",
          ],
        },
      },
    ],
  },
  {
    section: "2.5.2",
    label: `${BASIC} / Device Configuration Space`,
    musts: 1,
    clauses: [
      {
        must: 1,
        says: "every field can be read before FEATURES_OK, those of optional features too",
        shown: {
          "clauses/config": [
            "device configuration is read whole, in any width, before a driver has said a word",
          ],
        },
      },
    ],
  },
  {
    section: "2.6.1.1.1",
    label: `${BASIC} / Virtqueues / Virtqueue Reset / Virtqueue Reset`,
    musts: 2,
    without: "VIRTIO_F_RING_RESET",
  },
  {
    section: "2.6.1.2.1",
    label: `${BASIC} / Virtqueues / Virtqueue Reset / Virtqueue Re-enable`,
    musts: 1,
    without: "VIRTIO_F_RING_RESET",
  },
  {
    section: "2.10.2",
    label: `${BASIC} / Shared Memory Regions`,
    musts: 1,
    not: "no device has shared memory regions",
  },
  {
    section: "2.12.1.1.6",
    label: `${BASIC} / Device groups / Group administration commands / Legacy Interface`,
    musts: 14,
    without: "VIRTIO_F_ADMIN_VQ",
  },
  {
    section: "2.12.1.2",
    label: `${BASIC} / Device groups / Group administration commands`,
    musts: 19,
    without: "VIRTIO_F_ADMIN_VQ",
  },
  {
    section: "2.13.1",
    label: `${BASIC} / Administration virtqueues`,
    musts: 7,
    without: "VIRTIO_F_ADMIN_VQ",
  },
  {
    section: "3.1.2",
    label:
      "sec:General Initialization And Device Operation / Device Initialization / Legacy Interface: Device Initialization",
    musts: 2,
    not: LEGACY,
  },
  {
    section: "6.2",
    label: "Reserved Feature Bits",
    musts: 3,
    clauses: [
      {
        must: 1,
        says: "VERSION_1 is offered",
        shown: {
          "clauses/features": [
            "a driver reads what the host's device offers in words 0 and 1 of device_feature, and 0 in all others",
          ],
        },
      },
      {
        must: 2,
        says: "with IN_ORDER buffers are used in the order in which they came",
        without: "VIRTIO_F_IN_ORDER",
      },
      {
        must: 3,
        says: "SR_IOV is offered by no function without that capability",
        shown: {
          "protocol/features": ["TRANSPORT_FEATURES are bits 28, 29 and 32"],
          "clauses/features": [
            "a driver reads what the host's device offers in words 0 and 1 of device_feature, and 0 in all others",
          ],
        },
      },
    ],
  },
  {
    section: "6.3",
    label: "sec:Reserved Feature Bits / Legacy Interface: Reserved Feature Bits",
    musts: 2,
    not: LEGACY,
  },
];
