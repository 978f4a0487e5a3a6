/** Clauses of virtio 1.3 §5.3, the console device. */
import { LEGACY, type Section } from "./types.ts";

const CONSOLE = "Device Types / Console Device";
const twice = (when: string): string =>
  `ConsoleDevice adds no port twice for a driver that was served before and ${when}`;

export const CONSOLE_CLAUSES: readonly Section[] = [
  {
    section: "5.3.4.1",
    label:
      `sec:${CONSOLE} / Device configuration layout / Legacy Interface: Device configuration layout`,
    musts: 1,
    not: LEGACY,
  },
  {
    section: "5.3.5.1",
    label: `${CONSOLE} / Device Initialization`,
    musts: 1,
    clauses: [
      {
        must: 1,
        says: "emerg_wr can be written before a driver has set the device up",
        shown: {
          "clauses/config": [
            "an emergency character is written by a console that nobody has touched",
          ],
          "host/device_console": [
            "ConsoleDevice writes emergency characters, before DRIVER_OK and in turn with output that hangs",
          ],
        },
      },
    ],
  },
  {
    section: "5.3.6.2.1",
    label: `${CONSOLE} / Device Operation / Multiport Device Operation`,
    musts: 2,
    clauses: [
      {
        must: 1,
        says: "no port is added that exists, or is not below max_nr_ports",
        shown: {
          "host/device_console_control": [
            "ConsoleDevice says what it has to as receive buffers come, in order, and says it once",
            "ConsoleDevice goes through the handshake of Linux's driver with a console and a named port",
            twice("knows all ports"),
            twice("knows two ports"),
          ],
        },
      },
      {
        must: 2,
        says: "no port is removed that was not added",
        not: "ports stay as long as their device: none is removed",
      },
    ],
  },
  {
    section: "5.3.6.3",
    label: `sec:${CONSOLE} / Device Operation / Legacy Interface: Device Operation`,
    musts: 1,
    not: LEGACY,
  },
];
