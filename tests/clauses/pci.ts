/** Clauses of virtio 1.3 §4.1, virtio over PCI. */
import { type Exemption, LEGACY, type Section } from "./types.ts";

const PCI = "Virtio Transport Options / Virtio Over PCI Bus";
const LAYOUT = `${PCI} / PCI Device Layout`;
const SETUP = `${PCI} / PCI-specific Initialization And Device Operation`;

const NO_MSIX: Exemption = { not: "no function has an MSI-X capability" };
const GOLDEN = "virtioPciConfig() is the type 0 header and capabilities of a modern block device";
const FUNCTIONS =
  "every function of a card has virtio's IDs, its capabilities, and queues of a power of two";
const CAPABILITIES =
  "the capabilities of a function are whole, aligned and apart, for any number of queues";
const RESET = "reset keeps the status until resetDone(), and drops all writes meanwhile";
const NO_VECTORS = "vectors of an MSI-X that is not there: nothing comes of it";

export const PCI_TRANSPORT: readonly Section[] = [
  {
    section: "4.1.1",
    label: PCI,
    musts: 1,
    clauses: [
      {
        must: 1,
        says: "a function keeps to the PCI specification",
        shown: {
          "card/machine_diag_parts": [
            "PciBus sizes a BAR by all ones, and keeps read-only registers",
            "PciBus decodes a BAR only where it is and while the command register says so",
            "PciBus shows INTx in the status register, and holds it back while the command register says so",
          ],
          "card/v86_machine": [
            "plug() shows the function in PCI configuration space, with port and line",
          ],
          "card/v86_interrupts": [
            "set() shows in the PCI status register, and reaches no CPU that disabled INTx",
          ],
          "card/driver_virtio_pci_window": [
            "the v86 machine keeps what is read-only in configuration space, and moves a BAR in pieces too",
          ],
        },
      },
    ],
  },
  {
    section: "4.1.2.1",
    label: `${PCI} / PCI Device Discovery`,
    musts: 2,
    clauses: [
      { must: 1, says: "vendor ID 1af4", shown: { "clauses/pci": [FUNCTIONS] } },
      {
        must: 2,
        says: "device ID 1040 plus the device type",
        shown: { "clauses/pci": [FUNCTIONS] },
      },
    ],
  },
  {
    section: "4.1.2.3",
    label: `sec:${PCI} / PCI Device Discovery / Legacy Interfaces: A Note on PCI Device Discovery`,
    musts: 3,
    not: LEGACY,
  },
  {
    section: "4.1.3.2",
    label: LAYOUT,
    musts: 1,
    clauses: [
      {
        must: 1,
        says: "the halves of a 64-bit field of device configuration can be read apart",
        shown: {
          "clauses/config": [
            "device configuration is read whole, in any width, before a driver has said a word",
          ],
        },
      },
    ],
  },
  {
    section: "4.1.4.2",
    label: `${PCI} / Virtio Structure PCI Capabilities`,
    musts: 1,
    clauses: [
      {
        must: 1,
        says: "cap_len counts what follows the common fields too",
        shown: { "card/driver_virtio_pci": [GOLDEN], "clauses/pci": [CAPABILITIES] },
      },
    ],
  },
  {
    section: "4.1.4.3.1",
    label: `${LAYOUT} / Common configuration structure layout`,
    musts: 16,
    clauses: [
      {
        must: 1,
        says: "its offset is a multiple of 4",
        shown: { "clauses/pci": [CAPABILITIES, FUNCTIONS] },
      },
      {
        must: 2,
        says: "there is a common configuration capability",
        shown: { "clauses/pci": [FUNCTIONS] },
      },
      {
        must: 3,
        says: "device_feature shows the 32 bits that device_feature_select asks for",
        shown: {
          "clauses/features": [
            "a driver reads what the host's device offers in words 0 and 1 of device_feature, and 0 in all others",
          ],
        },
      },
      {
        must: 4,
        says: "driver_feature shows the valid bits that the driver wrote, by its select",
        shown: {
          "card/driver_virtio_pci": [
            "driver_feature shows what the driver wrote, each half by itself, until the reset",
          ],
        },
      },
      {
        must: 5,
        says: "config_generation is another once a changed value was read",
        shown: {
          "card/driver_virtio_pci_live": [
            "config_generation is another after 256 changes too, and the same without one",
          ],
          "card/driver_card_driver": [
            "a new configuration generation raises a configuration interrupt, once",
            "what the driver writes changes the generation, if it changes what is read",
            "writeback begins as 0 for a driver that may set it and cannot flush, until the reset",
          ],
        },
      },
      {
        must: 6,
        says: "writing 0 to device_status resets, and it reads 0 once that is done",
        shown: {
          "card/driver_virtio_pci_live": [RESET],
          "card/driver_card_driver": [
            "a reset is asked of the host, and done when the host says so",
          ],
        },
      },
      {
        must: 7,
        says: "queue_enable is 0 after a reset",
        shown: { "card/driver_virtio_pci_live": [RESET] },
      },
      {
        must: 8,
        says: "queue_reset is 0 after a reset",
        without: "VIRTIO_F_RING_RESET",
      },
      {
        must: 9,
        says: "queue_reset is 0 once the queue is enabled",
        without: "VIRTIO_F_RING_RESET",
      },
      {
        must: 10,
        says: "writing 1 to queue_reset resets the queue",
        without: "VIRTIO_F_RING_RESET",
      },
      {
        must: 11,
        says: "queue_reset is 1 while that goes on",
        without: "VIRTIO_F_RING_RESET",
      },
      {
        must: 12,
        says: "queue_reset and queue_enable are 0 when it is done",
        without: "VIRTIO_F_RING_RESET",
      },
      {
        must: 13,
        says: "queue_size is 0 for a queue that there is not",
        shown: {
          "card/driver_virtio_pci": [
            "a queue that does not exist reads as size 0 and takes nothing",
          ],
          "fault/hostile_guest_registers": [
            "registers of queues that do not exist: nothing comes of it",
          ],
        },
      },
      {
        must: 14,
        says: "queue_size is 0 or a power of 2",
        shown: {
          "clauses/pci": [FUNCTIONS],
          "host/driver_slot": ["AttachedDevice refuses queues that cannot be, and a second card"],
          "card/driver_card_driver": [
            "CardDriver throws BootRefused for a slot that contradicts itself",
          ],
        },
      },
      {
        must: 15,
        says: "admin_queue_index is behind all other queues",
        without: "VIRTIO_F_ADMIN_VQ",
      },
      {
        must: 16,
        says: "admin_queue_num keeps indices in 16 bits",
        without: "VIRTIO_F_ADMIN_VQ",
      },
    ],
  },
  {
    section: "4.1.4.4.1",
    label: `${LAYOUT} / Notification capability`,
    musts: 11,
    clauses: [
      {
        must: 1,
        says: "there is a notification capability",
        shown: { "clauses/pci": [CAPABILITIES, FUNCTIONS] },
      },
      { must: 2, says: "its offset is even", shown: { "clauses/pci": [CAPABILITIES] } },
      {
        must: 3,
        says: "the multiplier is 0, or a power of 2 that is even",
        shown: {
          "clauses/pci": [CAPABILITIES],
          "card/driver_virtio_pci": [
            "barMap() gives each queue its own notify address and keeps 256 bytes while it can",
          ],
        },
      },
      { must: 4, says: "its length is at least 2", shown: { "clauses/pci": [CAPABILITIES] } },
      {
        must: 5,
        says: "its length has room for every queue",
        shown: { "clauses/pci": [CAPABILITIES] },
      },
      {
        must: 6,
        says: "its length covers the offset of each queue and 2 bytes",
        shown: { "clauses/pci": [CAPABILITIES] },
      },
      {
        must: 7,
        says: "the multiplier is 0, or a power of 2 and a multiple of 4",
        without: "VIRTIO_F_NOTIFICATION_DATA",
      },
      {
        must: 8,
        says: "its offset is a multiple of 4",
        without: "VIRTIO_F_NOTIFICATION_DATA",
      },
      { must: 9, says: "its length is at least 4", without: "VIRTIO_F_NOTIFICATION_DATA" },
      {
        must: 10,
        says: "its length has room for every queue",
        without: "VIRTIO_F_NOTIFICATION_DATA",
      },
      {
        must: 11,
        says: "its length covers the offset of each queue and 4 bytes",
        without: "VIRTIO_F_NOTIFICATION_DATA",
      },
    ],
  },
  {
    section: "4.1.4.5.1",
    label: `${LAYOUT} / ISR status capability`,
    musts: 5,
    clauses: [
      {
        must: 1,
        says: "there is an ISR capability",
        shown: { "clauses/pci": [CAPABILITIES, FUNCTIONS] },
      },
      {
        must: 2,
        says: "the configuration bit is set before its notification is sent",
        shown: {
          "card/driver_virtio_pci": [
            "ISR status says why before INTx rises, for configInterrupt()",
            "ISR status says why before INTx rises, for needsReset()",
          ],
        },
      },
      {
        must: 3,
        says: "without MSI-X the queue bit is set before its notification is sent",
        shown: {
          "card/driver_virtio_pci": ["ISR status says why before INTx rises, for queueInterrupt()"],
        },
      },
      {
        must: 4,
        says: "without MSI-X the PCI status register shows whether a bit is set",
        shown: {
          "card/driver_virtio_pci_live": ["ISR names its causes once, and reading it lowers INTx"],
          "card/machine_diag_parts": [
            "PciBus shows INTx in the status register, and holds it back while the command register says so",
          ],
          "card/v86_interrupts": [
            "set() shows in the PCI status register, and reaches no CPU that disabled INTx",
          ],
        },
      },
      {
        must: 5,
        says: "reading it sets it to 0",
        shown: {
          "card/driver_virtio_pci_live": ["ISR names its causes once, and reading it lowers INTx"],
        },
      },
    ],
  },
  {
    section: "4.1.4.6",
    label: `sec:${LAYOUT} / Device-specific configuration`,
    musts: 1,
    clauses: [
      {
        must: 1,
        says: "a device with configuration has a capability for it",
        shown: { "clauses/pci": [FUNCTIONS] },
      },
    ],
  },
  {
    section: "4.1.4.6.1",
    label: `${LAYOUT} / Device-specific configuration`,
    musts: 1,
    clauses: [
      {
        must: 1,
        says: "its offset is a multiple of 4",
        shown: { "clauses/pci": [CAPABILITIES, FUNCTIONS] },
      },
    ],
  },
  {
    section: "4.1.4.7.1",
    label: `${LAYOUT} / Shared memory capability`,
    musts: 2,
    not: "no device has shared memory regions",
  },
  {
    section: "4.1.4.8",
    label: `sec:${LAYOUT} / Vendor data capability`,
    musts: 1,
    not: "no function has a vendor data capability",
  },
  {
    section: "4.1.4.8.1",
    label: `${LAYOUT} / Vendor data capability`,
    musts: 3,
    not: "no function has a vendor data capability",
  },
  {
    section: "4.1.4.9.1",
    label: `${LAYOUT} / PCI configuration access capability`,
    musts: 3,
    clauses: [
      {
        must: 1,
        says: "there is a configuration access capability",
        shown: { "clauses/pci": [FUNCTIONS], "card/driver_virtio_pci": [GOLDEN] },
      },
      {
        must: 2,
        says: "a write of pci_cfg_data is one to the BAR, where and as long as the capability says",
        shown: {
          "card/driver_virtio_pci_window": [
            "a write to pci_cfg_data writes the BAR where the capability says, in its length",
            "a program on the v86 machine drives a function through its window alone",
          ],
        },
      },
      {
        must: 3,
        says: "a read of pci_cfg_data is one of the BAR, likewise",
        shown: {
          "card/driver_virtio_pci_window": [
            "a read of pci_cfg_data is a read of the BAR where the capability says, in its length",
            "a program on the v86 machine drives a function through its window alone",
          ],
        },
      },
    ],
  },
  {
    section: "4.1.4.10",
    label: `sec:${LAYOUT} / Legacy Interfaces: A Note on PCI Device Layout`,
    musts: 4,
    not: LEGACY,
  },
  {
    section: "4.1.5.1.1.1",
    label:
      `sec:${SETUP} / Device Initialization / Virtio Device Configuration Layout Detection / Legacy Interface: A Note on Device Layout Detection`,
    musts: 1,
    not: LEGACY,
  },
  {
    section: "4.1.5.1.2.1",
    label: `${SETUP} / Device Initialization / MSI-X Vector Configuration`,
    musts: 6,
    clauses: [
      { must: 1, says: "the number of vectors is in the MSI-X Table Size", ...NO_MSIX },
      { must: 2, says: "any event can be mapped to any vector", ...NO_MSIX },
      { must: 3, says: "any event can be unmapped", ...NO_MSIX },
      {
        must: 4,
        says: "an event without a vector reads as NO_VECTOR",
        shown: {
          "clauses/pci": [FUNCTIONS],
          "fault/hostile_guest_registers": [NO_VECTORS],
        },
      },
      {
        must: 5,
        says: "no event has a vector after a reset",
        shown: { "clauses/pci": [FUNCTIONS] },
      },
      {
        must: 6,
        says: "a mapping that fails reads as NO_VECTOR",
        shown: { "fault/hostile_guest_registers": [NO_VECTORS] },
      },
    ],
  },
  {
    section: "4.1.5.3.1",
    label: `${SETUP} / Used Buffer Notifications`,
    musts: 1,
    ...NO_MSIX,
  },
  {
    section: "4.1.5.4.1",
    label: `${SETUP} / Notification of Device Configuration Changes`,
    musts: 1,
    ...NO_MSIX,
  },
];
