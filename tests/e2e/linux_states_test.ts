// Every cell of the table of a card's states, by ctl and what befalls processes: a real host, and a real card with Linux.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cachedCardImage } from "../../scripts/cli/mod.ts";
import { Ctl } from "../support/ctl.ts";
import { onHost, rootDisk, temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";
import { CELLS, LifeWalk } from "../support/life_walk.ts";
import { missing } from "../support/needs.ts";
import { HALT, tinyKernel } from "../support/tiny_kernel.ts";

const noTools = await missing({ program: "prlimit" });
/** No process lives longer, ms. */
const LIMIT = 600_000;

/** A host of one Linux card that boots what the link `kernel` leads to, and its card process; both can be killed. */
class Bench implements AsyncDisposable {
  readonly ctl: Ctl;
  readonly folder: string;
  readonly #processes = new Map<"host" | "card", LabProcess>();
  /** Where the host listens; the next one listens there, too. */
  #port = "0";

  constructor(folder: string) {
    this.folder = folder;
    this.ctl = new Ctl(`${folder}/host.sock`);
  }

  async configure(): Promise<void> {
    const { folder: image } = (await cachedCardImage())!;
    const { manifest } = await rootDisk(this.folder);
    await Deno.writeFile(`${this.folder}/halt`, tinyKernel(HALT));
    await Deno.writeTextFile(
      `${this.folder}/knightsbridge.json`,
      JSON.stringify({
        state: "state",
        cards: {
          mic0: {
            kernel: "kernel",
            initrd: `${image}/initrd.img`,
            cmdline: manifest.cmdline,
            disks: ["root.img"],
            autoboot: false,
            // What is killed is given up before anybody starts it again.
            lossTimeout: "500ms",
          },
        },
      }),
    );
    await this.boots(`${image}/vmlinux`);
  }

  /** What the card boots from now on. */
  async boots(kernel: string): Promise<void> {
    await Deno.symlink(kernel, `${this.folder}/next`);
    await Deno.rename(`${this.folder}/next`, `${this.folder}/kernel`);
  }

  async startHost(): Promise<void> {
    const host = await LabProcess.start("host", [
      ...["--config", `${this.folder}/knightsbridge.json`, "--listen", `127.0.0.1:${this.#port}`],
      ...["--control", this.ctl.control, "--json"],
    ], { limit: LIMIT });
    this.#processes.set("host", host);
    this.#port = String((await host.event(({ type }) => type === "listening"))["port"]);
    await host.event(({ type }) => type === "control");
  }

  async startCard(): Promise<void> {
    const words = ["--connect", `127.0.0.1:${this.#port}`];
    this.#processes.set("card", await LabProcess.start("card", words, { limit: LIMIT }));
  }

  signal(name: "host" | "card", signal: Deno.Signal): void {
    this.#processes.get(name)!.kill(signal);
  }

  async #kill(name: "host" | "card"): Promise<void> {
    const process = this.#processes.get(name)!;
    process.kill("SIGKILL");
    await process[Symbol.asyncDispose]();
  }

  /** The host is killed, and another one started; its card comes when `watched` has resolved. */
  async killHost(watched: () => Promise<void>): Promise<void> {
    this.signal("card", "SIGSTOP");
    await this.#kill("host");
    await this.startHost();
    await watched();
    this.signal("card", "SIGCONT");
  }

  /** The card process is killed, and started again when its host has given it up. */
  async killCard(): Promise<void> {
    await this.#kill("card");
    await this.ctl.says(0, "wait", "--state", "absent");
    await this.startCard();
  }

  /** The card process can open no more files, or as many as it likes: without one it cannot make a machine. */
  async starve(starved: boolean): Promise<void> {
    const { pid } = this.#processes.get("card")!;
    await onHost("prlimit", "--pid", String(pid), starved ? "--nofile=3:" : "--nofile=1024:");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes.values()) await process[Symbol.asyncDispose]();
  }
}

