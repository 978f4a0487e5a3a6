/**
 * knightsbridge: an emulated PCIe coprocessor card over TCP, and the host that lends it disk, network and console.
 *
 * The two ends are {@linkcode runHost} on the machine that has the devices and {@linkcode runCard} on the machine that
 * is the card. In one program, with the diagnostic OS and a disk in memory:
 *
 * ```ts
 * import {
 *   BlockDevice,
 *   diagImages,
 *   dialTcp,
 *   Host,
 *   listenTcp,
 *   machineFactory,
 *   MemoryBackend,
 *   runCard,
 * } from "./mod.ts";
 *
 * await using host = new Host({
 *   listener: listenTcp("127.0.0.1", 0),
 *   cards: [{
 *     name: "mic0",
 *     devices: [new BlockDevice({ backend: new MemoryBackend(new Uint8Array(64 * 1024 * 1024)) })],
 *     images: diagImages({ cmdline: "", name: "mic0", address: undefined }),
 *   }],
 *   onEvent: (event) => console.log(event.type),
 * });
 * const stop = new AbortController();
 * const card = runCard({
 *   dial: (signal) => dialTcp("127.0.0.1", host.address.port, signal),
 *   machine: await machineFactory("diag"),
 *   memoryBytes: 128 * 1024 * 1024,
 *   identity: crypto.getRandomValues(new Uint8Array(16)),
 *   signal: stop.signal,
 * });
 * await host.cards.get("mic0")!.waitFor(["online"]);
 * stop.abort();
 * await card;
 * ```
 *
 * @module
 */
export {
  BackendError,
  dialTcp,
  dialTls,
  DriverError,
  type GoodbyeReason,
  type Identity,
  LinkError,
  type LinkStatus,
  listenTcp,
  listenTls,
  makeIdentity,
  ProtocolError,
  type Refusal,
  shortIdentity,
  type ShutdownReason,
  type TcpListener,
  type TlsListener,
  type TlsListenOptions,
  type TlsOptions,
  type Transport,
} from "./protocol/mod.ts";
export {
  type BlockBackend,
  BlockDevice,
  type BlockDeviceOptions,
  BootError,
  type BootImages,
  type Card,
  type CardHappening,
  type CardInfo,
  type CardLifeEvent,
  type CardOptions as HostCardOptions,
  type CardState,
  type ConsoleBackend,
  ConsoleDevice,
  type ConsoleDeviceOptions,
  type DescriptorChain,
  type DeviceChoices,
  type DeviceHooks,
  type DeviceQueue,
  type DeviceSession,
  diagImages,
  ExecChannel,
  type ExecOptions,
  FileBackend,
  Host,
  type HostDriver,
  type HostEvent,
  type HostOptions,
  type ImageSource,
  linuxImages,
  MemoryBackend,
  type NetBackend,
  NetDevice,
  type OpenDevices,
  openDevices,
  type PortOptions,
  runHost,
  type VirtioDevice,
} from "./host/mod.ts";
export {
  type CardEvent,
  type CardOptions,
  type Machine,
  type MachineFactory,
  machineFactory,
  type MachineName,
  MACHINES,
  runCard,
} from "./card/mod.ts";
