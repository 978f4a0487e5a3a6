/**
 * Two network namespaces, a veth between them, and over it what else leads from one to the other: a card's cable with
 * a TAP at both ends, and OpenVPN. All of it up at once, so that measurements can take turns; the ways can be added at
 * once, too.
 *
 * Root only. Nothing of it touches this machine's own network, and nothing is left of it.
 *
 * @module
 */
import { taskArguments } from "../../scripts/cli/tasks.ts";
import { Namespace } from "../support/namespace.ts";
import { endProcess, linesOf, listeningPort } from "./processes.ts";

/** A way between the namespaces. */
export interface Way {
  readonly name: string;
  /** Of the far end, reached that way alone. */
  readonly far: string;
}

const WIRE = { near: "10.98.0.1", far: "10.98.0.2" } as const;
const OPENVPN_PORT = "5000";

export class Cable implements AsyncDisposable {
  readonly near: Namespace;
  readonly far: Namespace;
  readonly ways: Way[] = [];
  /** Ways that have been begun. */
  #begun = 0;
  readonly #owned: AsyncDisposableStack;

  private constructor(near: Namespace, far: Namespace, owned: AsyncDisposableStack) {
    this.near = near;
    this.far = far;
    this.#owned = owned;
  }

  /** Both namespaces, with the veth. */
  static async make(): Promise<Cable> {
    await using owned = new AsyncDisposableStack();
    const near = owned.use(await Namespace.make());
    const far = owned.use(await Namespace.make());
    const other = far.within[1]!.slice("--net=".length);
    await near.run(
      "ip",
      "link",
      "add",
      "wire",
      "type",
      "veth",
      "peer",
      "name",
      "wire",
      "netns",
      other,
    );
    for (const [namespace, address] of [[near, WIRE.near], [far, WIRE.far]] as const) {
      await namespace.run("ip", "address", "add", `${address}/24`, "dev", "wire");
      await namespace.run("ip", "link", "set", "wire", "up");
    }
    return new Cable(near, far, owned.move());
  }

  /** The veth alone. */
  addWire(name: string): void {
    this.ways.push({ name, far: WIRE.far });
  }

  /** A host at the near end, its card at the far end, the link between them on the veth. */
  async addBridge(name: string, offload: boolean): Promise<void> {
    const { number, near, far } = this.#begin();
    const tap = `card${number}`;
    const host = this.#start(this.near, "piped", [
      ...["deno", ...await taskArguments("host"), "--listen", `${WIRE.near}:0`, "--insecure"],
      ...["--os", "diag", "--net", `tap:${tap}`, "--address", `${far}/24,${near}`],
      ...["--console", "none", "--control", "none", "--json"],
    ]);
    const port = await listeningPort(host);
    await host.stdout.cancel();
    const program = new URL("net_card.ts", import.meta.url).pathname;
    const card = this.#start(this.far, "inherit", [
      ...["deno", "run", `--allow-net=${WIRE.near}`, "--allow-read", "--allow-ffi", program],
      ...[`${WIRE.near}:${port}`, tap, `${far}/24`, offload ? "offload" : "plain"],
    ]);
    await this.#said(card, "ready");
    this.ways.push({ name, far });
  }

  /** OpenVPN over TCP, without cipher and authentication. */
  async addOpenvpn(name: string): Promise<void> {
    const { number, near, far } = this.#begin();
    const common = [
      ...["openvpn", "--dev", `vpn${number}`, "--dev-type", "tap", "--port", OPENVPN_PORT],
      ...["--cipher", "none", "--auth", "none", "--data-ciphers", "none", "--disable-dco"],
    ];
    for (
      const [namespace, address, ...how] of [
        [this.near, near, "--proto", "tcp-server", "--local", WIRE.near],
        [this.far, far, "--proto", "tcp-client", "--remote", WIRE.near],
      ] as const
    ) {
      const words = [...common, ...how, "--ifconfig", address, "255.255.255.0"];
      const process = this.#start(namespace, "null", words);
      const wanted = namespace === this.near ? "Listening for incoming" : "Initialization Sequence";
      await this.#said(process, wanted);
    }
    this.ways.push({ name, far });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync();
  }

  /** A number and addresses that no other way has. */
  #begin(): { readonly number: number; readonly near: string; readonly far: string } {
    const number = this.#begun++;
    const network = `10.98.${number + 1}`;
    return { number, near: `${network}.1`, far: `${network}.2` };
  }

  #start(namespace: Namespace, stderr: "piped" | "inherit" | "null", words: string[]) {
    const [program, ...args] = [...namespace.within, ...words];
    const process = new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr })
      .spawn();
    this.#owned.defer(() => endProcess(process));
    return process;
  }

  /** Waits for a line, then goes on reading for as long as the process lives. */
  async #said(process: Deno.ChildProcess, text: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    void (async () => {
      const lines: string[] = [];
      for await (const line of linesOf(process.stdout)) {
        if (lines.length < 50) lines.push(line);
        if (line.includes(text)) resolve();
      }
      reject(new Error(`Cannot start: it ended before it said "${text}"\n${lines.join("\n")}`));
    })();
    await promise;
  }
}
