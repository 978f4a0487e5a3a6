/**
 * A diag machine with loopback devices, booted. Only for tests.
 */
import { DiagMachine } from "../../card/machine/diag/machine.ts";
import { encodeDiagImage } from "../../protocol/mod.ts";
import { LoopbackDevice, type LoopbackModel } from "./loopback_device.ts";

export class DiagRig implements AsyncDisposable {
  readonly machine = new DiagMachine({ memoryBytes: 32 << 20 });
  readonly devices: LoopbackDevice[];
  readonly posts: string[] = [];
  /** What the OS said on its first serial port. */
  serial = "";
  readonly stopped: Promise<{ reason: string; detail: string }>;
  readonly #stopped = Promise.withResolvers<{ reason: string; detail: string }>();

  /** `features` replaces the transport features offered. */
  constructor(models: readonly LoopbackModel[], features?: bigint) {
    this.devices = models.map((model) => new LoopbackDevice(this.machine, model, features));
    this.stopped = this.#stopped.promise;
  }

  boot(cmdline = "", image: Uint8Array = encodeDiagImage("")): this {
    const { machine } = this;
    machine.memory.bytes().set(image, machine.loadAddress);
    const kernel = { address: machine.loadAddress, length: image.length };
    machine.boot({ kernel, initrd: undefined, cmdline }, {
      stopped: (reason, detail) => this.#stopped.resolve({ reason, detail }),
      onSerial: (byte) => this.serial += String.fromCharCode(byte),
      postCode: (code) => this.posts.push(String.fromCharCode(code & 0xff, code >> 8)),
    });
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
  }
}
