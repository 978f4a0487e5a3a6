// Linux on the network that passt lends it: the host's own sockets, without root.
import { assertEquals, assertMatch } from "@std/assert";
import { toBytes } from "@std/streams";
import {
  digest,
  Lab,
  passtEnvironment,
  randomBytes,
  rootDisk,
  temporaryFolder,
} from "../support/lab.ts";

const env = await passtEnvironment();
const MIB = 1024 * 1024;
const SIZE = { down: 10 * MIB, up: 4 * MIB } as const;

/** The gateway stands for this host: what goes there arrives on its loopback. */
const script = (port: { readonly down: number; readonly up: number }) => `
ip -4 -o addr show dev eth0
gateway=$(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')
ping -c 3 -A -q "$gateway" | grep packets
wget -q -O - "http://$gateway:${port.down}/file" | sha256sum
dd if=/dev/vda of=/tmp/up bs=1M count=${SIZE.up / MIB} 2>/dev/null
sha256sum </tmp/up
nc "$gateway" ${port.up} </tmp/up
`;

Deno.test({
  name:
    "Linux gets an address from passt, pings its gateway, and moves megabytes each way over TCP",
  ignore: env === undefined,
}, async () => {
  const body = randomBytes(SIZE.down);
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(body),
  );
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using folder = await temporaryFolder();
  const { path } = await rootDisk(folder.path);
  const port = { down: server.addr.port, up: listener.addr.port };
  await using lab = await Lab.start({
    os: "linux",
    env: env!,
    host: ["--disk", path, "--net", "passt", "--exec", script(port)],
  });
  const upload = await receive(listener, lab.host.ended);
  const [address, ping, down, up] = (await lab.result()).split("\n");
  assertMatch(address!, /eth0 +inet \d+\.\d+\.\d+\.\d+\/\d+/);
  assertEquals(ping, "3 packets transmitted, 3 packets received, 0% packet loss");
  assertEquals(down, `${digest("sha256", body)}  -`);
  assertEquals(upload.length, SIZE.up);
  assertEquals(up, `${digest("sha256", upload)}  -`);
});

/** What the first client sends until it has no more; nothing, if `over` comes before any. */
async function receive(listener: Deno.Listener, over: Promise<unknown>): Promise<Uint8Array> {
  const accepted = listener.accept().catch(() => undefined); // closed by the test's end
  const client = await Promise.race([accepted, over.then(() => undefined)]);
  return client === undefined ? new Uint8Array() : await toBytes(client.readable);
}
