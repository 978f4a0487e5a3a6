/**
 * What host and card agree on: every byte that crosses the link or lies in shared memory.
 *
 * - **Room:** ground floor. Pure TypeScript but for `link/tcp.ts` (`Deno`) and `link/tls_transport.ts` (`node:tls`).
 * - **Imports:** nothing outside `protocol/`. **Imported by:** `host/`, `card/`, `tests/`.
 * - **Spec:** virtio 1.3 §2 and §5.1 to §5.3; PCI Express Base, transaction layer (terms).
 * - **Needs a wire version bump:** any `layout()` or number in here; the golden tests are the alarm.
 *
 * @module
 */
export {
  BackendError,
  DriverError,
  LinkError,
  ProtocolError,
  UnsupportedRequest,
} from "./errors.ts";
export { EventLimit } from "./event_limit.ts";
export { type Layout, layout, type Values, viewOf } from "./layout.ts";
export { address64, le16, le32, le64, type Scalar, u8 } from "./scalar.ts";
export { pause } from "./link/abortable.ts";
export {
  fingerprintOf,
  type Identity,
  identityText,
  makeIdentity,
  parseIdentity,
  shortIdentity,
} from "./link/certificate.ts";
export { dialLink } from "./link/dial.ts";
export { GOODBYE, type GoodbyeReason } from "./link/goodbye.ts";
export { type Greeting, VERSION } from "./link/greeting.ts";
export { DEFAULT_LIMITS, type LinkLimits } from "./link/limits.ts";
export { Link } from "./link/link.ts";
export { isLoopback } from "./link/loopback.ts";
export { memoryTransportPair } from "./link/memory_transport.ts";
export type {
  Acceptance,
  LinkCounters,
  LinkOptions,
  LinkServerOptions,
  LinkStatus,
} from "./link/options.ts";
export { pairAsCard, PairingOffer } from "./link/pairing.ts";
export { LinkServer } from "./link/server.ts";
export type { LinkState } from "./link/states.ts";
export { dialTcp, listenTcp, type TcpListener } from "./link/tcp.ts";
export {
  dialTls,
  listenTls,
  type Refusal,
  type TlsListener,
  type TlsListenOptions,
  type TlsOptions,
} from "./link/tls.ts";
export { secureClient, type TlsServerOptions, type TlsTransport } from "./link/tls_transport.ts";
export {
  type Completer,
  MESSAGE,
  type MessageCode,
  type Requester,
  type Span,
  type Transport,
  type Width,
} from "./link/types.ts";
export { type Bar, barAddress, barFlags, barKind, barMask, sizedBar } from "./pcie/bar.ts";
export {
  capabilities,
  CAPABILITY,
  type Capability,
  CAPABILITY_HEADER,
  PCI_EXPRESS_CAPABILITY,
  POWER_MANAGEMENT_CAPABILITY,
  POWER_NO_SOFT_RESET,
  POWER_STATE,
  POWER_STATE_MASK,
} from "./pcie/capabilities.ts";
export {
  MSI_CAPABILITY,
  MSI_CONTROL,
  MSI_CONTROL_WRITABLE,
  MSI_VECTORS,
  msiGranted,
  MSIX_CAPABILITY,
  MSIX_CONTROL,
  MSIX_CONTROL_WRITABLE,
  MSIX_ENTRY,
  MSIX_ENTRY_MASKED,
} from "./pcie/msi.ts";
export {
  BAR_COUNT,
  barRegister,
  PCI_COMMAND,
  PCI_CONFIG_EXTENDED_SIZE,
  PCI_CONFIG_SIZE,
  PCI_HEADER_SIZE,
  PCI_STATUS,
  TYPE0_CLEARABLE,
  TYPE0_HEADER,
  TYPE0_WRITABLE,
} from "./pcie/pci_config.ts";
export { MAX_SPANS, SpanList } from "./link/span_list.ts";
export {
  ADOPT_SIGNAL,
  BOOT_SIGNAL,
  DOORBELL,
  DOWNLOAD_INFO,
  IO_BAR,
  PLATFORM,
  postCode,
  postText,
  REGISTER_BLOCK_SIZE,
  REGISTERS,
} from "./pcie/registers.ts";
export { decodeDiagImage, DIAG_MAGIC, encodeDiagImage } from "./diag_image.ts";
export {
  decodeExecRequest,
  encodeExecRequest,
  encodeExecTrailer,
  EXEC_BREAK,
  EXEC_FIRST,
  EXEC_PORT,
  EXEC_REQUEST_MAX,
  execNonce,
  type ExecRequest,
} from "./exec.ts";
export * as page from "./device_page.ts";
export { CARD_STATE, type CardState, SHUTDOWN_REASON, type ShutdownReason } from "./device_page.ts";
export * as virtioBlock from "./virtio/block.ts";
export * as virtioConsole from "./virtio/console.ts";
export { ChainWalker, type ChainWalkerOptions } from "./virtio/chain.ts";
export { DEVICE_STATUS, nextStatus, type StatusPhase } from "./virtio/device_status.ts";
export {
  type BufferSegment,
  DeviceError,
  DriverQueue,
  type DriverQueueOptions,
  type UsedChain,
} from "./virtio/driver_queue.ts";
export { DRIVER_FAULT, type DriverFault } from "./virtio/faults.ts";
export {
  checkAccepted,
  FEATURE,
  featureSet,
  hasFeature,
  TRANSPORT_FEATURES,
  withKnownTransport,
} from "./virtio/features.ts";
export {
  CHAIN_RECORD,
  CHAIN_SEGMENT,
  MIRROR_INDEX_OFFSET,
  MIRROR_RING_OFFSET,
  mirrorSize,
} from "./virtio/mirror.ts";
export {
  ChainRecord,
  encodeRecordHeader,
  minStagingLength,
  type RecordHeader,
  recordHeaderSize,
  recordSize,
  type Segments,
} from "./virtio/record.ts";
export {
  AVAIL_F_NO_INTERRUPT,
  availableEntry,
  availableRingSize,
  availEventOffset,
  checkSplitRing,
  DESC_F,
  descriptorTableSize,
  type SplitRing,
  USED_F_NO_NOTIFY,
  usedEntry,
  usedEventOffset,
  usedRingSize,
  VIRTQ_DESC,
  VIRTQ_RING,
  VIRTQ_USED_ELEM,
} from "./virtio/ring.ts";
export { advance, crossed, distance, past } from "./virtio/ring_index.ts";
export * as virtioNet from "./virtio/net.ts";
export * as virtioPci from "./virtio/pci.ts";
