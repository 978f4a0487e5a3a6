/**
 * Console device: features, configuration space, control messages (virtio 1.3 §5.3).
 *
 * Queues: 0 and 1 are port 0's receiveq and transmitq, 2 and 3 the control ones, then two for each further port;
 * the control queues and ports above 0 exist only with MULTIPORT.
 *
 * RESIZE is columns, then rows. Linux before 6.15 read them the other way round; the repair went to its stable series
 * too (6.1.160, and so Debian 12 since 6.1.162-1).
 *
 * @module
 */
import { layout } from "../layout.ts";
import { le16, le32 } from "../scalar.ts";

/** Device type number (§5). */
export const TYPE = 3;

/** Ports whose queues fit the 64 of a device slot. */
export const MAX_PORTS = 31;

export const QUEUE = { controlReceive: 2, controlTransmit: 3 } as const;
/** Queue that carries input to port `port` of the driver. */
export const receiveQueue = (port: number): number => port === 0 ? 0 : 2 * port + 2;
/** Queue that carries output from port `port` of the driver. */
export const transmitQueue = (port: number): number => receiveQueue(port) + 1;

/** Feature bits (§5.3.3). */
export const FEATURE = { SIZE: 1n << 0n, MULTIPORT: 1n << 1n, EMERG_WRITE: 1n << 2n } as const;

/** Device configuration space (§5.3.4). */
export const CONFIG = layout({ cols: le16, rows: le16, max_nr_ports: le32, emerg_wr: le32 });

/** Control message (§5.3.6.2); PORT_NAME is followed by the name, RESIZE by {@linkcode RESIZE}. */
export const CONTROL = layout({ id: le32, event: le16, value: le16 });

export const EVENT = {
  DEVICE_READY: 0,
  PORT_ADD: 1,
  PORT_REMOVE: 2,
  PORT_READY: 3,
  CONSOLE_PORT: 4,
  RESIZE: 5,
  PORT_OPEN: 6,
  PORT_NAME: 7,
} as const;

export const RESIZE = layout({ cols: le16, rows: le16 });
