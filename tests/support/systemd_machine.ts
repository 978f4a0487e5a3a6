/**
 * A machine that systemd runs, as its process 1: made of the machine that the test runs on, and gone with the test.
 * What it is made of is in `systemd_machine/boot`.
 *
 * @module
 */
import { cachedCardImage } from "../../scripts/cli/mod.ts";
import { LabProcess } from "./lab_process.ts";
import { missing } from "./needs.ts";

const BOOT = new URL("systemd_machine/boot", import.meta.url).pathname;
const CHECKOUT = new URL("../../", import.meta.url).pathname;
/** Where every distribution has it. */
const SYSTEMD = "/lib/systemd/systemd";
/** No machine lives longer, ms. */
const LIMIT = 400_000;
/** A machine boots in two seconds, or ten times that on one that does much else. */
const BOOT_LIMIT = 60_000;
/** No command in it takes longer, s. */
const COMMAND_LIMIT = 120;

/** Everything in it, processes and files, goes when it is disposed. */
export class SystemdMachine implements AsyncDisposable {
  readonly #process: LabProcess;
  readonly #within: readonly string[];

  private constructor(process: LabProcess, pid: string) {
    this.#process = process;
    this.#within = ["nsenter", "--all", `--target=${pid}`, "timeout", `${COMMAND_LIMIT}`];
  }

  /** Boots one; resolves when all of its units have been started. */
  static async boot(): Promise<SystemdMachine> {
    const command = [SYSTEMD, "--system", "--unit=multi-user.target", "--log-target=journal"];
    await using starting = new AsyncDisposableStack();
    const process = starting.use(await start([...command, "--show-status=no"]));
    const [, pid] = await process.output(/^pid (\d+)$/m);
    const machine = new SystemdMachine(process, pid!);
    // Until it has a socket there is nobody to ask.
    const asked = performance.now();
    for (;;) {
      const { stdout, stderr } = await machine.#output("systemctl", "is-system-running", "--wait");
      if (stdout === "running\n") break;
      if (performance.now() - asked > BOOT_LIMIT || stdout === "degraded\n") {
        throw new Error(`The machine does not boot: ${stdout}${stderr}${await machine.journal()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    starting.move();
    return machine;
  }

  /** What `words`, a program and its arguments, print there. @throws {Error} with the journal, if they fail */
  async run(...words: string[]): Promise<string> {
    const { success, stdout, stderr } = await this.#output(...words);
    if (success) return stdout;
    throw new Error(`${words.join(" ")}: ${stdout}${stderr}\n${await this.journal()}`);
  }

  /** As {@linkcode SystemdMachine.run}, of a shell's script. */
  sh(script: string): Promise<string> {
    return this.run("sh", "-euc", script);
  }

  /** What its units have said, a line each, without times and names. */
  async journal(): Promise<string> {
    return (await this.#output("journalctl", "--no-pager", "--output=cat")).stdout;
  }

  /** Ends it: every process, every file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }

  async #output(...words: string[]) {
    const [program, ...args] = [...this.#within, ...words];
    const result = await new Deno.Command(program!, { args, stdin: "null" }).output();
    const text = new TextDecoder();
    return {
      success: result.success,
      stdout: text.decode(result.stdout),
      stderr: text.decode(result.stderr),
    };
  }
}

/** True, with the reason printed, where such a machine cannot be: for `Deno.test({ ignore })`. */
export async function noSystemdMachine(): Promise<boolean> {
  const programs = ["unshare", "nsenter", "setpriv", "ip", "systemctl", "dbus-daemon"];
  if (await missing("root", ...programs.map((program) => ({ program })))) return true;
  if (!await Deno.stat(SYSTEMD).then(() => true, () => false)) {
    console.error(`skipped here: no ${SYSTEMD}`);
    return true;
  }
  const tried = await start(["true"]);
  const status = await tried.ended;
  await tried[Symbol.asyncDispose]();
  if (status === 0) return false;
  console.error(`skipped here: no machine for systemd: ${tried.lines.join("; ")}`);
  return true;
}

async function start(command: readonly string[]): Promise<LabProcess> {
  const image = await cachedCardImage();
  if (image === undefined) throw new Error("No card image: run deno task card-os");
  const words = [BOOT, CHECKOUT, Deno.execPath(), image.folder, ...command];
  return LabProcess.run("machine", words, { limit: LIMIT });
}
