/**
 * The JSON of the control API, as schemas: what OpenAPI describes, what requests are checked against, and what tests
 * check every answer against. The types they stand for are those of `card_control.ts`, and the compiler compares them.
 *
 * - **Invariant:** every schema that a route names is in {@linkcode SCHEMAS}, by the name that the document gives it.
 *
 * @module
 */
import { z } from "zod";
import type {
  BootRecord,
  BootStep,
  CardStats,
  CardStatus,
  ControlEvent,
  DeviceStatus,
  Why,
} from "../card_control.ts";
import type { Check } from "../checks.ts";
import type { CardInfo } from "../../driver/card_info.ts";

const count = z.int().min(0);
const time = z.number().describe("Milliseconds since 1970");
const REASON = z.enum(["nop", "crashed", "halted", "poweroff", "restart"]);

/** Where a card can be, `absent` included. */
export const CARD_STATE = z.enum([
  "absent",
  "ready",
  "booting",
  "online",
  "shutting_down",
  "resetting",
  "reset_failed",
  "suspending",
  "suspended",
]);

const device: z.ZodType<DeviceStatus> = z.strictObject({
  slot: count,
  name: z.string().describe("disk0, net0, console0: what commands take"),
  kind: z.enum(["block", "net", "console"]),
  backend: z.string().describe("What serves it: file /srv/root.img, tap mic0"),
  status: count.max(255).describe("Virtio device status; 0 while no driver has the device"),
  features: z.array(z.string()).describe("Names of the features that the driver accepted"),
  size: count.exactOptional().describe("Bytes, of a disk"),
  carrier: z.boolean().exactOptional().describe("Of a network"),
  needsReset: z.boolean(),
  waiting: z.string().exactOptional().describe("What its requests wait for"),
});

const status: z.ZodType<CardStatus> = z.strictObject({
  name: z.string(),
  state: CARD_STATE,
  reason: REASON.describe("Why the card OS stopped last; nop while it has not"),
  link: z.enum(["none", "up", "down"]),
  since: time,
  peer: z.string().exactOptional().describe("Address of the card process"),
  identity: z.string().regex(/^[0-9a-f]{32}$/).exactOptional(),
  os: z.string().exactOptional(),
  platform: z.string().exactOptional(),
  memoryMib: count.exactOptional(),
  boot: count.describe("Number of the boot that runs or ran last; 0 before the first"),
  bootCount: count,
  crashCount: count,
  uptime: z.number().min(0).exactOptional().describe("Seconds since online"),
  postCode: z.string().exactOptional(),
  restart: z.enum(["never", "on-failure", "always"]),
  nextBoot: time.exactOptional().describe("When the policy will boot it"),
  suspendedOs: z.boolean().describe("Was online when it was suspended: resume boots it"),
  devices: z.array(device),
});

const step: z.ZodType<BootStep> = z.strictObject({
  step: z.string(),
  time,
  detail: z.string().exactOptional(),
});

const postCode = z.strictObject({ code: z.string(), time });

const boot: z.ZodType<BootRecord> = z.strictObject({
  number: count,
  os: z.string(),
  begun: time,
  online: time.exactOptional(),
  ended: time.exactOptional(),
  reason: REASON.exactOptional(),
  detail: z.string().exactOptional().describe("What the card said of its end"),
  asked: z.boolean().exactOptional(),
  steps: z.array(step),
  postCodes: z.array(postCode),
  kernelLog: z.string().exactOptional(),
});

const why: z.ZodType<Why> = z.strictObject({ sentence: z.string(), advice: z.string() });

const counters = z.record(z.string(), z.number());
const stats: z.ZodType<CardStats> = z.strictObject({
  link: counters,
  devices: z.record(z.string(), counters).describe("By device name"),
  faults: counters.describe("Of the drivers on the card, by code"),
});

const info: z.ZodType<CardInfo> = z.strictObject({
  vendorId: count,
  deviceId: count,
  subsystemVendorId: count,
  subsystemId: count,
  revision: count,
  stepping: z.string(),
  classCode: count,
  bars: z.array(z.strictObject({
    index: count,
    kind: z.enum(["memory32", "memory64", "io"]),
    prefetchable: z.boolean(),
    size: count,
    address: count,
  })),
  capabilities: z.array(z.strictObject({ id: count, at: count, name: z.string() })),
  vectors: count.describe("MSI vectors enabled"),
  platform: z.string(),
  memoryMib: count,
});

const check: z.ZodType<Check> = z.strictObject({
  number: z.int().min(1),
  title: z.string(),
  outcome: z.enum(["pass", "fail", "skip"]),
  detail: z.string(),
  advice: z.string().exactOptional().describe("What to do, of one that failed"),
});

const host = z.strictObject({
  version: z.string(),
  pid: count,
  started: time,
  uptime: z.number().min(0).describe("Seconds"),
  listening: z.string(),
  control: z.string().describe("Where this API is"),
  cards: z.array(z.string()).describe("In the order of the configuration"),
});

const event: z.ZodType<ControlEvent> = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("card"), card: z.string(), status }),
  z.strictObject({ type: z.literal("step"), card: z.string(), boot: count, step }),
  z.strictObject({ type: z.literal("log"), card: z.string().exactOptional(), text: z.string() }),
]) as z.ZodType<ControlEvent>;

/** RFC 9457: `detail` is one sentence for people. */
const problem = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
});

/** One line of the answer to `exec`; bytes are base64. The last line has `status` or `error`. */
const execLine = z.union([
  z.strictObject({ stdout: z.string() }),
  z.strictObject({ stderr: z.string() }),
  z.strictObject({ status: z.int() }),
  z.strictObject({ error: z.string() }),
]);

/** By the name that the OpenAPI document gives each. */
export const SCHEMAS = {
  Host: host,
  CardStatus: status,
  CardList: z.array(status),
  CardInfo: info,
  CheckList: z.array(check),
  Why: why,
  ConfigSpace: z.strictObject({
    config: z.string().regex(/^([0-9a-f]{2}){256}$/).describe("256 bytes, hexadecimal"),
    text: z.string().describe("The same, decoded for people"),
  }),
  BootList: z.array(boot),
  BootRecord: boot,
  PostCodeList: z.array(postCode),
  CardStats: stats,
  ExecRequest: z.strictObject({ command: z.string().min(1) }),
  ExecLine: execLine,
  AddDisk: z.strictObject({ disk: z.string().min(1).describe("As `host --disk` has it") }),
  ChangeDisk: z.union([
    z.strictObject({ size: z.int().min(512).describe("Bytes") }),
    z.strictObject({ swap: z.string().min(1).describe("As `host --disk` has it") }),
  ]),
  ChangeNet: z.strictObject({ carrier: z.enum(["up", "down"]) }),
  ControlEvent: event,
  Problem: problem,
} as const satisfies Record<string, z.ZodType>;

export type SchemaName = keyof typeof SCHEMAS;
/** The value that schema `N` stands for. */
export type Shape<N extends SchemaName> = z.output<(typeof SCHEMAS)[N]>;
