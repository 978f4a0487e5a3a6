/**
 * A lab under pressure: what its two processes take of memory, how long its link is silent, and somebody at its console.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Lab, type LabOptions } from "./lab.ts";
import { LabConsole } from "./lab_console.ts";
import { forgetPeak, memoryUse } from "./memory_use.ts";
import { type Direction, Proxy } from "./proxy.ts";

/** What `bench --json` of diag says of a disk. */
export interface DiskFigures {
  readonly iops: number;
  readonly mb_s: number;
  readonly errors: number;
  readonly latency_us: { readonly p50: number; readonly max: number };
}

/**
 * What a process may take beyond what it holds: garbage that is not collected yet, code compiled meanwhile, the
 * allocator's leftovers. Deno lets about as much external memory become garbage before it looks. MiB.
 */
export const RUNTIME_SLACK = 128;

export interface PressureOptions extends LabOptions {
  /** Bytes per second that the link carries each way. */
  readonly rate?: number;
}

export class PressureLab implements AsyncDisposable {
  readonly lab: Lab;
  readonly #proxy: Proxy | undefined;
  readonly #silence: Silence;
  #console: Promise<LabConsole> | undefined;
  #before = { host: 0, card: 0 };
  #asked = 0;

  private constructor(lab: Lab, proxy: Proxy | undefined, silence: Silence) {
    this.lab = lab;
    this.#proxy = proxy;
    this.#silence = silence;
  }

  /** In a network namespace nobody watches the link: there the test's own process is elsewhere. */
  static async start({ rate, ...options }: PressureOptions): Promise<PressureLab> {
    await using starting = new AsyncDisposableStack();
    const silence = new Silence();
    const onBytes = (direction: Direction) => silence.heard(direction);
    let proxy: Proxy | undefined;
    const via = async (port: number) => {
      proxy = starting.use(await Proxy.start(port, { onBytes, ...(rate && { rate }) }));
      return proxy.port;
    };
    const watched = options.within === undefined ? { via } : {};
    const lab = starting.use(await Lab.start({ ...options, ...watched }));
    starting.move();
    return new PressureLab(lab, proxy, silence);
  }

  /** Who sits at the console `tcp:127.0.0.1:0`, or else `unix:PATH`. */
  console(): Promise<LabConsole> {
    return this.#console ??= this.#dial();
  }

  async #dial(): Promise<LabConsole> {
    const { name } = await this.lab.host.event(({ type }) => type === "console");
    const port = /tcp:127\.0\.0\.1:(\d+)/.exec(name as string)?.[1];
    const path = /unix:([^+]*)/.exec(name as string)?.[1];
    return LabConsole.socket(
      port
        ? await Deno.connect({ hostname: "127.0.0.1", port: Number(port) })
        : await Deno.connect({ transport: "unix", path: path! }),
    );
  }

  /** Runs `command` of diag at the console; its output, and how long it took, ms. */
  async ask(command: string): Promise<{ readonly output: string; readonly ms: number }> {
    const console = await this.console();
    await console.shows(/diag# $/);
    const from = console.text.length;
    const begun = performance.now();
    await console.type(`${command}; echo done-${++this.#asked}\r`);
    await console.shows(new RegExp(`\ndone-${this.#asked}\r`));
    return { output: console.text.slice(from), ms: performance.now() - begun };
  }

  /** One `bench` of diag at the console. */
  async bench(disk: string, pairs: string): Promise<DiskFigures> {
    const { output } = await this.ask(`bench ${disk} ${pairs} --json`);
    return JSON.parse(/^\{.*\}/m.exec(output)![0]);
  }

  /** Peaks and silences count from here on. */
  async begin(): Promise<void> {
    const { host, card } = this.lab;
    await Promise.all([forgetPeak(host.pid), forgetPeak(card.pid)]);
    const [hostUse, cardUse] = await Promise.all([memoryUse(host.pid), memoryUse(card.pid)]);
    this.#before = { host: hostUse.now, card: cardUse.now };
    this.#silence.begin();
  }

  /**
   * Says what the pressure made of the processes since `begin`, and checks it: no process took more than its `bound`
   * (MiB) and the runtime's slack, and the link was never lost.
   */
  async check(bound: { readonly host: number; readonly card: number }): Promise<void> {
    for (const name of ["host", "card"] as const) {
      const { peak } = await memoryUse(this.lab[name].pid);
      const grown = peak - this.#before[name];
      console.log(
        `  ${name}: ${this.#before[name]} MiB before, ${peak} at most (+${grown}); ` +
          `bound ${bound[name]} + ${RUNTIME_SLACK}`,
      );
      assert(grown <= bound[name] + RUNTIME_SLACK, `the ${name} grew by ${grown} MiB`);
      const lost = this.lab[name].events.filter((event) =>
        event.type === "link" && (event["status"] as { type: string }).type === "lost"
      );
      assertEquals(lost, []);
    }
    if (this.#proxy === undefined) return;
    const { cardToHost, hostToCard } = this.#silence.longest;
    console.log(
      `  longest silence: card ${Math.round(cardToHost)} ms, host ${Math.round(hostToCard)} ms`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#console)?.[Symbol.asyncDispose]();
    await this.lab[Symbol.asyncDispose]();
    await this.#proxy?.[Symbol.asyncDispose]();
  }
}

/** The longest time without a byte, each way, ms. */
class Silence {
  longest = { cardToHost: 0, hostToCard: 0 };
  readonly #last = { cardToHost: 0, hostToCard: 0 };

  begin(): void {
    this.longest = { cardToHost: 0, hostToCard: 0 };
    this.#last.cardToHost = this.#last.hostToCard = performance.now();
  }

  heard(direction: Direction): void {
    const now = performance.now();
    const gap = now - this.#last[direction];
    this.#last[direction] = now;
    if (gap > this.longest[direction]) this.longest[direction] = gap;
  }
}
