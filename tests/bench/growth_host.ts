/**
 * A host whose disks have rings of several sizes, which no option of the host gives.
 *
 * Asked for a {@linkcode GrowthQuestion}: `start` opens the disks and answers with the port, `online` answers once the
 * card is, `cpu` answers with the CPU time that this process has had, in microseconds.
 *
 * @module
 */
import process from "node:process";
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
  | { readonly type: "online" }
  | { readonly type: "cpu" };

class WideDisk extends BlockDevice {
  override readonly queueSizes: readonly number[];

  constructor(options: BlockDeviceOptions, queueSize: number) {
    super(options);
    this.queueSizes = [queueSize];
  }
}

const report = (error: unknown): void => console.error(error);

async function open({ choice, queueSize }: GrowthDisk): Promise<BlockDevice> {
  const backend = await openDisk(parseDisk(choice), report);
  const options = { backend, onError: report };
  return queueSize === undefined ? new BlockDevice(options) : new WideDisk(options, queueSize);
}

let host: Host;

await converse<GrowthQuestion>(async (question) => {
  switch (question.type) {
    case "start":
      host = new Host({
        listener: listenTcp("127.0.0.1", 0),
        cards: [{
          name: "mic0",
          devices: await Promise.all(question.disks.map(open)),
          images: diagImages({ cmdline: undefined, name: "mic0", address: undefined }),
        }],
      });
      return host.address.port;
    case "online":
      await host.cards.get("mic0")!.waitFor(["online"]);
      return null;
    case "cpu": {
      const { user, system } = process.cpuUsage();
      return user + system;
    }
  }
});
