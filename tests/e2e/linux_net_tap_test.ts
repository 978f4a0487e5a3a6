// Linux on a TAP interface, both processes in a network namespace of their own.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { findTool } from "../../scripts/tools.ts";
import { Lab, rootDisk, temporaryFolder } from "../support/lab.ts";
import { Namespace, namespaces } from "../support/namespace.ts";
import { missing } from "../support/needs.ts";

const ignore = await missing("ffi", "root", "tun", { program: "ip" }, { program: "nsenter" }, {
  program: "ping",
}) ||
  !await namespaces();
const iperf3 = ignore ? undefined : await findTool("iperf3", (reason) => console.error(reason));

/** The card waits for the host wherever it says so, by serving it. */
const SCRIPT = `
cat /sys/class/net/eth0/device/features
gateway=$(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')
ping -c 3 -A -q "$gateway" | grep packets
iperf3 -s -1 --forceflush
iperf3 -s -1 --forceflush
`;
const MIB = 1024 * 1024;
/** virtio 1.3 §5.1.3. */
const F = { CSUM: 0, GUEST_CSUM: 1, GUEST_TSO4: 7, HOST_TSO4: 11, MRG_RXBUF: 15 } as const;

Deno.test({
  name: "Linux on a TAP is pinged, pings, and runs iperf3 both ways with its offloads on",
  ignore: ignore || iperf3 === undefined,
}, async () => {
  await using namespace = await Namespace.make();
  await using folder = await temporaryFolder();
  const { path } = await rootDisk(folder.path);
  await using lab = await Lab.start({
    os: "linux",
    within: namespace.within,
    host: ["--disk", path, "--net", "tap:mic0", "--exec", SCRIPT],
  });
  const { host } = lab;
  const card = "172.31.1.1";

  await host.output(/packets[^]*Server listening/);
  const [features, ping] = host.stdout.split("\n");
  for (const [name, bit] of Object.entries(F)) assertEquals(features![bit], "1", name);
  assertEquals(ping, "3 packets transmitted, 3 packets received, 0% packet loss");
  assertMatch(
    await namespace.run("ping", "-c", "3", "-i", "0.2", card),
    /3 received, 0% packet loss/,
  );

  assert(await transfer() > 8 * MIB);
  await host.output(/Server listening[^]*Server listening/);
  assert(await transfer("--reverse") > 8 * MIB);
  await lab.result();

  /** Bytes that arrived of 16 MiB; iperf3 leaves out what is in flight when the last of them is sent. */
  async function transfer(...direction: string[]): Promise<number> {
    const args = ["-c", card, "-n", "16M", "-J", ...direction];
    const environment = Object.entries(iperf3!.env).map(([name, value]) => `${name}=${value}`);
    const result = JSON.parse(await namespace.run("env", ...environment, iperf3!.path, ...args));
    return result.end.sum_received.bytes;
  }
});
