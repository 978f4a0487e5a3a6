/**
 * What the control plane sees of a host and its cards: the wall between those that run cards (`host/cards/`) and those
 * that show and command them (`host/control/api/`, metrics). Everything here is plain data or a promise; nothing knows
 * HTTP, sockets or files.
 *
 * @module
 */
import type { HubEnd } from "../backends/hub/hub.ts";
import type { ShutdownReason } from "../../protocol/mod.ts";
import type { CardState } from "../cards/card.ts";
import type { RestartPolicy } from "../cards/restart.ts";
import type { ConsoleHub } from "../console/hub.ts";
import type { CardInfo } from "../driver/card_info.ts";
import type { RequestTotals } from "../driver/virtio_device.ts";
import type { ExecOptions } from "./exec.ts";

/** One device as the operator sees it. */
export interface DeviceStatus {
  readonly slot: number;
  /** `disk0`, `net0`, `console0`: what commands take. */
  readonly name: string;
  readonly kind: "block" | "net" | "console";
  /** What serves it: `file /srv/root.img`, `tap mic0`. */
  readonly backend: string;
  /** Virtio device status byte; 0 while no driver has it. */
  readonly status: number;
  /** Names of the features the driver accepted. */
  readonly features: readonly string[];
  /** Bytes, of a disk. */
  readonly size?: number;
  /** Of a network. */
  readonly carrier?: boolean;
  readonly needsReset: boolean;
  /** What its requests wait for, if its backend cannot serve them now: `waits for its server, gone for 12 s`. */
  readonly waiting?: string;
}

export interface CardStatus {
  readonly name: string;
  readonly state: CardState;
  /** Why the card OS stopped last. */
  readonly reason: ShutdownReason;
  readonly link: "none" | "up" | "down";
  /** ms since 1970 of the last change of state. */
  readonly since: number;
  /** Address of the card process. */
  readonly peer?: string;
  /** 32 hexadecimal digits. */
  readonly identity?: string;
  readonly os?: string;
  readonly platform?: string;
  readonly memoryMib?: number;
  /** Number of the boot that runs, or ran last; counts from 1 since the card was first configured. */
  readonly boot: number;
  readonly bootCount: number;
  readonly crashCount: number;
  /** Seconds since `online`. */
  readonly uptime?: number;
  readonly postCode?: string;
  readonly restart: RestartPolicy;
  /** ms since 1970 of the boot that the policy will start. */
  readonly nextBoot?: number;
  /** Was online when the host went to sleep: `resume` boots it. */
  readonly suspendedOs: boolean;
  readonly devices: readonly DeviceStatus[];
}

/** One step of a boot. */
export interface BootStep {
  /** `connected`, `probed`, `reset`, `kernel`, `initrd`, `bootstrap`, `os`, `driver disk0`, `exec`, `online`, ... */
  readonly step: string;
  /** ms since 1970. */
  readonly time: number;
  readonly detail?: string;
}

export interface BootRecord {
  readonly number: number;
  readonly os: string;
  readonly begun: number;
  readonly online?: number;
  readonly ended?: number;
  readonly reason?: ShutdownReason;
  /** What the card said of its end. */
  readonly detail?: string;
  readonly asked?: boolean;
  readonly steps: readonly BootStep[];
  readonly postCodes: readonly { readonly code: string; readonly time: number }[];
  /** Last lines of the kernel's log, kept when the card OS crashed. */
  readonly kernelLog?: string;
}

/** What a card waits for or died of, and what to do. */
export interface Why {
  readonly sentence: string;
  readonly advice: string;
}

/** One counter or gauge set of a card: what metrics and `stats` are made of. */
export interface CardStats {
  readonly link: Readonly<Record<string, number>>;
  /** By device name. */
  readonly devices: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Faults of the drivers on the card, by code; of this card process. */
  readonly faults: Readonly<Record<string, number>>;
}

/** Requests of the devices that have such: by device name, then by kind. */
export type CardRequests = Readonly<
  Record<string, Readonly<Record<string, RequestTotals | undefined>>>
>;

export interface CardControl {
  readonly name: string;
  /** Where viewers of its console are seated; absent where it has none. */
  readonly console?: ConsoleHub | undefined;
  status(): CardStatus;
  /** Undefined until a card process was probed. */
  info(): CardInfo | undefined;
  why(): Why;
  /** Newest last. */
  boots(): readonly BootRecord[];
  stats(): CardStats;
  requests(): CardRequests;
  /** The 256 bytes of configuration space as they are now. @throws {TypeError} a sentence, without a link to the card */
  configSpace(signal?: AbortSignal): Promise<Uint8Array>;

  /** Each resolves when it is under way; `waitFor` tells of its end. @throws {TypeError} a sentence, if the state does not allow it */
  boot(): Promise<void>;
  reset(): Promise<void>;
  shutdown(): Promise<void>;
  suspend(): Promise<void>;
  resume(): Promise<void>;
  waitFor(states: readonly CardState[], signal: AbortSignal): Promise<CardStatus>;
  /** Runs `command` once the card OS takes commands. @throws {TypeError} a sentence, if it is not online */
  exec(command: string, options: ExecOptions): Promise<number>;

  /**
   * Lends one more disk, `choice` as on the command line; resolves to its name.
   * @throws {RangeError | BackendError} if it cannot be opened; {TypeError} a sentence, if the card has no place for it
   */
  addDisk(choice: string): Promise<string>;
  /** @throws {RangeError | TypeError | BackendError} a sentence, if there is none such, or the card OS keeps it */
  removeDisk(name: string): Promise<void>;
  /** `size` in bytes; whole sectors. @throws {RangeError | BackendError} if that cannot be: nothing changes then */
  resizeDisk(name: string, size: number): Promise<void>;
  /** The same disk on another backend, `choice` as on the command line. @throws as {@linkcode resizeDisk} */
  swapDisk(name: string, choice: string): Promise<void>;
  /** Plugs in or pulls the cable of the card's network. @throws {RangeError} if it has none */
  setCarrier(up: boolean): void;
}

export type ControlEvent =
  | { readonly type: "card"; readonly card: string; readonly status: CardStatus }
  | { readonly type: "step"; readonly card: string; readonly boot: number; readonly step: BootStep }
  | { readonly type: "log"; readonly card?: string; readonly text: string };

/** What passed one hub, by end: frames. */
export interface HubTraffic {
  readonly name: string;
  readonly ends: Iterable<HubEnd>;
}

export interface HostControl {
  readonly version: string;
  readonly started: number;
  readonly listening: string;
  /** In the order of the configuration. */
  readonly cards: ReadonlyMap<string, CardControl>;
  /** Peers that were turned away since the host started, by reason. */
  readonly refusals?: Readonly<Record<string, number>>;
  /** The switches between its cards. */
  readonly hubs?: Iterable<HubTraffic> | undefined;
  /** Calls `listener` with each event from now on, until the function returned is called. */
  subscribe(listener: (event: ControlEvent) => void): () => void;
}
