// Every bad start has its sentence and its exit status (README, "Exit statuses"), by processes as a user starts them.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cachedCardImage, EXIT } from "../../scripts/cli/mod.ts";
import { encodeGoodbye } from "../../protocol/link/control.ts";
import { encodeGreeting, GREETING } from "../../protocol/link/greeting.ts";
import { emptyDisk, Lab, onHost, temporaryFolder } from "../support/lab.ts";
import { LabProcess, type LabProcessOptions } from "../support/lab_process.ts";
import { cardGreeting } from "../support/link_peer.ts";
import { missing } from "../support/needs.ts";

const LISTEN = ["--listen", "127.0.0.1:0"];
const DIAG = [...LISTEN, "--os", "diag"];
/** Root may read and configure everything; these words before a command take that from it. */
const noTaking = await missing("ffi", "root", { program: "setpriv" });
const without = (...capabilities: string[]) => [
  "setpriv",
  `--bounding-set=${capabilities.map((name) => `-${name}`).join(",")}`,
];

/** A task that ends by itself with `status` and nothing on stdout; its last line. */
async function refusal(
  task: string,
  args: readonly string[],
  status: number,
  options: LabProcessOptions = {},
): Promise<string> {
  await using process = await LabProcess.start(task, args, options);
  assertEquals(await process.ended, status, process.transcript());
  assertEquals(process.stdout, "");
  return process.lines.at(-1)!;
}

for (
  const { task, args, says } of [
    {
      task: "host",
      args: ["--lisen", "127.0.0.1:0"],
      says:
        'host: Cannot use option "--lisen": there is none of that name; did you mean "--listen"?',
    },
    {
      task: "host",
      args: ["--listen", "127.0.0.1:99999"],
      says: "host: Cannot use --listen 127.0.0.1:99999: wanted ADDRESS:PORT",
    },
    {
      task: "host",
      args: [...DIAG, "--secure", "--insecure"],
      says: "host: Cannot use --secure and --insecure together",
    },
    {
      task: "host",
      args: [...DIAG, "--console", "tcp:0.0.0.0:0"],
      says: "host: Cannot listen for a console on 0.0.0.0: it has no password and is not loopback",
    },
    {
      task: "host",
      args: [...DIAG, "--net", "passed"],
      says: 'host: Cannot use network "passed": wanted passt',
    },
    {
      task: "card",
      args: [],
      says: "card: Cannot run a card without --connect HOST:PORT",
    },
    {
      task: "card",
      args: ["--conect", "127.0.0.1:1"],
      says:
        'card: Cannot use option "--conect": there is none of that name; did you mean "--connect"?',
    },
    {
      task: "card",
      args: ["--connect", "127.0.0.1:1", "--memory", "1"],
      says: "card: Cannot use --memory 1: wanted a whole number from 64 to 2047",
    },
    {
      task: "demo",
      args: ["--os", "dos"],
      says: "demo: Cannot use --os dos: wanted linux or diag",
    },
  ]
) {
  Deno.test(`${[task, ...args].join(" ")} is a wrong command line`, async () => {
    assertStringIncludes(await refusal(task, args, EXIT.usage), says);
  });
}

Deno.test("host names a disk image that it cannot use, and why", async () => {
  await using folder = await temporaryFolder();
  const disk = `${folder.path}/disk.img`;
  const open = () => refusal("host", [...DIAG, "--disk", disk], EXIT.resource);
  const name = `host: Cannot open disk image ${disk}`;
  assertEquals(
    await open(),
    `${name}: no such file; make an empty one with "truncate -s 1G ${disk}"`,
  );
  await Deno.writeFile(disk, new Uint8Array(1000));
  assertEquals(
    await open(),
    `${name}: it has 1000 bytes, wanted whole sectors of 512; "truncate -s %512 ${disk}" fills it up`,
  );
  await Deno.remove(disk);
  await Deno.mkdir(disk);
  assertEquals(
    await open(),
    `${name}: it is a directory; wanted a raw image file, or a block device`,
  );
});