Deno.test({
  name: "Linux on a card goes through every cell of the table of states, driven by ctl",
  ignore: noTools,
}, async () => {
  await using folder = await temporaryFolder();
  await using bench = new Bench(folder.path);
  await bench.configure();
  const { ctl } = bench;
  await using walk = new LifeWalk(ctl, "mic0");
  await bench.startHost();
  await walk.follow();
  const online = () =>
    walk.through(["boot", "came_online"], () => ctl.says(0, "boot", "mic0", "--wait"));
  await walk.through(["came", "became_ready"], () => bench.startCard());

  // Asleep with nothing on it, and back; a reset wakes it, too.
  await walk.through(["suspend"], () => ctl.says(0, "suspend"));
  assertMatch(await ctl.says(6, "boot"), /it is suspended, wanted ready/);
  await walk.through(["resume"], () => ctl.says(0, "resume"));
  await walk.through(["suspend"], () => ctl.says(0, "suspend"));
  await walk.through(["reset", "became_ready"], () => ctl.says(0, "reset"));

  // A kernel that is not there, one that stops at once, one that is reset or loses its card on the way up.
  await bench.boots("nowhere");
  await walk.through(["boot", "boot_failed"], () => ctl.says(0, "boot"));
  assertMatch(await ctl.says(0, "why"), /its last boot failed: .*kernel': no such file/);
  await bench.boots("halt");
  await walk.through(["boot", "stopped", "reset", "became_ready"], () => ctl.says(0, "boot"));
  assertMatch(await ctl.says(0, "status"), /ready \(halted\)/);
  await bench.boots(`${(await cachedCardImage())!.folder}/vmlinux`);
  await walk.through(["boot"], () => ctl.says(0, "boot"));
  assertMatch(await ctl.says(6, "shutdown"), /it is booting, wanted online/);
  await walk.through(["reset", "became_ready"], () => ctl.says(0, "reset"));
  await walk.through(["boot"], () => ctl.says(0, "boot"));
  await walk.through(["gone", "came", "became_ready"], () => bench.killCard());
  assertMatch(await ctl.says(0, "log", "--boots"), /crashed/);

  // Asleep with Linux on it: it stays so whoever is its card process, or its host, and keeps what it wrote.
  await online();
  await ctl.says(0, "exec", "mic0", "echo before the sleep > /root/kept");
  assertMatch(await ctl.says(0, "check"), /^(mic0 \d\. (pass|skip) .*\n){8}$/);
  await walk.through(["suspend", "stopped", "became_ready"], () => ctl.says(0, "suspend"));
  assertMatch(await ctl.says(0, "why"), /was suspended .* ago; its OS ran then/);
  await walk.through(["gone", "came", "became_ready", "suspend"], () => bench.killCard());
  await walk.through(
    ["host changed", "came", "became_ready", "suspend"],
    () => bench.killHost(() => walk.follow()),
  );
  await walk.through(["resume", "boot", "came_online"], () => ctl.says(0, "resume", "--wait"));
  assertEquals(await ctl.says(0, "exec", "mic0", "cat /root/kept"), "before the sleep\n");

  // Linux outlives its host, and not its card process.
  await walk.through(
    ["host changed", "came", "adopted"],
    () => bench.killHost(() => walk.follow()),
  );
  await walk.through(["gone", "came", "became_ready"], () => bench.killCard());

  // Ends of its own, and by command.
  await online();
  await walk.through(
    ["shutdown", "stopped", "reset", "became_ready"],
    () => ctl.says(0, "shutdown"),
  );
  assertMatch(await ctl.says(0, "status"), /ready \(poweroff\)/);
  await online();
  await walk.through(
    ["stopped", "reset", "became_ready"],
    () => ctl.run("exec", "mic0", "echo c > /proc/sysrq-trigger"),
  );
  assertMatch(await ctl.says(0, "why"), /crashed/);
  assertStringIncludes(
    await ctl.says(0, "log"),
    "Kernel panic - not syncing: sysrq triggered crash",
  );
  await online();
  await walk.through(["reset", "became_ready"], () => ctl.says(0, "reset"));

  // A card process that stands still before it obeys: reset instead, or killed.
  await online();
  bench.signal("card", "SIGSTOP");
  await walk.through(["suspend"], () => ctl.says(0, "suspend"));
  await walk.through(["reset"], () => ctl.says(0, "reset"));
  await walk.through(["became_ready"], () => Promise.resolve(bench.signal("card", "SIGCONT")));
  await online();
  bench.signal("card", "SIGSTOP");
  await walk.through(["shutdown"], () => ctl.says(0, "shutdown"));
  await walk.through(["gone", "came", "became_ready"], () => bench.killCard());
  await online();
  bench.signal("card", "SIGSTOP");
  await walk.through(["suspend"], () => ctl.says(0, "suspend"));
  await walk.through(["gone", "came", "became_ready", "suspend"], () => bench.killCard());
  bench.signal("card", "SIGSTOP");
  await walk.through(["reset"], () => ctl.says(0, "reset"));
  await walk.through(["gone", "came", "became_ready"], () => bench.killCard());

  // A card process that cannot make another machine, until it can.
  await online();
  await bench.starve(true);
  await walk.through(["suspend", "stopped", "reset_timeout"], () => ctl.says(0, "suspend"));
  assertMatch(await ctl.says(0, "why"), /^mic0 did not become ready after a reset/);
  await walk.through(["reset", "reset_timeout"], () => ctl.says(0, "reset"));
  await bench.starve(false);
  await walk.through(["reset", "became_ready"], () => ctl.says(0, "reset"));
  await bench.starve(true);
  await walk.through(["suspend"], () => ctl.says(0, "suspend"));
  await walk.through(["reset", "reset_timeout"], () => ctl.says(0, "reset"));
  await walk.through(["gone", "came", "became_ready"], () => bench.killCard());

  assertEquals([...walk.walked].toSorted(), CELLS.toSorted());
});
