import { assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import type { ConsoleEvents } from "../../host/backends/types.ts";
import { ExecChannel } from "../../host/control/exec.ts";
import { BackendError } from "../../protocol/errors.ts";
import { decodeExecRequest, encodeExecTrailer } from "../../protocol/exec.ts";

/** The card's end: takes request lines, and writes to the two outputs. */
class Card implements ConsoleEvents {
  readonly channel = new ExecChannel();
  /** How many bytes of a request it takes at once. */
  appetite = Infinity;
  #line = "";

  constructor(open = true) {
    for (const port of [this.channel.in, this.channel.out, this.channel.err]) port.open(this);
    if (open) this.channel.in.opened!(true, false);
  }
  input(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.appetite);
    this.#line += new TextDecoder().decode(bytes.subarray(0, taken));
    return taken;
  }
  resized(): void {}
  /** All that came, as it came. */
  lines(): string {
    const lines = this.#line;
    this.#line = "";
    return lines;
  }
  /** The one request that is there; undefined if there is none or half of one. */
  request(): { nonce: string; command: string } | undefined {
    if (!this.#line.endsWith("\n")) return undefined;
    const request = decodeExecRequest(this.#line.slice(0, -1));
    this.#line = "";
    return request;
  }
  write(port: "out" | "err", text: string): void | Promise<void> {
    return this.channel[port].write(new TextEncoder().encode(text));
  }
  /** Ends both outputs. */
  end(nonce: string, status: number): void {
    this.channel.out.write(encodeExecTrailer(nonce, status));
    this.channel.err.write(encodeExecTrailer(nonce, status));
  }
}

/** A writer that keeps text. */
function sink() {
  const kept = { text: "", write: (bytes: Uint8Array) => void (kept.text += decode(bytes)) };
  return kept;
}
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const quiet = { stdout: () => {}, stderr: () => {} };

Deno.test("ExecChannel.run() sends the command, parts the outputs and resolves to the status", async () => {
  const card = new Card();
  const stdout = sink();
  const stderr = sink();
  const status = card.channel.run("uname -r; echo ü", {
    stdout: stdout.write,
    stderr: stderr.write,
  });
  const { nonce, command } = card.request()!;
  assertEquals(command, "uname -r; echo ü");
  card.write("out", "6.1");
  card.write("err", "oh");
  card.write("out", ".0\n");
  card.end(nonce, 3);
  assertEquals([await status, stdout.text, stderr.text], [3, "6.1.0\n", "oh"]);
});

Deno.test("ExecChannel.run() waits until the card has opened the port, and takes the line bit by bit", async () => {
  const card = new Card(false);
  const status = card.channel.run("true", quiet);
  assertEquals(card.request(), undefined);
  card.appetite = 10;
  card.channel.in.opened!(true, false);
  assertEquals(card.request(), undefined);
  for (let i = 0; i < 5; i++) card.channel.in.resume();
  card.end(card.request()!.nonce, 0);
  assertEquals(await status, 0);
});

Deno.test("ExecChannel.run() is over only when both outputs are, whichever is first", async () => {
  for (const [first, second] of [["out", "err"], ["err", "out"]] as const) {
    const card = new Card();
    let over = false;
    const status = card.channel.run("x", quiet).finally(() => over = true);
    const { nonce } = card.request()!;
    card.write(first, `${nonce} 5\n`);
    await Promise.resolve();
    assertEquals(over, false);
    card.write(second, `${nonce} 5\n`);
    assertEquals(await status, 5);
  }
});

Deno.test("ExecChannel runs one command at a time, in order", async () => {
  const card = new Card();
  const first = card.channel.run("first", quiet);
  const second = card.channel.run("second", quiet);
  const { nonce } = card.request()!;
  assertEquals(card.request(), undefined);
  card.end(nonce, 0);
  await first;
  const next = card.request()!;
  assertEquals([next.command, next.nonce === nonce], ["second", false]);
  card.end(next.nonce, 1);
  assertEquals(await second, 1);
});

Deno.test("ExecChannel lets the card wait for a slow writer, and is not over before it", async () => {
  const card = new Card();
  const gate = Promise.withResolvers<void>();
  let over = false;
  const status = card.channel.run("x", { ...quiet, stdout: () => gate.promise })
    .finally(() => over = true);
  const { nonce } = card.request()!;
  let taken = false;
  const write = Promise.resolve(card.write("out", `text${nonce} 0\n`)).then(() => taken = true);
  card.write("err", `${nonce} 0\n`);
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals([taken, over], [false, false]);
  gate.resolve();
  await write;
  assertEquals(await status, 0);
});

Deno.test("ExecChannel.run() rejects with what a writer throws, and the next command runs after this one", async () => {
  for (const later of [false, true]) {
    const card = new Card();
    const stdout = () => {
      if (later) return Promise.reject(new Error("pipe closed"));
      throw new Error("pipe closed");
    };
    const failed = assertRejects(() => card.channel.run("x", { ...quiet, stdout }), Error, "pipe");
    const next = card.channel.run("y", quiet);
    const { nonce } = card.request()!;
    card.write("out", "text");
    await failed;
    assertEquals(card.request(), undefined);
    card.end(nonce, 0);
    card.end(card.request()!.nonce, 2);
    assertEquals(await next, 2);
  }
});

Deno.test("ExecChannel.run() can be given up while it waits and while it runs; output then is dropped", async () => {
  const card = new Card();
  const controller = new AbortController();
  const { signal } = controller;
  const stdout = sink();
  const running = assertRejects(
    () => card.channel.run("running", { ...quiet, stdout: stdout.write, signal }),
    Error,
    "enough",
  );
  const waiting = assertRejects(
    () => card.channel.run("no", { ...quiet, signal }),
    Error,
    "enough",
  );
  const third = card.channel.run("third", quiet);
  controller.abort(new Error("enough"));
  await Promise.all([running, waiting]);
  const { nonce } = card.request()!;
  card.write("out", "late");
  card.end(nonce, 0);
  const next = card.request()!;
  assertEquals([next.command, stdout.text], ["third", ""]);
  card.end(next.nonce, 0);
  await third;
  assertThrows(() => card.channel.run("x", { ...quiet, signal }), Error, "enough");
});

Deno.test("ExecChannel.fail() rejects all that runs or waits, and the channel starts afresh", async () => {
  const card = new Card();
  const gone = new Error("card stopped");
  const runs = ["a", "b"].map((command) =>
    assertRejects(() => card.channel.run(command, quiet), Error, "card stopped")
  );
  const { nonce } = card.request()!;
  card.channel.in.opened!(false, false);
  card.channel.fail(gone);
  await Promise.all(runs);
  const next = card.channel.run("c", quiet);
  card.end(nonce, 9);
  assertEquals(card.request(), undefined);
  card.channel.in.opened!(true, false);
  const request = card.request()!;
  assertEquals(request.command, "c");
  card.end(request.nonce, 0);
  assertEquals(await next, 0);
});

Deno.test("ExecChannel gives a command up that a card OS took and forgot, and runs the next one", async () => {
  const card = new Card();
  const lost = card.channel.run("reboot", quiet);
  assertEquals(card.request()!.command, "reboot");
  const next = card.channel.run("uname", quiet);
  card.channel.in.opened!(false, false);
  card.channel.in.opened!(true, false);
  await assertRejects(() => lost, BackendError, "the card OS started anew");
  const { nonce, command } = card.request()!;
  assertEquals(command, "uname");
  card.end(nonce, 0);
  assertEquals(await next, 0);
});

/** What a new host sends to a card OS that may still work for the host before. */
function synchronisation(card: Card): string {
  const lines = card.lines();
  const nonce = /^!\n([0-9a-f]{32}) aHdjbG9jayAtdSAtcw==\n$/.exec(lines)?.[1];
  assertNotEquals(nonce, undefined, lines);
  return nonce!;
}

Deno.test("ExecChannel drops what the command of an earlier host says, to its end, and only then sends its own", async () => {
  const card = new Card(false);
  card.channel.in.opened!(true, true);
  const stdout = sink();
  const status = card.channel.run("mine", { ...quiet, stdout: stdout.write });
  const nonce = synchronisation(card);
  assertEquals(card.channel.waitsFor, "earlier-command");
  const earlier = "0123456789abcdef0123456789abcdef";
  card.write("out", `his output${earlier} 0\n`);
  card.write("err", `${earlier} 0\n`);
  card.write("out", `${nonce} 0\n`);
  assertEquals(card.request(), undefined);
  card.write("err", `${nonce} 0\n`);
  assertEquals(card.channel.waitsFor, undefined);
  const mine = card.request()!;
  assertEquals(mine.command, "mine");
  card.write("out", "my output");
  card.end(mine.nonce, 4);
  assertEquals([await status, stdout.text], [4, "my output"]);
});

Deno.test("ExecChannel synchronises anew when the port that it took for open is opened", async () => {
  const card = new Card(false);
  card.channel.in.opened!(true, true);
  const stdout = sink();
  const status = card.channel.run("mine", { ...quiet, stdout: stdout.write });
  const first = synchronisation(card);
  card.channel.in.opened!(true, false);
  const second = synchronisation(card);
  assertNotEquals(first, second);
  // The card OS may have got the first one all the same.
  card.end(first, 0);
  assertEquals(card.request(), undefined);
  card.end(second, 0);
  const mine = card.request()!;
  card.end(mine.nonce, 0);
  assertEquals([await status, stdout.text], [0, ""]);
});

Deno.test("ExecChannel of one host that adopts its own card OS again gives a command up that was taken, and keeps one that was not", async () => {
  for (const appetite of [Infinity, 0]) {
    const card = new Card();
    card.appetite = appetite;
    const run = card.channel.run("taken?", quiet);
    const failed = appetite === 0
      ? undefined
      : assertRejects(() => run, BackendError, "Cannot tell the end");
    card.lines();
    card.channel.in.opened!(false, false);
    card.appetite = Infinity;
    card.channel.in.opened!(true, true);
    card.end(synchronisation(card), 0);
    const request = card.request();
    assertEquals(request?.command, appetite === 0 ? "taken?" : undefined);
    await failed;
    if (appetite === 0) {
      card.end(request!.nonce, 0);
      assertEquals(await run, 0);
    }
  }
});

Deno.test("ExecChannel sends a command whole that a card OS had not begun to take", async () => {
  const card = new Card();
  card.appetite = 0;
  const status = card.channel.run("true", quiet);
  card.channel.in.opened!(false, false);
  card.appetite = Infinity;
  card.channel.in.opened!(true, false);
  card.end(card.request()!.nonce, 0);
  assertEquals(await status, 0);
});

Deno.test("ExecChannel drops what comes when no command runs", () => {
  const card = new Card();
  card.write("out", "stray");
  card.write("err", "stray");
});

Deno.test("ExecChannel.run() refuses a command that is too long", () => {
  const card = new Card();
  assertThrows(() => card.channel.run("x".repeat(70_000), quiet), RangeError);
  assertEquals(card.request(), undefined);
});

Deno.test("ExecChannel.ports are three plain ports with the names of the protocol", () => {
  const { channel } = new Card();
  assertEquals(channel.ports.map(({ name, console }) => [name, console]), [
    ["org.knightsbridge.exec.in", undefined],
    ["org.knightsbridge.exec.out", undefined],
    ["org.knightsbridge.exec.err", undefined],
  ]);
  assertEquals(channel.ports.map(({ backend }) => backend), [channel.in, channel.out, channel.err]);
});