Deno.test("host names a disk image that it may not read", async (t) => {
  await using folder = await temporaryFolder();
  const disk = await emptyDisk(folder.path);
  await Deno.chmod(disk, 0);
  const says = `host: Cannot open disk image ${disk}: permission denied; ` +
    `it must be open to this user for reading and writing, or be given as "${disk},readonly"`;
  if (Deno.uid() !== 0) {
    assertEquals(await refusal("host", [...DIAG, "--disk", disk], EXIT.resource), says);
    return;
  }
  await t.step({
    name: "as root without its power over files",
    ignore: noTaking,
    async fn() {
      const within = without("dac_override", "dac_read_search");
      const args = [...DIAG, "--disk", disk];
      assertEquals(await refusal("host", args, EXIT.resource, { within }), says);
    },
  });
});

Deno.test("host names a disk image that another host uses", async () => {
  await using folder = await temporaryFolder();
  const disk = await emptyDisk(folder.path);
  await using first = await LabProcess.start("host", [...DIAG, "--disk", disk]);
  await first.line(/listening/);
  assertEquals(
    await refusal("host", [...DIAG, "--disk", disk], EXIT.resource),
    `host: Cannot open disk image ${disk}: it is in use; whoever only reads it may share it as "${disk},readonly"`,
  );
});

