/**
 * Kill and verify: a Linux card writes and verifies while its link is cut and its hosts are killed, at random; only for
 * tests.
 *
 * A cut falls on a byte in either direction, or at a moment; it closes the connection or resets it, and often the next
 * falls into the resumption of the one before. A kill falls on a byte, at a moment or as a write reaches the image: into
 * work, into a resumption, into an adoption. Right after each, while no host runs, the image is looked at. Most blows
 * wait until the card has got something done since the one before; the others follow at once.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { HostRestarts } from "./host_restarts.ts";
import { isState, rootDisk, sbin } from "./lab.ts";
import { pairedEnvironment } from "./paired.ts";
import { type Direction, Proxy } from "./proxy.ts";
import { Random } from "./random.ts";
import { VerifiedWork, type WorkReport } from "./verified_work.ts";

export interface KillAndVerifyOptions {
  /** Everything that is made goes there. */
  readonly folder: string;
  readonly seed: number;
  readonly cuts: number;
  /** One or more. */
  readonly kills: number;
  /** Over TLS. */
  readonly secure: boolean;
  /** Image of fio's disk; no fio without. */
  readonly fio?: string | undefined;
  /** Environment in which passt is found; no network without. */
  readonly passt?: Readonly<Record<string, string>> | undefined;
  /** Longest time that all of it may take, ms. */
  readonly limit?: number;
  readonly say?: (line: string) => void;
}

export interface KillAndVerifyResult extends WorkReport {
  readonly cuts: number;
  readonly kills: number;
  /** Connections that were turned away. */
  readonly refusals: number;
  readonly resumptions: number;
  readonly adoptions: number;
}

/** Time from one blow to the next, ms, at most. */
const MOMENT = 1500;
/** Bytes to the next blow, at most, as a power of two. */
const DISTANCE = 17;
/** Writes to the image; fewer are under way at any time, one of each writer. */
const PROGRESS = 12;
/** A blow that is waited for longer never comes, ms: the card does nothing any more. */
const PATIENCE = 180_000;

/** @throws {Error} with what is wrong, and the seed */
export async function killAndVerify(options: KillAndVerifyOptions): Promise<KillAndVerifyResult> {
  try {
    await using run = await Blows.start(options);
    return await run.all();
  } catch (error) {
    const { seed } = options;
    throw new Error(`Kill and verify failed, seed ${seed}: ${Deno.inspect(error)}`, {
      cause: error,
    });
  }
}

class Blows implements AsyncDisposable {
  readonly #options: KillAndVerifyOptions;
  readonly #random: Random;
  readonly #work: VerifiedWork;
  readonly #root: string;
  readonly #proxy: Proxy;
  readonly #hosts: HostRestarts;
  readonly #opened: AsyncDisposableStack;
  readonly #count = { cuts: 0, kills: 0, refusals: 0 };

