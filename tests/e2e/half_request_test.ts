// A host that was killed in the middle of a request: the card OS does not run half a command.
import { assertEquals } from "@std/assert";
import type { ConsoleBackend, ConsoleEvents } from "../../host/backends/types.ts";
import { noneConsole } from "../../host/backends/none_console.ts";
import { openDisk } from "../../host/backends/open_disk.ts";
import { diagImages, linuxImages } from "../../host/control/images.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { ConsoleDevice } from "../../host/devices/console.ts";
import { Host } from "../../host/host.ts";
import {
  encodeExecRequest,
  encodeExecTrailer,
  EXEC_BREAK,
  EXEC_PORT,
  listenTcp,
} from "../../protocol/mod.ts";
import { cachedCardImage } from "../../scripts/cli/mod.ts";
import { rootDisk, temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";

/** What a test types on an exec port, and what it reads there. */
class Port implements ConsoleBackend {
  readonly name = "port";
  readonly size = undefined;
  text = "";
  #events: ConsoleEvents | undefined;
  #unsent = new Uint8Array(0);
  #look = () => {};

  open(events: ConsoleEvents): void {
    this.#events = events;
  }
  resume(): void {
    this.#unsent = this.#unsent.slice(this.#events!.input(this.#unsent));
  }
  type(text: string): void {
    this.#unsent = new Uint8Array([...this.#unsent, ...new TextEncoder().encode(text)]);
    this.resume();
  }
  write(bytes: Uint8Array): void {
    this.text += new TextDecoder().decode(bytes);
    this.#look();
  }
  async ends(end: string): Promise<void> {
    while (!this.text.endsWith(end)) await new Promise<void>((resolve) => this.#look = resolve);
  }
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const CHOICES = {
  kernel: undefined,
  initrd: undefined,
  cmdline: undefined,
  name: "mic0",
  address: undefined,
};

async function linux() {
  const { folder, manifest: { cmdline } } = (await cachedCardImage())!;
  const files = { kernel: `${folder}/vmlinux`, initrd: `${folder}/initrd.img`, cmdline };
  return await linuxImages(CHOICES, files);
}

for (const os of ["diag", "linux"] as const) {
  Deno.test(`${os} drops the half of a request, and takes the next one`, async () => {
    await using folder = await temporaryFolder();
    const ports = { in: new Port(), out: new Port(), err: new Port() };
    const named = (["in", "out", "err"] as const).map((which) => {
      return { name: EXEC_PORT[which], backend: ports[which] };
    });
    const { path } = await rootDisk(folder.path);
    const disk = await openDisk({ kind: "file", path, readOnly: false }, () => {});
    await using block = new BlockDevice({ backend: disk });
    await using console = new ConsoleDevice([{ backend: noneConsole() }, ...named]);
    await using host = new Host({
      listener: listenTcp("127.0.0.1", 0),
      cards: [{
        name: "mic0",
        devices: [block, console],
        images: os === "diag" ? diagImages(CHOICES) : await linux(),
      }],
    });
    const connect = ["--connect", `127.0.0.1:${host.address.port}`, "--json"];
    const machine = ["--machine", os === "diag" ? "diag" : "v86"];
    await using _card = await LabProcess.start("card", [...connect, ...machine]);

    const text = (request: Uint8Array) => new TextDecoder().decode(request);
    const [broken, nonce] = ["0123456789abcdef".repeat(2), "fedcba9876543210".repeat(2)];
    // Without its end it would be a command, too.
    const command = "echo 12 3456 789";
    const half = text(encodeExecRequest({ nonce: broken, command })).slice(0, 33 + 12);
    assertEquals(atob(half.slice(33)), "echo 12 3");
    // What a host that finds the card OS so sends, and what it would send if nothing was left.
    const request = text(encodeExecRequest({ nonce, command: "echo whole" }));
    ports.in.type(half + EXEC_BREAK + EXEC_BREAK + request);
    await Promise.all([
      ports.out.ends(text(encodeExecTrailer(nonce, 0))),
      ports.err.ends(text(encodeExecTrailer(nonce, 0))),
    ]);
    assertEquals(ports.out.text, `whole\n${nonce} 0\n`);
    assertEquals(ports.err.text, `${nonce} 0\n`);
  });
}