Deno.test("host names a port that is taken", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${taken.addr.port}`;
  assertEquals(
    await refusal("host", ["--listen", address, "--os", "diag"], EXIT.resource),
    `host: Cannot listen on ${address}: the port is taken`,
  );
  assertEquals(
    await refusal("host", [...DIAG, "--console", `tcp:${address}`], EXIT.resource),
    `host: Cannot listen for a console on ${address}: the port is taken`,
  );
});

Deno.test({
  name: "host names a TAP that this user may not have, and how to get one",
  ignore: noTaking && Deno.uid() === 0,
}, async () => {
  const within = Deno.uid() === 0 ? without("net_admin") : [];
  const line = await refusal("host", [...DIAG, "--net", "tap:kbnot0"], EXIT.resource, { within });
  assertMatch(line, /^host: Cannot open TAP interface kbnot0: .* or choose passt$/);
});

Deno.test("host names a kernel that is none", async () => {
  await using folder = await temporaryFolder();
  const kernel = `${folder.path}/kernel`;
  const open = (status: number) => refusal("host", [...LISTEN, "--kernel", kernel], status);
  assertEquals(await open(EXIT.resource), `host: Cannot read boot image '${kernel}': no such file`);
  await Deno.writeTextFile(kernel, "The quick brown fox\n");
  assertEquals(
    await open(EXIT.boot),
    `host: Cannot boot '${kernel}': found a text file, wanted a 32-bit x86 Linux kernel (ELF or bzImage)`,
  );
});

Deno.test("host says how to get a card image where there is none", async () => {
  await using folder = await temporaryFolder();
  // Deno's own cache must stay where it is: a test does not download.
  const { denoDir } = JSON.parse(await onHost("deno", "info", "--json"));
  const env = { XDG_CACHE_HOME: folder.path, DENO_DIR: denoDir };
  assertStringIncludes(
    await refusal("host", LISTEN, EXIT.resource, { env }),
    "there is no card image in the cache; run `deno task card-os`",
  );
});

Deno.test("host refuses to boot what its card has no memory for", async () => {
  await using folder = await temporaryFolder();
  const initrd = await emptyDisk(folder.path, 100);
  const image = await cachedCardImage();
  const kernel = `${image!.folder}/vmlinux`;
  await using lab = await Lab.start({
    os: "linux",
    host: ["--kernel", kernel, "--initrd", initrd],
    card: ["--memory", "64"],
  });
  await lab.result(EXIT.boot);
  assertMatch(
    lab.host.lines.at(-1)!,
    /^host: Cannot boot: kernel .* and initrd \(100\.0 MiB\) .* need \d+ MiB of card memory, the card has 64$/,
  );
});

Deno.test("host reports a kernel that its card refuses", async () => {
  await using folder = await temporaryFolder();
  const image = await cachedCardImage();
  const kernel = `${folder.path}/vmlinux`;
  await Deno.writeFile(
    kernel,
    (await Deno.readFile(`${image!.folder}/vmlinux`)).subarray(0, 1 << 20),
  );
  await using lab = await Lab.start({ os: "linux", host: ["--kernel", kernel] });
  await lab.result(EXIT.boot);
  assertMatch(
    lab.host.lines.at(-1)!,
    /the card refused with POST code KF: .*ELF of 1048576 bytes ends/,
  );
});

Deno.test("host turns a card of another wire version away, and goes on", async () => {
  await using host = await LabProcess.start("host", DIAG);
  const listening = await host.line(/listening/);
  const port = Number(/:(\d+)$/.exec(listening)![1]);
  using card = await Deno.connect({ hostname: "127.0.0.1", port });
  await card.write(encodeGreeting(cardGreeting({ major: 2 })));
  const text = "Cannot greet peer: it speaks version 2.0, wanted 1.3";
  assertEquals(await readSome(card), encodeGoodbye("version", text));
  assertMatch(await host.line(/refused/), /^host: refused 127\.0\.0\.1:\d+: version, /);
  using another = await Deno.connect({ hostname: "127.0.0.1", port });
  await another.write(encodeGreeting(cardGreeting()));
  assertEquals((await readSome(another)).subarray(0, 8), new TextEncoder().encode("KNIGHTSB"));
});

Deno.test("card ends with status 4 at a host of another wire version", async () => {
  for (const answer of ["greeting", "goodbye"] as const) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const connect = `127.0.0.1:${listener.addr.port}`;
    await using card = await LabProcess.start("card", ["--connect", connect, "--machine", "diag"]);
    using host = await listener.accept();
    assertEquals((await readSome(host)).length, GREETING.size);
    const text = "Cannot greet peer: it speaks version 1.1, wanted 2.0";
    await host.write(
      answer === "greeting"
        ? encodeGreeting(cardGreeting({ role: "host", major: 2 }))
        : encodeGoodbye("version", text),
    );
    assertEquals(await card.ended, EXIT.refused, card.transcript());
    assertEquals(
      card.lines.at(-1),
      answer === "greeting"
        ? "card: Cannot greet peer: it speaks version 2.0, wanted 1.3"
        : `card: ${text}`,
    );
  }
});

Deno.test("card says that its host is not there, keeps trying, and finds it when it comes", async () => {
  const port = freePort();
  await using card = await LabProcess.start("card", [
    ...["--connect", `127.0.0.1:${port}`, "--machine", "diag"],
  ]);
  await card.line(/^card: Cannot connect to 127\.0\.0\.1:\d+: .*; trying again until it answers$/);
  await using host = await LabProcess.start("host", [
    ...["--listen", `127.0.0.1:${port}`, "--os", "diag", "--exec", "uname"],
  ]);
  assertEquals(await host.ended, EXIT.ok);
  assertEquals(host.stdout, "knightsbridge-diag\n");
  await card.line(/^card: connected to 127\.0\.0\.1:/);
});

Deno.test("a second card is told that the host is busy, keeps trying, and is served when the first is gone", async () => {
  await using lab = await Lab.start({ os: "diag" });
  await lab.online();
  const { port } = await lab.host.event(({ type }) => type === "listening");
  await using second = await LabProcess.start("card", [
    ...["--connect", `127.0.0.1:${port}`, "--machine", "diag"],
  ]);
  await second.line(
    /^card: the host said goodbye: busy, Cannot serve card: another process with its identity is/,
  );
  await lab.card[Symbol.asyncDispose]();
  await second.line(/^card: the card OS runs on diag/);
});

/** A port that nobody listens on, as of now. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** What a peer says first, in one read. */
async function readSome(conn: Deno.Conn): Promise<Uint8Array> {
  const bytes = new Uint8Array(4096);
  return bytes.subarray(0, await conn.read(bytes) ?? 0);
}
