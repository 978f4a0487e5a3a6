// nbdkit's filters behind Linux's disks: what they break fails in the card OS, request by request, and nothing else does.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Lab, randomBytes, rootDisk, sbin, temporaryFolder } from "../support/lab.ts";
import type { LabEvent } from "../support/lab_process.ts";
import { LabShell } from "../support/lab_shell.ts";
import { NbdProcess } from "../support/nbd_process.ts";
import { missing } from "../support/needs.ts";

const noTools = await missing(
  ...["nbdkit", "mke2fs", "e2fsck", "debugfs"].map((program) => ({ program })),
);

const MIB = 1024 * 1024;
const BLOCK = 4096;
const BLOCKS = 20;
/** What dd says of a request that failed. */
const EIO = /Input\/output error/;

/** Blocks whose request failed, by nbdkit's own log. */
function failures(log: string, action: "Read" | "Write" | "Trim" | "Zero"): number[] {
  const offsets = new Map<string, number>();
  const failed: number[] = [];
  for (const line of log.split("\n")) {
    const [, asked, begun] = new RegExp(` ${action} id=(\\d+) offset=(0x\\w+) `).exec(line) ?? [];
    if (asked !== undefined) offsets.set(asked, Number(begun) / BLOCK);
    const [, id] = new RegExp(`\\.\\.\\.${action} id=(\\d+) return=-1`).exec(line) ?? [];
    if (id !== undefined) failed.push(offsets.get(id)!);
  }
  return failed.sort((a, b) => a - b);
}

