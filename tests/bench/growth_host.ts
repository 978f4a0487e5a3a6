/**
 * A host whose disks have rings of several sizes, which no option of the host gives, and commands in its card.
 *
 * Asked for a {@linkcode GrowthQuestion}: `start` opens the disks and answers with the port, `run` answers with what a
 * command in the card wrote once the card is there.
 *
 * @module
 */
import { openDevices } from "../../host/control/open_devices.ts";
import { openDisk, parseDisk } from "../../host/backends/open_disk.ts";
import { BlockDevice, type BlockDeviceOptions, diagImages, Host, listenTcp } from "../../mod.ts";
import { converse } from "./conversation.ts";

export interface GrowthDisk {
  /** As on the command line. */
  readonly choice: string;
  /** Entries of its ring; the device's own number if not given. */
  readonly queueSize?: number;
}

export type GrowthQuestion =
  | { readonly type: "start"; readonly disks: readonly GrowthDisk[] }
  | { readonly type: "run"; readonly command: string };

class WideDisk extends BlockDevice {
  override readonly queueSizes: readonly number[];

  constructor(options: BlockDeviceOptions, queueSize: number) {
    super(options);
    this.queueSizes = [queueSize];
  }
}

const report = (error: unknown): void => console.error(error);

async function openOne({ choice, queueSize }: GrowthDisk): Promise<BlockDevice> {
  const backend = await openDisk(parseDisk(choice), report);
  return queueSize === undefined
    ? new BlockDevice({ backend, onError: report })
    : new WideDisk({ backend, onError: report }, queueSize);
}

class GrowthHost {
  readonly host: Host;
  readonly #run: (command: string) => Promise<string>;

  private constructor(host: Host, run: (command: string) => Promise<string>) {
    this.host = host;
    this.#run = run;
  }

  static async start(disks: readonly GrowthDisk[]): Promise<GrowthHost> {
    // The console, with the ports for commands; disks come before it.
    const { devices, exec } = await openDevices({
      ...{ disks: [], net: "none", consoles: ["none"], address: undefined, name: "mic0" },
      ...{ configureTap: false, insecure: false },
    }, { detach() {}, report });
    const host = new Host({
      listener: listenTcp("127.0.0.1", 0),
      cards: [{
        name: "mic0",
        devices: [...await Promise.all(disks.map(openOne)), ...devices],
        images: diagImages({ cmdline: undefined, name: "mic0", address: undefined }),
      }],
    });
    return new GrowthHost(host, async (command) => {
      const decoder = new TextDecoder();
      let output = "";
      const take = (bytes: Uint8Array): void => {
        output += decoder.decode(bytes, { stream: true });
      };
      const status = await exec.run(command, { stdout: take, stderr: take });
      if (status !== 0) throw new Error(`Cannot run "${command}": status ${status}, ${output}`);
      return output;
    });
  }

  async run(command: string): Promise<string> {
    await this.host.cards.get("mic0")!.waitFor(["online"]);
    return await this.#run(command);
  }
}

let growth: GrowthHost;

await converse<GrowthQuestion>(async (question) => {
  if (question.type === "run") return await growth.run(question.command);
  growth = await GrowthHost.start(question.disks);
  return growth.host.address.port;
});
