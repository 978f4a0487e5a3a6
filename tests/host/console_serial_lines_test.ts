// A card's serial port among what its console shows.
import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { BootLog } from "../../host/console/boot_log.ts";
import { ConsoleHub } from "../../host/console/hub.ts";
import { SerialLines } from "../../host/console/serial_lines.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { temporaryFolder } from "../support/lab.ts";
import { SeenConsole } from "../support/seen_console.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const pieceOf = (text: string, position: number) => ({ bytes: bytesOf(text), position });
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A console and its serial port, and what was shown of both. */
class Desk implements Disposable {
  text = "";
  shown = 0;
  readonly lines = new SerialLines((bytes) => this.#show(bytes));
  /** While set, whoever shows waits for it. */
  slow: Promise<void> | undefined;

  write(text: string): void {
    this.#show(this.lines.passing(bytesOf(text)));
  }
  serial(text: string, lost = 0): void | Promise<void> {
    return this.lines.add(bytesOf(text), lost);
  }
  #show(bytes: Uint8Array): void | Promise<void> {
    this.text += textOf(bytes);
    return this.slow;
  }
  [Symbol.dispose](): void {
    this.lines[Symbol.dispose]();
  }
}

Deno.test("serial output is shown as lines of a terminal, whatever their ends", () => {
  using desk = new Desk();
  desk.serial("[    0.000000] Linux version 6\r\n\n[    0.1] next\n");
  assertEquals(desk.text, "[    0.000000] Linux version 6\r\n\r\n[    0.1] next\r\n");
});

Deno.test("a serial line waits for the end of a line that is being written", async () => {
  using clock = fakeClock();
  using desk = new Desk();
  desk.write("total ");
  const shown = desk.serial("[ 1.0] one\n");
  void desk.serial("[ 1.1] two\n");
  desk.write("1");
  await clock.tick(50);
  assertEquals(desk.text, "total 1");
  desk.write("2\r\ndrwx");
  assertEquals(desk.text, "total 12\r\n[ 1.0] one\r\n[ 1.1] two\r\ndrwx");
  await shown;
  await clock.tick(5000);
  assertEquals(desk.text, "total 12\r\n[ 1.0] one\r\n[ 1.1] two\r\ndrwx");
});

Deno.test("a serial line breaks in on a console that stands still within a line, as at a prompt", async () => {
  using clock = fakeClock();
  using desk = new Desk();
  desk.write("# ls");
  void desk.serial("panic\n");
  await clock.tick(99);
  assertEquals(desk.text, "# ls");
  await clock.tick(1);
  assertEquals(desk.text, "# ls\r\npanic\r\n");
  desk.serial("more\n");
  assertEquals(desk.text, "# ls\r\npanic\r\nmore\r\n");
  desk.write(" -l");
  await clock.tick(100);
  assertEquals(desk.serial("again\n"), undefined, "at once");
  assertEquals(desk.text, "# ls\r\npanic\r\nmore\r\n -l\r\nagain\r\n");
});

Deno.test("a serial line waits no longer than a second for a console that writes one line without end", async () => {
  using clock = fakeClock();
  using desk = new Desk();
  void desk.serial("");
  for (let i = 0; i < 40; i++) {
    desk.write(".");
    if (i === 5) void desk.serial("at last\n");
    await clock.tick(50);
  }
  assertMatch(desk.text, /^\.{20,30}\r\nat last\r\n\.{10,}$/);
  assertEquals(desk.text.replaceAll(".", "").trim(), "at last");
});

Deno.test("a serial line that comes in parts is shown in parts, and its end is no line if there is none", () => {
  using desk = new Desk();
  desk.serial("Decompressing Linux... ");
  desk.serial("\r\n");
  desk.serial("login: ");
  desk.serial("root\n\n");
  assertEquals(desk.text, "Decompressing Linux... \r\nlogin: \r\nroot\r\n\r\n");
});

Deno.test("what is lost of the serial port is told where it is missing", () => {
  using desk = new Desk();
  desk.serial("one\n");
  desk.serial("ken\nrest\n", 4096);
  assertEquals(desk.text.split("\r\n"), [
    "one",
    "[knightsbridge: 4096 bytes of the serial port lost]",
    "ken",
    "rest",
    "",
  ]);
});

Deno.test("who adds serial output waits as long as whoever reads it", async () => {
  using clock = fakeClock();
  using desk = new Desk();
  const reader = Promise.withResolvers<void>();
  desk.slow = reader.promise;
  desk.write("# ");
  let done = 0;
  const first = Promise.resolve(desk.serial("one\n")).then(() => done++);
  await clock.tick(200);
  assertEquals([desk.text, done], ["# \r\none\r\n", 0]);
  const second = Promise.resolve(desk.serial("two\n")).then(() => done++);
  await clock.tick(200);
  assertEquals(done, 0);
  reader.resolve();
  await Promise.all([first, second]);
});

