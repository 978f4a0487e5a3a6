/**
 * An endpoint with a host's hands on it: configuration, BARs and registers accessed as the host does, on a recording
 * requester. BAR 0 lies at 0x10_0000_0000, BAR 2 at 0xc000, BAR 4 at 0xfe00_0000.
 *
 * @module
 */
import { BusMaster } from "../../card/endpoint/bus_master.ts";
import { Endpoint } from "../../card/endpoint/endpoint.ts";
import { DEFAULT_IDENTITY } from "../../card/endpoint/function.ts";
import { REGISTERS, viewOf } from "../../protocol/mod.ts";
import { RecordingRequester } from "./recording_requester.ts";

export const MIB = 1 << 20;
export const APERTURE = 0x10_0000_0000;
export const PORTS = 0xc000;
export const BLOCK = 0xfe00_0000;

export class EndpointHost {
  readonly link: RecordingRequester = new RecordingRequester();
  readonly requester: BusMaster = new BusMaster();
  readonly endpoint: Endpoint;
  readonly memoryBytes: number;

  constructor(memoryBytes: number = 2 * MIB) {
    this.memoryBytes = memoryBytes;
    this.requester.setRequester(this.link);
    this.endpoint = new Endpoint({
      memoryBytes,
      identity: DEFAULT_IDENTITY,
      requester: this.requester,
    });
  }

  /** Assigns the BARs and allows I/O, memory and bus mastering; 32 MSI vectors, all enabled. */
  setUp(): void {
    this.assignBars();
    this.command(0x7);
    this.endpoint.configWrite(0x52, 2, 0x0051);
    this.writeRegister("interrupt_enable", 0xffff_ffff);
  }

  assignBars(): void {
    this.endpoint.configWrite(0x10, 4, 0);
    this.endpoint.configWrite(0x14, 4, 0x10);
    this.endpoint.configWrite(0x18, 4, PORTS);
    this.endpoint.configWrite(0x20, 4, BLOCK);
  }

  command(bits: number): void {
    this.endpoint.configWrite(0x04, 2, bits);
  }

  read32(address: number): number {
    const bytes = new Uint8Array(4);
    this.endpoint.memoryRead(address, bytes);
    return viewOf(bytes).getUint32(0, true);
  }

  write32(address: number, value: number): void {
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, value, true);
    this.endpoint.memoryWrite(address, bytes);
  }

  readRegister(name: keyof typeof REGISTERS): number {
    return this.read32(BLOCK + REGISTERS[name].at);
  }

  writeRegister(name: keyof typeof REGISTERS, value: number): void {
    this.write32(BLOCK + REGISTERS[name].at, value);
  }
}
