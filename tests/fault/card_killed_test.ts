// A card process that dies, again and again, in the middle of its work: the host says so, keeps nothing, and serves the
// next.
import { assertEquals } from "@std/assert";
import { isState, onHost, temporaryFolder } from "../support/lab.ts";
import { LabConsole } from "../support/lab_console.ts";
import { LabProcess } from "../support/lab_process.ts";
import { memoryUse } from "../support/memory_use.ts";

const KILLS = 6;
/** The host lives through seven processes of cards, each of which takes seconds to start where much else runs; ms. */
const LIMIT = 300_000;
/** A file that closes under it `ls` takes for an error. */
const LIST_FILES = 'ls -l "/proc/$0/fd" 2>/dev/null || true';

/** What the process has open. Read by a child: Deno itself opens files of /proc only with every permission. */
async function openFiles(pid: number): Promise<string[]> {
  const listing = await onHost("sh", "-c", LIST_FILES, `${pid}`);
  return listing.split("\n").flatMap((line) => / -> (\S+)/.exec(line)?.[1] ?? []).map((name) =>
    name.replace(/:\[\d+\]$/, "")
  ).toSorted();
}

Deno.test("a host whose cards are killed at work says crashed each time, keeps nothing of them, and serves the next", async () => {
  await using folder = await temporaryFolder();
  const env = { XDG_CONFIG_HOME: folder.path };
  await using host = await LabProcess.start("host", [
    ...["--listen", "127.0.0.1:0", "--os", "diag", "--json", "--disk", "mem:16M"],
    ...["--console", "tcp:127.0.0.1:0"],
  ], { env, limit: LIMIT });
  const { port } = await host.event(({ type }) => type === "listening");
  const { name } = await host.event(({ type }) => type === "console");
  const console_ = /:(\d+)$/.exec(name as string)![1]!;
  await using terminal = LabConsole.socket(
    await Deno.connect({ hostname: "127.0.0.1", port: Number(console_) }),
  );
  const files: string[][] = [];
  const memory: number[] = [];
  const pauses: number[] = [];
  for (let n = 0; n <= KILLS; n++) {
    const from = host.events.length;
    const begun = performance.now();
    await using card = await LabProcess.start("card", [
      ...["--connect", `127.0.0.1:${port}`, "--machine", "diag", "--json"],
    ], { env });
    await host.event(isState("online"), from);
    pauses.push(Math.round(performance.now() - begun));
    files.push(await openFiles(host.pid));
    memory.push((await memoryUse(host.pid)).now);
    if (n > 0) {
      const states = host.events.slice(from).flatMap(({ type, event }) => {
        const { type: inner, state, reason } = (event ?? {}) as Record<string, string>;
        return type === "card" && inner === "state" ? [`${state} ${reason}`] : [];
      });
      assertEquals(states, ["shutting_down crashed", "ready nop", "booting nop", "online nop"]);
    }
    terminal.text = "";
    await terminal.type("\r");
    await terminal.shows(/diag# /);
    await terminal.type(`echo begun-${n}; bench vda rw=randwrite depth=16 seconds=60\r`);
    await terminal.shows(new RegExp(`\nbegun-${n}\r`));
    card.kill("SIGKILL");
    await card.ended;
    const lost = ({ type, status }: { type: string; status?: unknown }) =>
      type === "link" && (status as { type: string }).type === "lost";
    await host.event(lost, from);
  }
  console.log(
    `figure: ${KILLS} kills; open files ${files.map((all) => all.length).join(", ")}; ` +
      `memory ${memory.join(", ")} MiB; start of a card process to online ${pauses.join(", ")} ms`,
  );
  for (const again of files.slice(1)) assertEquals(again, files[0]);
});
