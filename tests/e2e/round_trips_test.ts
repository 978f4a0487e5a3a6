// The promise of the design: a read, a write and a flush each cost one round trip, and nothing waits for a second one.
import { assertEquals, assertLess } from "@std/assert";
import { emptyDisk, Lab, temporaryFolder } from "../support/lab.ts";
import { Proxy } from "../support/proxy.ts";
import { ProxyClock } from "../support/proxy_clock.ts";

const FEW = 20;
const MANY = 220;

for (
  const { what, command } of [
    {
      what: "4 KiB read",
      command: (n: number) => `bench vda rw=randread bs=4k depth=1 count=${n}`,
    },
    {
      what: "4 KiB write",
      command: (n: number) => `bench vda rw=randwrite bs=4k depth=1 count=${n}`,
    },
    { what: "flush", command: (n: number) => Array(n).fill("sync").join("; ") },
  ]
) {
  Deno.test(`a ${what} at depth 1 takes one round trip`, async () => {
    // What a boot, a command and a shutdown cost is the same in both.
    const few = await trips(command(FEW));
    const many = await trips(command(MANY));
    const each = (many - few) / (MANY - FEW) / 2;
    // The clock may count frames that only happened to cross as one after the other, once in a while.
    assertLess(Math.abs(each - 1), 0.02, `${each} round trips, ${few} and ${many} trips in all`);
  });
}

async function trips(command: string): Promise<number> {
  await using folder = await temporaryFolder();
  const disk = await emptyDisk(folder.path);
  const clock = new ProxyClock();
  await using stack = new AsyncDisposableStack();
  let proxy: Proxy | undefined;
  const via = async (port: number) =>
    (proxy = stack.use(await Proxy.start(port, { onBytes: clock.onBytes }))).port;
  const host = ["--disk", disk, "--exec", command];
  await using lab = await Lab.start({ os: "diag", host, via });
  await lab.result();
  assertEquals(proxy?.connections, 1);
  return clock.trips;
}
