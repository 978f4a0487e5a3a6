// A process that stands still for longer than its peer is silent with: nothing is lost, and nobody gives up.
import { assertEquals } from "@std/assert";
import { GREETING } from "../../protocol/link/greeting.ts";
import { digest, emptyDisk, Lab, randomBytes, temporaryFolder } from "../support/lab.ts";
import type { LabEvent } from "../support/lab_process.ts";
import { Proxy } from "../support/proxy.ts";

const MIB = 2 ** 20;
const HEARTBEAT = 100;
const SILENCE = 500;

const isLink = (wanted: string, from: string) => ({ type, status }: LabEvent): boolean => {
  const link = status as { type: string; resumed?: boolean } | undefined;
  return type === "link" && link?.type === wanted && (from !== "again" || link.resumed === true);
};

/** As greetings of peers that are in a hurry would say it: the smaller limits of both hold. */
function hurry(bytes: Uint8Array): void {
  const isGreeting = new TextDecoder().decode(bytes.subarray(0, 8)) === "KNIGHTSB";
  if (!isGreeting || bytes.length !== GREETING.size) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(GREETING.at.heartbeat, HEARTBEAT, true);
  view.setUint32(GREETING.at.silence, SILENCE, true);
}

for (const [victim, witness] of [["card", "host"], ["host", "card"]] as const) {
  Deno.test(`a ${victim} process that stands still for longer than its ${witness} waits goes on where it was`, async () => {
    await using folder = await temporaryFolder();
    const disk = await emptyDisk(folder.path, 32);
    const content = randomBytes(32 * MIB);
    await Deno.writeFile(disk, content);
    const reads = Promise.withResolvers<void>();
    await using starting = new AsyncDisposableStack();
    let proxy: Proxy | undefined;
    const via = async (port: number) => {
      proxy = starting.use(
        await Proxy.start(port, {
          onBytes(direction, bytes) {
            hurry(bytes);
            if (direction === "hostToCard" && proxy!.forwarded.hostToCard > 4 * MIB) {
              reads.resolve();
            }
          },
        }),
      );
      return proxy.port;
    };
    await using lab = await Lab.start({
      os: "diag",
      host: ["--disk", disk, "--exec", "sha256 vda length=32M"],
      env: { XDG_CONFIG_HOME: folder.path },
      via,
    });
    await reads.promise;
    const from = { card: lab.card.events.length, host: lab.host.events.length };
    lab[victim].kill("SIGSTOP");
    await lab[witness].event(isLink("lost", ""), from[witness]);
    const stood = performance.now();
    lab[victim].kill("SIGCONT");
    await lab.host.event(isLink("up", "again"), from.host);
    console.log(`figure: back ${Math.round(performance.now() - stood)} ms after it went on`);
    assertEquals(await lab.result(), `${digest("sha256", content)}  vda\n`);
  });
}
