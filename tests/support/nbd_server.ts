/**
 * An NBD server that does what the test says, byte by byte; only for tests.
 *
 * Bytes are hexadecimal text, with spaces where they help.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

/** The replies of a server to the option GO. */
export interface Welcome {
  /** 8 bytes. */
  readonly size?: string;
  /** 2 bytes; as they are: flush, trim and write zeroes. */
  readonly flags?: string;
  /** Smallest, preferred and largest block: 12 bytes. */
  readonly blocks?: string;
  readonly structured?: boolean;
}

const REPLY = "0003e889045565a9";
const OPTION = "49484156454f5054";

export class FakeNbdServer implements AsyncDisposable {
  readonly uri: string;
  readonly #listener: Deno.TcpListener;
  readonly #peers: FakeNbdPeer[] = [];

  constructor() {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.uri = `nbd://127.0.0.1:${this.#listener.addr.port}/disk`;
  }

  async accept(): Promise<FakeNbdPeer> {
    const peer = new FakeNbdPeer(await this.#listener.accept());
    this.#peers.push(peer);
    return peer;
  }

  /** Accepts and brings the handshake to its end. */
  async welcome(options: Welcome = {}): Promise<FakeNbdPeer> {
    const peer = await this.accept();
    await peer.welcome(options);
    return peer;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) peer.close();
    this.#listener.close();
    return Promise.resolve();
  }
}

export class FakeNbdPeer {
  readonly #conn: Deno.TcpConn;
  #closed = false;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    conn.setNoDelay(true);
  }

  async send(hex: string): Promise<void> {
    const bytes = Uint8Array.fromHex(hex.replaceAll(" ", ""));
    for (let done = 0; done < bytes.length;) done += await this.#conn.write(bytes.subarray(done));
  }

  async read(length: number): Promise<string> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const count = await this.#conn.read(bytes.subarray(done));
      if (count === null) throw new Error(`Waited for ${length} bytes, got ${done} and the end`);
      done += count;
    }
    return bytes.toHex();
  }

  async expect(hex: string): Promise<void> {
    const wanted = hex.replaceAll(" ", "");
    assertEquals(await this.read(wanted.length / 2), wanted);
  }

  /** Resolves when the client has closed; a reset does too. Returns what came before. */
  async end(): Promise<string> {
    const into = new Uint8Array(65536);
    let hex = "";
    try {
      for (let n = await this.#conn.read(into); n !== null; n = await this.#conn.read(into)) {
        hex += into.subarray(0, n).toHex();
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    return hex;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }

  async welcome(
    { size = "0000000000100000", flags = "0065", blocks, structured = true }: Welcome = {},
  ): Promise<void> {
    await this.send("4e42444d41474943 49484156454f5054 0003");
    await this.expect("00000003");
    await this.expect(`${OPTION} 00000008 00000000`);
    await this.send(`${REPLY} 00000008 ${structured ? "00000001" : "80000001"} 00000000`);
    await this.expect(`${OPTION} 00000007 0000000c 00000004 6469736b 0001 0003`);
    await this.send(`${REPLY} 00000007 00000003 0000000c 0000 ${size} ${flags}`);
    if (blocks !== undefined) {
      await this.send(`${REPLY} 00000007 00000003 0000000e 0003 ${blocks}`);
    }
    await this.send(`${REPLY} 00000007 00000001 00000000`);
  }
}