Deno.test("every byte of both is shown once, in its order, and serial lines are whole", async () => {
  const step = fc.oneof(
    fc.record({ write: fc.array(fc.constantFrom("a", "b\r\n", "c"), { minLength: 1 }) }),
    fc.record({ serial: fc.array(fc.constantFrom("1", "2\n", "3\r\n"), { minLength: 1 }) }),
    fc.record({ wait: fc.nat(1200) }),
  );
  await fc.assert(fc.asyncProperty(fc.array(step), async (steps) => {
    using clock = fakeClock();
    using desk = new Desk();
    let written = "";
    let serial = "";
    for (const step of steps) {
      if ("write" in step) {
        desk.write(step.write.join(""));
        written += step.write.join("");
      } else if ("serial" in step) {
        void desk.serial(step.serial.join(""));
        serial += step.serial.join("");
      } else await clock.tick(step.wait);
    }
    desk.lines.flush();
    assertEquals(desk.text.replaceAll(/[\d\r\n]/g, ""), written.replaceAll(/[\r\n]/g, ""));
    assertEquals(desk.text.replaceAll(/[a-c\r\n]/g, ""), serial.replaceAll(/[\r\n]/g, ""));
    for (const line of desk.text.split("\r\n")) assertMatch(line, /^(?:[a-c]*|\d*)$/);
  }));
});

Deno.test("a hub shows serial lines to every viewer, in the scrollback and in the boot's log, and what is typed stays", async () => {
  await using folder = await temporaryFolder();
  const log = new BootLog({ folder: folder.path, report() {}, now: () => 0 });
  await using hub = new ConsoleHub({ name: "mic0", log });
  const viewers = [new SeenConsole("a"), new SeenConsole("b")];
  for (const viewer of viewers) hub.attach(viewer, { use: "typing" });
  const typed: string[] = [];
  hub.open({ input: (bytes) => typed.push(textOf(bytes)), resized() {} });
  hub.beginBoot(1);
  hub.serial(pieceOf("[    0.000000] Linux version\n", 0));
  hub.write(bytesOf("# "));
  viewers[0]!.type("l");
  hub.write(bytesOf("l"));
  const shown = hub.serial(pieceOf("[    1.0] kernel\n", 29));
  viewers[0]!.type("s\r");
  hub.write(bytesOf("s\r\nfile\r\n"));
  await shown;
  hub.write(bytesOf("# "));
  hub.serial(pieceOf("last words\n", 46));
  hub.beginBoot(2);
  const text =
    "[    0.000000] Linux version\r\n# ls\r\nfile\r\n[    1.0] kernel\r\n# \r\nlast words\r\n";
  for (const viewer of viewers) assertEquals(viewer.text, text);
  assertEquals(typed, ["l", "s\r"]);
  assertMatch(textOf(hub.tail()), /Linux version[^]*last words\r\n\r\n.knightsbridge: boot 2/);
  const stamp = "1970-01-01T00:00:00.000Z ";
  assertEquals(
    textOf((await log.read(1))!),
    text.replaceAll("\r\n", "\n").replaceAll(/^(?=.)/gm, stamp),
  );
});

Deno.test("a piece that comes again to a hub, or to one that goes on with the log, is shown and kept once, and what is missing is told", async () => {
  await using folder = await temporaryFolder();
  const open = () => {
    const log = new BootLog({ folder: folder.path, report() {}, now: () => 0 });
    return new ConsoleHub({ name: "mic0", log });
  };
  await using first = open();
  first.beginBoot(7);
  first.serial(pieceOf("one\n", 0));
  first.serial(pieceOf("two\n", 4));
  // The same host, another connection: what it took comes again, with what was said meanwhile.
  first.beginBoot(7, true);
  first.serial(pieceOf("two\nthree\n", 4));
  first.serial(pieceOf("four\n", 14));
  first.serial(pieceOf("after a gap\n", 119));
  await first[Symbol.asyncDispose]();
  await using second = open();
  second.beginBoot(7, true);
  second.serial(pieceOf("after a gap\nfive\n", 119));
  // No piece of this boot could begin there: it is another's, and new.
  second.beginBoot(7, true);
  second.serial(pieceOf("five\n", 0));
  second.beginBoot(8);
  second.serial(pieceOf("another boot\n", 0));
  assertMatch(
    textOf(second.tail()),
    /boot 7[^\n]*\nfive\r\n[^]*\nfive\r\n[^]*boot 8[^\n]*\nanother boot\r\n$/,
  );
  const lines = async (boot: number) =>
    textOf((await second.log!.read(boot))!).trimEnd().split("\n").map((line) => line.slice(25));
  assertEquals(await lines(7), [
    "one",
    "two",
    "three",
    "four",
    "[knightsbridge: 100 bytes of the serial port lost]",
    "after a gap",
    "five",
    "five",
  ]);
  assertEquals(await lines(8), ["another boot"]);
});

Deno.test("positions of serial output wrap, and a log whose mark is none is no reason to leave anything out", async () => {
  await using folder = await temporaryFolder();
  const log = new BootLog({ folder: folder.path, report() {}, now: () => 0 });
  await using hub = new ConsoleHub({ name: "mic0", log });
  hub.beginBoot(1);
  hub.serial(pieceOf("0123456789a\n", 0xffff_fff0));
  hub.serial(pieceOf("abcdef\n", 0xffff_fffc));
  hub.beginBoot(1, true);
  hub.serial(pieceOf("abcdef\nghi\n", 0xffff_fffc));
  await log.flushed();
  assertEquals(log.markOf(1), 7);
  assertEquals(
    textOf((await log.read(1))!).replaceAll(/^.{25}/gm, ""),
    "0123456789a\nabcdef\nghi\n",
  );
  for (const text of ["", "7", "0000000x07"]) {
    await Deno.writeTextFile(`${folder.path}/boot-1.serial`, text);
    assertEquals(log.markOf(1), undefined);
  }
  assertEquals(log.markOf(2), undefined);
});
