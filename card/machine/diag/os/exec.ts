/**
 * The exec ports (protocol/exec.ts), card side: one command at a time, its outputs apart, its status at the end.
 *
 * @module
 */
import {
  decodeExecRequest,
  encodeExecTrailer,
  EXEC_PORT,
  EXEC_REQUEST_MAX,
  type ExecRequest,
} from "../../../../protocol/mod.ts";
import type { CommandIo } from "./commands/types.ts";
import type { ConsolePort } from "./console_port.ts";
import type { DiagOs } from "./os.ts";
import { runLine } from "./shell.ts";

const NEWLINE = 0x0a;
/** Requests that wait for the one that runs, at most. */
const WAITING_MAX = 16;

export class ExecServer {
  readonly #os: DiagOs;
  readonly #ports = new Map<string, ConsolePort>();
  readonly #encoder = new TextEncoder();
  readonly #line = new Uint8Array(EXEC_REQUEST_MAX);
  #length = 0;
  #waiting: ExecRequest[] = [];
  #busy = false;

  constructor(os: DiagOs) {
    this.#os = os;
  }

  /** Takes a port if it is one of the three; the last of them makes the server ready. */
  offer(port: ConsolePort): boolean {
    if (!(Object.values(EXEC_PORT) as string[]).includes(port.name)) return false;
    this.#ports.set(port.name, port);
    if (this.#ports.size === Object.keys(EXEC_PORT).length) this.#os.run(() => this.#open());
    return true;
  }

  /** Once all devices are bound, so that the first command finds them. */
  async #open(): Promise<void> {
    await this.#os.ready;
    this.#ports.get(EXEC_PORT.out)!.open(() => {});
    this.#ports.get(EXEC_PORT.err)!.open(() => {});
    // Opening this one says that we are ready: the last thing.
    this.#ports.get(EXEC_PORT.in)!.open((bytes) => this.#input(bytes));
  }

  #input(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (byte !== NEWLINE) {
        // One more than fits marks the line as too long.
        if (this.#length < this.#line.length) this.#line[this.#length++] = byte;
        continue;
      }
      const complete = this.#length < this.#line.length;
      const line = new TextDecoder().decode(this.#line.subarray(0, this.#length));
      this.#length = 0;
      const request = complete ? decodeExecRequest(line) : undefined;
      if (request && this.#waiting.length < WAITING_MAX) this.#waiting.push(request);
    }
    this.#next();
  }

  #next(): void {
    if (this.#busy) return;
    const request = this.#waiting.shift();
    if (!request) return;
    this.#busy = true;
    this.#os.run(async () => {
      try {
        await this.#serve(request);
      } finally {
        this.#busy = false;
      }
      this.#next();
    });
  }

  async #serve({ nonce, command }: ExecRequest): Promise<void> {
    const out = this.#ports.get(EXEC_PORT.out)!;
    const err = this.#ports.get(EXEC_PORT.err)!;
    const bytes = (data: string | Uint8Array) =>
      typeof data === "string" ? this.#encoder.encode(data) : data;
    const io: CommandIo = {
      out: (data) => out.write(bytes(data)),
      err: (data) => err.write(bytes(data)),
      signal: this.#os.signal,
      columns: 0,
      rows: 0,
    };
    const status = await runLine(command, io, this.#os);
    const trailer = encodeExecTrailer(nonce, status);
    await out.write(trailer);
    await err.write(trailer);
  }
}
