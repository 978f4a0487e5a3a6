/**
 * One run of iperf3 between two places of this machine.
 *
 * @module
 */
import { endProcess } from "./processes.ts";

export interface Transfer {
  /** From the far end to the near one. */
  readonly reverse: boolean;
  /** Bytes of a datagram's payload, as many of them as the sender can; TCP if not given. */
  readonly udp?: number;
}

export interface Run extends Transfer {
  readonly seconds: number;
}

/** iperf3's own. */
const IPERF_PORT = 5201;
/** Tries of a server that has not yet put its last client away, and ms between them. */
const TRIES = 20;
const TRY_AGAIN = 100;

/**
 * What arrived: MB/s, or of datagrams how many a second. `near` and `far` are the words in front of a program that is to
 * run there, none for this machine's own network; `address` is the far end's.
 * @throws {Error} with iperf3's words
 */
export async function iperf(
  near: readonly string[],
  far: readonly string[],
  address: string,
  run: Run,
): Promise<number> {
  await using server = await IperfServer.start(far, IPERF_PORT);
  const rate = await iperfClient(near, address, run);
  await server.ended;
  return rate;
}

/** As {@linkcode iperf}, with a server that is there already. */
export async function iperfClient(
  within: readonly string[],
  address: string,
  { reverse, udp, seconds }: Run,
): Promise<number> {
  const [program, ...args] = [
    ...[...within, "iperf3", "-c", address, "-t", String(seconds), "-J"],
    ...(reverse ? ["-R"] : []),
    ...(udp === undefined ? [] : ["-u", "-b", "0", "-l", String(udp)]),
  ];
  for (let left = TRIES;; left--) {
    const { stdout } = await new Deno.Command(program!, { args, stdin: "null" }).output();
    const { end, error } = JSON.parse(new TextDecoder().decode(stdout));
    if (error === undefined) return arrived(end, udp !== undefined);
    if (left === 0 || !/busy/.test(error)) {
      throw new Error(`Cannot measure with iperf3: ${error}`);
    }
    await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN));
  }
}

/** MB/s, or datagrams a second, of what iperf3 says at its end. */
// deno-lint-ignore no-explicit-any -- as iperf3 has it
export function arrived(end: any, datagrams: boolean): number {
  if (!datagrams) return end.sum_received.bits_per_second / 8e6;
  const { packets, lost_packets, seconds } = end.sum;
  return (packets - lost_packets) / seconds;
}

/** An iperf3 that takes one client, then ends. */
export class IperfServer implements AsyncDisposable {
  readonly ended: Promise<unknown>;
  readonly #process: Deno.ChildProcess;

  private constructor(process: Deno.ChildProcess, ended: Promise<unknown>) {
    this.#process = process;
    this.ended = ended;
  }

  /** It listens when this resolves. */
  static async start(within: readonly string[], port: number): Promise<IperfServer> {
    const [program, ...args] = [
      ...[...within, "iperf3", "-s", "-1", "-p", String(port), "--forceflush"],
    ];
    const process = new Deno.Command(program!, { args, stdin: "null", stdout: "piped" }).spawn();
    const reader = process.stdout.getReader();
    await reader.read(); // it says that it listens
    const ended = (async () => {
      while (!(await reader.read()).done);
    })();
    return new IperfServer(process, ended);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endProcess(this.#process);
    await this.ended;
  }
}
