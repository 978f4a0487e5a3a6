/**
 * What encryption costs a link: the same frames between the same two processes, over TCP and over TLS in turns, and how
 * long each is away when its connection is cut.
 *
 *     deno run --allow-net --allow-run=deno --allow-read tests/bench/link_variants.ts [seconds per figure] [rounds] [cuts]
 *
 * Writes one line of JSON per figure, as {@linkcode Figure} has it. This process is the host; cuts are made here and
 * timed here, from closing the socket to the first frame that the resumed session applies.
 *
 * @module
 */
import {
  type Completer,
  dialLink,
  dialTcp,
  dialTls,
  type Link,
  LinkServer,
  listenTcp,
  listenTls,
  makeIdentity,
  shortIdentity,
  type Transport,
} from "../../protocol/mod.ts";

export interface Figure {
  readonly what: "read" | "write" | "resume";
  readonly variant: Variant;
  /** MB/s; of `resume`, ms. */
  readonly value: number;
}

const VARIANTS = ["TLS", "plain"] as const;
type Variant = (typeof VARIANTS)[number];

/** Of each read and each write. */
const BLOCK = 128 * 1024;
/** Reads in flight. */
const DEPTH = 8;

const memory = new Uint8Array(BLOCK);
const completer: Completer = {
  memoryWrite: (address, bytes) => memory.set(bytes, address),
  memoryRead: (address, into) => into.set(memory.subarray(address, address + into.length)),
  configRead: () => 0,
  configWrite() {},
  ioRead: () => 0,
  ioWrite() {},
  message() {},
  batchEnd() {},
};

/** That there is a certificate costs what it costs; whose it is does not matter here. */
const anybody = () => true;

/** Child process: the cards of both links. */
async function serve(ports: Readonly<Record<Variant, number>>): Promise<void> {
  const stop = new AbortController();
  const identity = await makeIdentity();
  const card = { role: "card", identity: shortIdentity(identity.fingerprint), completer } as const;
  const hostname = "127.0.0.1";
  const tls = { identity, trusts: anybody };
  await Promise.all([
    dialLink((signal) => dialTls(hostname, ports.TLS, tls, signal), card, stop.signal).closed,
    dialLink((signal) => dialTcp(hostname, ports.plain, signal), card, stop.signal).closed,
  ]);
}

/** The host's end of one link, and the connection that carries it now. */
class Variation implements AsyncDisposable {
  readonly port: number;
  readonly link: Promise<Link>;
  readonly #listener: ReturnType<typeof listenTcp>;
  readonly #server: LinkServer;
  readonly #accepting: Promise<void>;
  #transport: Transport | undefined;

  constructor(listener: ReturnType<typeof listenTcp>, identity: Uint8Array) {
    const up = Promise.withResolvers<Link>();
    this.#listener = listener;
    this.#server = new LinkServer({
      epoch: 1n,
      identity,
      accept: () => ({ completer }),
      onLink: up.resolve,
    });
    this.port = listener.port;
    this.link = up.promise;
    this.#accepting = this.#accept();
  }

  cut(): void {
    this.#transport!.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#server[Symbol.asyncDispose]();
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    for (let next; (next = await this.#listener.accept()) !== undefined;) {
      this.#transport = next;
      void this.#server.serve(next);
    }
  }
}

/** MB/s of reads that the card answers. */
async function read(link: Link, seconds: number): Promise<number> {
  let bytes = 0;
  const start = performance.now();
  const end = start + seconds * 1000;
  await Promise.all(Array.from({ length: DEPTH }, async () => {
    while (performance.now() < end) {
      await link.memoryRead(0, BLOCK);
      bytes += BLOCK;
    }
  }));
  return bytes / 1000 / (performance.now() - start);
}

/** MB/s of posted writes that the card has applied. */
async function write(link: Link, seconds: number): Promise<number> {
  let bytes = 0;
  const start = performance.now();
  const end = start + seconds * 1000;
  while (performance.now() < end) {
    for (; link.writable; bytes += BLOCK) link.postWrite(0, memory);
    await new Promise<void>((resolve) => link.onWritable(resolve));
  }
  await link.configRead(0, 4);
  return bytes / 1000 / (performance.now() - start);
}

/** ms from the cut to the answer that only the resumed session can bring. */
async function resume(variation: Variation, link: Link): Promise<number> {
  const start = performance.now();
  variation.cut();
  await link.configRead(0, 4);
  return performance.now() - start;
}

async function main(seconds: number, rounds: number, cuts: number): Promise<void> {
  const identity = await makeIdentity();
  const short = shortIdentity(identity.fingerprint);
  const tls = { identity, trusts: anybody };
  await using secure = new Variation(listenTls("127.0.0.1", 0, tls), short);
  await using plain = new Variation(listenTcp("127.0.0.1", 0), short);
  const child = new Deno.Command("deno", {
    args: [
      ...["run", "--allow-net", import.meta.filename!, "--child"],
      ...[String(secure.port), String(plain.port)],
    ],
  }).spawn();
  const variations = { TLS: secure, plain };
  const links = { TLS: await secure.link, plain: await plain.link };
  const say = (figure: Figure) => console.log(JSON.stringify(figure));
  // A path that is not warm yet has no figure; that of a cut is another.
  for (const variant of VARIANTS) await read(links[variant], rounds > 0 ? 0.5 : 0.1);
  for (let round = 0; round < rounds; round++) {
    for (const variant of VARIANTS) {
      say({ what: "read", variant, value: await read(links[variant], seconds) });
    }
    for (const variant of VARIANTS) {
      say({ what: "write", variant, value: await write(links[variant], seconds) });
    }
  }
  for (let cut = 0; cut < cuts; cut++) {
    for (const variant of VARIANTS) {
      const value = await resume(variations[variant], links[variant]);
      say({ what: "resume", variant, value });
    }
  }
  for (const variant of VARIANTS) await links[variant].close("shutdown");
  await child.status;
}

const [first, ...rest] = Deno.args;
if (first === "--child") await serve({ TLS: Number(rest[0]), plain: Number(rest[1]) });
else await main(Number(first ?? 2), Number(rest[0] ?? 3), Number(rest[1] ?? 30));
