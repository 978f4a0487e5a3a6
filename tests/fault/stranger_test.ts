// A crowd at the door of a host that serves a card: everybody is refused, all are counted, and the card goes on.
import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { Lab, temporaryFolder } from "../support/lab.ts";
import { memoryUse } from "../support/memory_use.ts";
import { pairedEnvironment } from "../support/paired.ts";
import { resetConnection } from "../support/reset_connection.ts";
import { dialAs, STRANGER } from "../support/tls_rig.ts";

/** Of each kind, and at a time. */
const EACH = 250;
const AT_ONCE = 20;

const CALLERS: Readonly<Record<string, (port: number) => Promise<void>>> = {
  /** Speaks, but not TLS. */
  async plain(port) {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    await conn.closeWrite();
    await drained(conn);
  },
  /** Has a certificate that nobody knows. */
  async untrusted(port) {
    const transport = await dialAs(STRANGER, port, () => true);
    // It is told so.
    await transport.read(new Uint8Array(4096)).catch(() => {});
    transport.close();
  },
  /** Begins as TLS does, and leaves in the middle. */
  async half(port) {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    await conn.write(Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01));
    await conn.closeWrite();
    await drained(conn);
  },
  rude: resetConnection,
};

/** The host has hung up. */
async function drained(conn: Deno.Conn): Promise<void> {
  const into = new Uint8Array(4096);
  try {
    while (await conn.read(into) !== null);
  } catch {
    // It was reset.
  }
}

Deno.test("a served card goes on while a thousand strangers are refused", async () => {
  await using folder = await temporaryFolder();
  const bench = "bench vda rw=randread bs=4k depth=16 seconds=1 --json";
  // Before, meanwhile, after.
  const command = [bench, bench.replace("seconds=1", "seconds=5"), bench].join("; ");
  await using lab = await Lab.start({
    os: "diag",
    host: ["--secure", "--disk", "mem:16M", "--exec", command],
    card: ["--secure"],
    env: await pairedEnvironment(folder.path),
  });
  const { port } = await lab.host.event(({ type }) => type === "listening");
  await lab.host.output(/^\{.*\}\n/);
  const before = await memoryUse(lab.host.pid);
  const silent: Deno.Conn[] = [];
  const begun = performance.now();
  for (const call of Object.values(CALLERS)) {
    let left = EACH;
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await call(port as number);
    }));
  }
  const took = performance.now() - begun;
  // And some who say nothing at all, and stay.
  for (let n = 0; n < 100; n++) {
    silent.push(await Deno.connect({ hostname: "127.0.0.1", port: port as number }));
  }
  const after = await memoryUse(lab.host.pid);
  const lines = (await lab.result()).trim().split("\n").map((line) => JSON.parse(line));
  for (const conn of silent) conn.close();
  const iops = lines.map((line) => Math.round(line.iops));
  console.log(
    `figure: ${4 * EACH} strangers in ${Math.round(took)} ms; card's IOPS before, meanwhile and ` +
      `after: ${iops.join(", ")}; host's memory ${before.now} MiB, then ${after.now} MiB`,
  );
  assertEquals(lines.map(({ errors }) => errors), [0, 0, 0]);
  const refused = lab.host.events.find(({ type }) => type === "refusals")?.["count"];
  assertGreaterOrEqual(refused as number, 2 * EACH);
  const links = lab.host.events.flatMap(({ type, status }) =>
    type === "link" ? [(status as { type: string }).type] : []
  );
  assertEquals(links.filter((type) => type === "lost" || type === "up"), ["up"]);
});