Deno.test({
  name: "Linux gets an error for each request that nbdkit fails, and for no other",
  ignore: noTools,
}, async (t) => {
  await using folder = await temporaryFolder();
  await using stack = new AsyncDisposableStack();
  const at = (name: string) => `${folder.path}/${name}`;
  const serve = async (name: string, ...words: readonly string[]): Promise<string> => {
    await Deno.mkdir(at(name));
    const server = stack.use(NbdProcess.nbdkit(at(name), ...words));
    await server.ready();
    return server.uri;
  };
  /** A filter's parameters for an error that comes while the file `trigger` is there. */
  const error = (kind: string, trigger: string, rate = 100, errno = "EIO") => [
    ...[`error-${kind}=${errno}`, `error-${kind}-rate=${rate}%`],
    `error-${kind}-file=${at(trigger)}`,
  ];

  // vda is Linux's own and vdb holds the pattern, both files; the others are nbdkit's.
  const { path: root } = await rootDisk(folder.path);
  const pattern = new Uint8Array(4 * MIB);
  const words = new DataView(pattern.buffer);
  for (let offset = 0; offset < pattern.length; offset += 8) {
    words.setBigUint64(offset, BigInt(offset));
  }
  await Deno.writeFile(at("pattern"), pattern);
  const contents = randomBytes(MIB);
  await Deno.writeFile(at("flaky.img"), contents);
  await sbin(
    "mke2fs",
    "-q",
    "-t",
    "ext4",
    "-O",
    "^has_journal",
    "-E",
    "lazy_itable_init=0",
    at("ext4.img"),
    "16384k",
  );
  const logged = ["--filter=log", "--filter=error"];
  const disks = [
    root,
    `${at("pattern")},readonly`,
    await serve(
      "vdc",
      ...[...logged, "file", at("flaky.img"), `logfile=${at("vdc.log")}`],
      ...[...error("pread", "reads", 50), ...error("pwrite", "writes", 50)],
      ...error("trim", "trims", 50),
    ),
    await serve(
      "vdd",
      ...[...logged, "file", at("ext4.img"), `logfile=${at("vdd.log")}`],
      ...error("zero", "zeroes"),
    ),
    await serve(
      "vde",
      ...["--filter=error", "eval", "get_size=echo 1M", "pread=head -c $3 /dev/zero"],
      ...["pwrite=cat >/dev/null", "can_write=exit 0", "can_flush=exit 0"],
      `flush=if [ -e ${at("flushes")} ]; then echo EIO >&2; exit 1; fi`,
      ...error("pwrite", "full", 100, "ENOSPC"),
    ),
    await serve("vdf", "--filter=delay", "memory", "1M", "delay-write=3"),
    await serve("vdg", "--filter=checkwrite", "pattern", "4M"),
  ];
  const host = [
    ...disks.flatMap((disk) => ["--disk", disk]),
    ...["--console", `unix:${at("console")}`],
  ];
  const lab = stack.use(await Lab.start({ os: "linux", host, limit: 240_000 }));
  const shell = stack.use(await LabShell.open(at("console")));
  const trigger = (name: string) => Deno.writeTextFile(at(name), "");
  const over = (name: string) => Deno.remove(at(name));
  /** Runs `command` for blocks $i; returns those for which it failed. */
  const each = async (command: string): Promise<number[]> => {
    const { output } = await shell.run(
      `for i in $(seq 0 ${BLOCKS - 1}); do ${command} >/dev/null 2>&1 || echo $i; done`,
    );
    return output.split("\n").slice(0, -1).map(Number);
  };
  const told = () =>
    lab.host.events.filter(({ type }) => type === "backend").map(({ error }) => error as string);
  /** What is done from block `at` on, `count` blocks at once. */
  const read = (at: string, count: number) =>
    `dd if=/dev/vdc of=/dev/null bs=$((${count} * ${BLOCK})) skip=${at} count=1 iflag=direct`;
  const write = (at: string, count: number) =>
    `dd if=/dev/vdb of=/dev/vdc bs=$((${count} * ${BLOCK})) skip=${at} seek=${at} count=1 ` +
    "oflag=direct conv=notrunc";
  const trim = (at: string, count: number) =>
    `blkdiscard -o $((${at} * ${BLOCK})) -l $((${count} * ${BLOCK})) /dev/vdc`;

  await t.step("a zeroing that fails is an error at its sector", async () => {
    await shell.run("mkdir -p /mnt; mount -t ext4 -o nodioread_nolock,noatime /dev/vdd /mnt");
    await trigger("zeroes");
    // ext4 zeroes the rest of a small preallocated extent rather than split it.
    await shell.run("cd /mnt; fallocate -l 32768 file; sync file");
    await shell.run("printf x | dd of=file bs=4k seek=3 conv=notrunc,fsync; cd /; umount /mnt");
    await over("zeroes");
    const [block] = failures(await Deno.readTextFile(at("vdd.log")), "Zero");
    const { output } = await shell.run("dmesg | grep 'I/O error'");
    const sector = block! * BLOCK / 512;
    assertMatch(output, new RegExp(`^.* dev vdd, sector ${sector} op 0x9:\\(WRITE_ZEROES\\).*\n$`));
    assertMatch(told()[0]!, new RegExp(`^WRITE_ZEROES request at sector ${sector} failed: `));
  });
  for (
    const [action, name, command] of [
      ["Read", "reads", read],
      ["Write", "writes", write],
      ["Trim", "trims", trim],
    ] as const
  ) {
    await t.step(
      `the card OS sees those ${name} fail that failed, and the host tells`,
      async () => {
        const before = told().length;
        await trigger(name);
        // Meanwhile Linux's own disk is read: none of it is any trouble.
        await shell.run(
          "dd if=/dev/vda of=/tmp/vda bs=64k count=64 iflag=direct 2>/tmp/said & true",
        );
        const failed = await each(command("$i", 1));
        await over(name);
        const injected = failures(await Deno.readTextFile(at("vdc.log")), action);
        assertEquals(failed, injected);
        assert(failed.length > 0 && failed.length < BLOCKS, `${failed.length} of ${BLOCKS} failed`);
        // Many at once are not all told one by one.
        const sectors = told().slice(before).map((text) =>
          Number(/ at sector (\d+) /.exec(text)![1])
        );
        assertEquals(sectors, failed.slice(0, sectors.length).map((block) => block * BLOCK / 512));
        assert(sectors.length > 0);
        assertEquals(await shell.run("wait; tail -1 /tmp/said"), {
          output: "64+0 records out\n",
          status: 0,
        });
        // And all is well again.
        assertEquals((await shell.run(command("0", BLOCKS))).status, 0);
      },
    );
  }
  await t.step("the error is EIO, and of the disk is nothing but what was written", async () => {
    await trigger("reads");
    const { output } = await shell.run(
      `until ! dd if=/dev/vdc of=/dev/null bs=${BLOCK} count=1 iflag=direct 2>&1; do :; done`,
    );
    await over("reads");
    assertMatch(output, EIO);
    const stored = await Deno.readFile(at("flaky.img"));
    const end = BLOCKS * BLOCK;
    assertEquals(stored.subarray(end), contents.subarray(end));
  });
  await t.step("a flush that fails fails the sync, and the next one is well", async () => {
    const sync = `dd if=/dev/zero of=/dev/vde bs=${BLOCK} count=1 conv=notrunc,fsync`;
    await trigger("flushes");
    assertMatch((await shell.run(sync)).output, EIO);
    await over("flushes");
    assertEquals((await shell.run(sync)).status, 0);
  });
  await t.step("a full store is EIO too: a block device has no other word", async () => {
    const direct = `dd if=/dev/zero of=/dev/vde bs=${BLOCK} count=1 oflag=direct conv=notrunc`;
    await trigger("full");
    // The host tells of so many errors a second, and counts the rest.
    do assertMatch((await shell.run(direct)).output, EIO); while (
      !told().some((error) => error.includes("the server says ENOSPC"))
    );
    await over("full");
    assertEquals((await shell.run(direct)).status, 0);
  });
  await t.step("a slow write holds up nothing else, not even on its own disk", async () => {
    const { output } = await shell.run(
      `{ dd if=/dev/vdb of=/dev/vdf bs=${BLOCK} count=1 oflag=direct conv=notrunc; echo slow; } ` +
        "2>/dev/null & " +
        `dd if=/dev/vdf of=/dev/null bs=${BLOCK} skip=1 count=1 iflag=direct 2>/dev/null; ` +
        `dd if=/dev/vda of=/dev/null bs=${BLOCK} count=1 iflag=direct 2>/dev/null; echo fast; ` +
        `wait; dd if=/dev/vdf bs=${BLOCK} count=1 2>/dev/null | md5sum; ` +
        `dd if=/dev/vdb bs=${BLOCK} count=1 2>/dev/null | md5sum`,
    );
    const [first, second, written, wanted] = output.split("\n");
    assertEquals([first, second, written], ["fast", "slow", wanted]);
  });
  await t.step("each byte written is the one that was meant, and a wrong one is seen", async () => {
    for (const how of ["bs=64k oflag=direct", "bs=1000k conv=notrunc,fsync"]) {
      const { output, status } = await shell.run(`dd if=/dev/vdb of=/dev/vdg ${how}`);
      assertEquals(status, 0, output);
    }
    const { output } = await shell.run(
      `dd if=/dev/vdb of=/dev/vdg bs=${BLOCK} skip=1 seek=2 count=1 oflag=direct conv=notrunc`,
    );
    assertMatch(output, EIO);
  });
  await t.step("nothing else broke", async () => {
    const { output } = await shell.run(
      "dmesg | grep -i -e 'i/o error' -e 'hung' -e 'ext4-fs error'",
    );
    for (const line of output.trim().split("\n")) assertMatch(line, /dev vd[cdeg], /);
    await shell.run("echo well >/root/file; sync");
    // The host shuts the card OS down.
    await lab.host[Symbol.asyncDispose]();
    const faults = lab.host.events.filter(({ type, event }) =>
      type === "failed" || (event as LabEvent | undefined)?.type === "fault"
    );
    assertEquals(faults, []);
    await sbin("e2fsck", "-fn", root);
    assertMatch(await sbin("debugfs", "-R", "cat /root/file", root), /^well\n$/);
  });
});
