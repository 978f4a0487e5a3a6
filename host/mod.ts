/**
 * The host: what lends a card its disks, networks and consoles, and starts and stops it.
 *
 * - **Room:** the host's machine. **Imports:** `protocol/`. **Imported by:** `mod.ts`, `tests/`.
 * - **Inside:** `driver/` knows PCI Express and nothing of files, `devices/` are virtio devices, `backends/` are disks,
 *   networks and terminals of this machine, `control/` is what an operator touches.
 *
 * @module
 */
export type { Card, CardOptions, CardState } from "./cards/card.ts";
export { ControlledCard, type ControlledCardOptions } from "./cards/controlled_card.ts";
export { ControlledHost, type ControlledHostOptions } from "./cards/controlled_host.ts";
export type { CardHappening } from "./cards/events.ts";
export { RESTART_POLICIES, type RestartPolicy } from "./cards/restart.ts";
export { Host, type HostEvent, type HostOptions, runHost } from "./host.ts";
export type { HostDriver } from "./driver/host_driver.ts";
export type { BootImages, ImageSource } from "./driver/boot_image.ts";
export { BootError } from "./driver/boot_error.ts";
export type { CardEvent as CardLifeEvent } from "./driver/events.ts";
export type { CardInfo } from "./driver/card_info.ts";
export type {
  DescriptorChain,
  DeviceQueue,
  DeviceSession,
  VirtioDevice,
} from "./driver/virtio_device.ts";
export { BlockDevice, type BlockDeviceOptions } from "./devices/block.ts";
export { ConsoleDevice, type ConsoleDeviceOptions, type PortOptions } from "./devices/console.ts";
export { NetDevice } from "./devices/net.ts";
export { FileBackend } from "./backends/file.ts";
export { MemoryBackend } from "./backends/memory.ts";
export type { BlockBackend, ConsoleBackend, NetBackend } from "./backends/types.ts";
export {
  type DeviceChoices,
  type DeviceHooks,
  type OpenDevices,
  openDevices,
} from "./control/open_devices.ts";
export { ExecChannel, type ExecOptions } from "./control/exec.ts";
export { diagImages, linuxImages } from "./control/images.ts";
