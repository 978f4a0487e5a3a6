// Ctrl-C, SIGTERM and a process that dies: in every phase both ends are gone within seconds.
import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { runCard } from "../../card/mod.ts";
import { dialTcp } from "../../protocol/mod.ts";
import { EXIT } from "../../scripts/cli/mod.ts";
import { taskArguments } from "../../scripts/cli/tasks.ts";
import { FakeMachine } from "../support/fake_machine.ts";
import { isState, Lab } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";

/** More than any end takes that waits for nothing; less than any time limit of ours. */
const SOON = 8_000;

/** Ends `process` with `signal`; fails if it takes long. */
async function leave(process: LabProcess, signal: Deno.Signal): Promise<number | string> {
  const started = performance.now();
  process.kill(signal);
  const status = await process.ended;
  assertLess(performance.now() - started, SOON, process.transcript());
  return status;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.test(`host ends in good order at ${signal}`, async (t) => {
    await t.step("before a card came", async () => {
      await using host = await LabProcess.start("host", ["--listen", "127.0.0.1:0"]);
      await host.line(/listening/);
      assertEquals(await leave(host, signal), EXIT.interrupted);
    });
    await t.step("with its card online: the card OS stops", async () => {
      await using lab = await Lab.start({ os: "diag" });
      await lab.online();
      assertEquals(await leave(lab.host, signal), EXIT.interrupted);
      assertEquals(
        lab.host.events.find((event) => event.type === "stopped")?.["reason"],
        "poweroff",
      );
    });
  });
}

Deno.test("host ends at Ctrl-C while the card OS is downloaded or boots", async () => {
  for (const state of ["booting", "online"]) {
    await using lab = await Lab.start({ os: "linux", host: ["--disk", "mem:1M"] });
    await lab.host.event(isState(state));
    assertEquals(await leave(lab.host, "SIGINT"), EXIT.interrupted);
    assertEquals(await leave(lab.card, "SIGINT"), EXIT.ok);
  }
});

Deno.test("host ends at Ctrl-C while its card is away", async () => {
  await using lab = await Lab.start({ os: "diag" });
  await lab.online();
  lab.card.kill("SIGKILL");
  await lab.card.ended;
  await lab.host.event(({ type, status }) =>
    type === "link" && (status as { type: string }).type === "lost"
  );
  assertEquals(await leave(lab.host, "SIGINT"), EXIT.interrupted);
});

Deno.test("host ends at the second Ctrl-C if its card does not answer", async () => {
  await using lab = await Lab.start({ os: "diag" });
  await lab.online();
  lab.card.kill("SIGSTOP");
  lab.host.kill("SIGINT");
  await lab.host.event(isState("shutting_down"));
  // Within half a second of the first, it would count as the same.
  await new Promise((resolve) => setTimeout(resolve, 600));
  assertEquals(await leave(lab.host, "SIGINT"), EXIT.interrupted);
  lab.card.kill("SIGCONT");
});

Deno.test("host sends a peer away that is no card, and goes on listening", async () => {
  await using host = await LabProcess.start("host", [
    ...["--listen", "127.0.0.1:0", "--os", "diag", "--exec", "uname"],
  ]);
  const port = Number(/:(\d+)$/.exec(await host.line(/listening/))![1]);
  const stop = new AbortController();
  const wrong = runCard({
    dial: (signal) => dialTcp("127.0.0.1", port, signal),
    machine: ({ memoryBytes }) => Promise.resolve(new FakeMachine(memoryBytes)),
    memoryBytes: 4 * 1024 * 1024,
    identity: new Uint8Array(16),
    model: { device: 0x1234, revision: 0 },
    signal: stop.signal,
  });
  await host.line(/found PCI device 8086:1234/);
  stop.abort();
  await wrong;
  await using _card = await LabProcess.start("card", [
    ...["--connect", `127.0.0.1:${port}`, "--machine", "diag"],
  ]);
  assertEquals(await host.ended, EXIT.ok, host.transcript());
  assertEquals(host.stdout, "knightsbridge-diag\n");
});

/** Host and card of the demo `demo`, which runs. */
async function childrenOf(demo: LabProcess): Promise<number[]> {
  // Read by a shell: Deno itself opens files of /proc only with every permission.
  const words = ["-c", `cat /proc/${demo.pid}/task/*/children`];
  const { stdout } = await new Deno.Command("sh", { args: words }).output();
  return new TextDecoder().decode(stdout).split(" ").map(Number).filter((pid) => pid > 0)
    .sort((a, b) => a - b);
}

/** A signal that does nothing to a process that runs. */
function isThere(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}

const DEMO = ["--os", "diag", "--net", "none", "--exec", "bench vda rw=read seconds=60"];

Deno.test("demo takes host and card with it when it is ended", async () => {
  await using demo = await LabProcess.start("demo", [...DEMO, "--verbose"]);
  await demo.line(/"state":"online"/);
  const children = await childrenOf(demo);
  assertEquals(children.map(isThere), [true, true]);
  assertEquals(await leave(demo, "SIGTERM"), EXIT.interrupted);
  assertEquals(children.map(isThere), [false, false]);
});

Deno.test("demo ends when its card dies", async () => {
  await using demo = await LabProcess.start("demo", [...DEMO, "--verbose"]);
  await demo.line(/"state":"online"/);
  const [, card] = await childrenOf(demo);
  Deno.kill(card!, "SIGKILL");
  assertEquals(await demo.ended, EXIT.interrupted);
});

Deno.test("host and card go on when what they say cannot be written", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  /** Every write to its stderr fails, as on a terminal that hung up. */
  const deaf = async (task: string, args: readonly string[]) => {
    const words = ["-c", 'exec deno "$@" 2>/dev/full', "", ...await taskArguments(task), ...args];
    return new Deno.Command("sh", { args: words, stdin: "null", stdout: "piped" }).spawn();
  };
  const host = await deaf("host", [
    ...["--listen", `127.0.0.1:${port}`, "--os", "diag", "--exec", "uname"],
  ]);
  const card = await deaf("card", ["--connect", `127.0.0.1:${port}`, "--machine", "diag"]);
  const { code, stdout } = await host.output();
  card.kill("SIGTERM");
  assertEquals((await card.output()).code, EXIT.ok);
  assertEquals([code, new TextDecoder().decode(stdout)], [EXIT.ok, "knightsbridge-diag\n"]);
});

Deno.test("host --exec says so when the command's output cannot be written", async () => {
  const within = ["sh", "-c", 'exec "$@" >/dev/full', ""];
  await using lab = await Lab.start({ os: "diag", host: ["--exec", "uname"], within });
  assertEquals(await lab.host.ended, EXIT.resource);
  assertMatch(lab.host.lines.at(-1)!, /^host: Cannot write the command's output to stdout: /);
});