  private constructor(
    options: KillAndVerifyOptions,
    work: VerifiedWork,
    root: string,
    proxy: Proxy,
    hosts: HostRestarts,
    opened: AsyncDisposableStack,
  ) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#work = work;
    this.#root = root;
    this.#proxy = proxy;
    this.#hosts = hosts;
    this.#opened = opened;
  }

  /** Resolves when the card works. */
  static async start(options: KillAndVerifyOptions): Promise<Blows> {
    const { folder, secure, fio, passt, limit } = options;
    await using starting = new AsyncDisposableStack();
    const work = new VerifiedWork({ ...options, fio, net: passt !== undefined });
    const { path: root } = await rootDisk(folder);
    const security = secure ? ["--secure"] : [];
    const made = Promise.withResolvers<Proxy>();
    const hosts = starting.use(
      await HostRestarts.start({
        os: "linux",
        host: [
          ...["--disk", root, ...work.disks, ...security],
          ...passt ? ["--net", "passt"] : [],
        ],
        first: ["--exec", work.beginning],
        card: security,
        env: { ...passt, ...await pairedEnvironment(folder) },
        via: async (port) => {
          // Whenever it cuts, something is on the way.
          const proxy = starting.use(await Proxy.start(port, { delay: 1 }));
          made.resolve(proxy);
          return proxy.port;
        },
        ...limit === undefined ? {} : { limit },
      }),
    );
    await hosts.host.output(/begun\n/);
    const opened = starting.move();
    return new Blows(options, work, root, await made.promise, hosts, opened);
  }

  /** All blows, then the end, and what came of it. */
  async all(): Promise<KillAndVerifyResult> {
    const { cuts, kills, say = () => {} } = this.#options;
    // The first host is to shut nothing down: it goes before its command ends.
    await this.#kill();
    while (this.#count.cuts < cuts || this.#count.kills < kills) {
      if (!this.#random.oneIn(4)) await this.#progress();
      const left = { cuts: cuts - this.#count.cuts, kills: kills - this.#count.kills };
      if (this.#random.below(left.cuts + left.kills) < left.kills) {
        await this.#blow();
        await this.#kill();
      } else {
        await this.#cut();
      }
      const { refusals, ...done } = this.#count;
      if ((done.cuts + done.kills) % 25 === 0) {
        say(`${done.cuts} cuts, ${done.kills} kills, ${refusals} refusals`);
      }
    }
    // The last host asks for the results, and shuts the card down.
    await this.#hosts.kill();
    this.#count.kills++;
    this.#work.check();
    await this.#hosts.startHost(["--exec", this.#work.end]);
    const said = await this.#hosts.result();
    const report = this.#work.report(said);
    await sbin("e2fsck", "-fn", this.#root);
    assertEquals(this.#hosts.boots, 1, "boots of the card OS");
    const { resumptions, adoptions } = this.#hosts;
    return { ...report, ...this.#count, resumptions, adoptions };
  }

  /** Resolves when the card has gone on since now: more writes reach the image than were under way. */
  async #progress(): Promise<void> {
    using writes = this.#work.watch();
    await this.#soon(modifications(writes, PROGRESS), "progress");
  }

  async #cut(): Promise<void> {
    const how = this.#random.pick(["close", "reset"] as const);
    if (this.#random.oneIn(8)) {
      const count = 1 + this.#random.below(3);
      this.#count.refusals += count;
      void this.#proxy.refuse(count);
    }
    if (this.#random.oneIn(3)) {
      await this.#moment();
      this.#proxy.cut(how);
    } else {
      const direction = this.#random.pick<Direction>(["cardToHost", "hostToCard"]);
      await this.#soon(this.#proxy.cutAfter(direction, this.#distance(), how), "cut");
    }
    this.#count.cuts++;
  }

  /** Waits for the moment of a kill: any, or one at which a write is carried out, or a byte. */
  async #blow(): Promise<void> {
    const kind = this.#random.below(3);
    if (kind === 0) return await this.#moment();
    if (kind === 1) {
      using writes = this.#work.watch();
      return await this.#soon(modifications(writes, 1), "write");
    }
    const direction = this.#random.pick<Direction>(["cardToHost", "hostToCard"]);
    await this.#soon(this.#proxy.cutAfter(direction, this.#distance()), "kill");
    this.#count.cuts++;
  }

  /** The host of now is killed, and the next one begins; half of them are online when this resolves. */
  async #kill(): Promise<void> {
    await this.#hosts.kill();
    this.#count.kills++;
    this.#work.check();
    await this.#hosts.startHost();
    if (this.#random.oneIn(2)) {
      await this.#soon(this.#hosts.host.event(isState("online")), "next host");
    }
  }

  /** From one byte on; each power of two is as likely. */
  #distance(): number {
    return 1 + this.#random.below(2 ** this.#random.below(DISTANCE + 1));
  }

  #moment(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.#random.below(MOMENT)));
  }

  /** @throws {Error} if a process ends, or nothing happens at all */
  async #soon(blow: Promise<unknown>, what: string): Promise<void> {
    const { host, card } = this.#hosts;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const fail = (why: string) =>
      reject(new Error(`No ${what}: ${why}\n${host.transcript()}\n${card.transcript()}`));
    const timer = setTimeout(() => fail(`nothing for ${PATIENCE / 1000} s`), PATIENCE);
    for (const process of [host, card]) void process.ended.then((how) => fail(`ended, ${how}`));
    try {
      await Promise.race([blow, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}

async function modifications(watcher: Deno.FsWatcher, count: number): Promise<void> {
  let seen = 0;
  for await (const { kind } of watcher) {
    if (kind === "modify" && ++seen === count) return;
  }
}
