/**
 * A virtio device that does nothing but tell what it was asked.
 *
 * @module
 */
import type { DeviceSession, DeviceSlot, VirtioDevice } from "../../host/driver/virtio_device.ts";

export class FakeDevice implements VirtioDevice {
  readonly name: string;
  readonly type: number;
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  readonly pushLimits: readonly number[];
  /** What was called, in order. */
  readonly calls: string[] = [];
  bytes: Uint8Array = Uint8Array.of(1, 2, 3, 4);
  slot: DeviceSlot | undefined;
  session: DeviceSession | undefined;
  onNotified: (queue: number) => void = () => {};
  onStart: () => void = () => {};
  onStop: () => void = () => {};
  /** What `stop` waits for. */
  stopped: Promise<void> = Promise.resolve();

  constructor(options: { name?: string; type?: number; queueSizes?: readonly number[] } = {}) {
    this.name = options.name ?? "fake";
    this.type = options.type ?? 2;
    this.features = 0x5n;
    this.queueSizes = options.queueSizes ?? [8];
    this.pushLimits = this.queueSizes.map(() => 64);
  }

  config(): Uint8Array {
    return this.bytes;
  }

  attached(slot: DeviceSlot): void {
    this.slot = slot;
  }

  start(session: DeviceSession): void {
    this.session = session;
    this.calls.push("start");
    this.onStart();
  }

  notified(queue: number): void {
    this.calls.push(`notified ${queue}`);
    this.onNotified(queue);
  }

  configWritten(offset: number, width: number, value: number): void {
    this.calls.push(`config ${offset} ${width} ${value}`);
  }

  async stop(): Promise<void> {
    this.calls.push("stop");
    this.onStop();
    await this.stopped;
    this.calls.push("stopped");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
