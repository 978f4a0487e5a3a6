import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { OutputBacklog } from "../../host/backends/output_backlog.ts";
import type { ConsoleBackend } from "../../host/backends/types.ts";
import { ConsoleHub, MAX_VIEWERS } from "../../host/console/hub.ts";
import { ConsoleProbe } from "../support/console_probe.ts";
import { SeenConsole } from "../support/seen_console.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A viewer on a queue that it reads when the test says so. */
function queued(name: string, capacity: number) {
  const backlog = new OutputBacklog(() => {}, { capacity, patience: 1_000_000 });
  backlog.attach();
  const viewer: ConsoleBackend = {
    name,
    size: undefined,
    write: (bytes) => backlog.write(bytes),
    open() {},
    resume() {},
    paced: (on) => {
      backlog.paced = on;
    },
    notice() {},
    [Symbol.asyncDispose]() {
      backlog[Symbol.dispose]();
      return Promise.resolve();
    },
  };
  const take = (count: number) => {
    const into = new Uint8Array(count);
    return textOf(into.subarray(0, backlog.take(into)));
  };
  return { viewer, take };
}

/** Shown, and lost by the marks in it. */
function account(text: string): { readonly shown: string; readonly lost: number } {
  let lost = 0;
  const shown = text.replaceAll(/\r\n\[knightsbridge: (\d+) bytes lost\]\r\n/g, (_, count) => {
    lost += Number(count);
    return "";
  });
  return { shown, lost };
}

Deno.test("ConsoleHub shows everybody the same, and those who come later what was shown before", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  const [first, second] = [new SeenConsole("a"), new SeenConsole("b")];
  hub.attach(first, { use: "typing" });
  await hub.write(bytesOf("Linux version 6\r\n"));
  using _seat = hub.attach(second, { use: "never", scrollback: 5 });
  await hub.write(bytesOf("login: "));
  assertEquals(first.text, "Linux version 6\r\nlogin: ");
  assertEquals(second.text, "n 6\r\nlogin: ");
  assertEquals(hub.name, "a+b");
  assertEquals(textOf(hub.tail()), first.text);
});

Deno.test("ConsoleHub keeps the first byte across boots, and marks where each begins", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  hub.beginBoot(1);
  await hub.write(bytesOf("first"));
  hub.beginBoot(2);
  await hub.write(bytesOf("second"));
  const time = String.raw`\d{4}-\d\d-\d\dT[\d:.]+Z`;
  assertMatch(
    textOf(hub.tail()),
    new RegExp(
      String.raw`^\r\n\[knightsbridge: boot 1 of mic0 begins, ${time}\]\r\nfirst` +
        String.raw`\r\n\[knightsbridge: boot 2 of mic0 begins, ${time}\]\r\nsecond$`,
    ),
  );
  assertEquals(textOf(hub.bootTail(4)), "cond");
  assertEquals(textOf(hub.bootTail()), "second");
  // A host that adopts a card OS does not know where its boot began.
  hub.beginBoot(2, true);
  assertMatch(textOf(hub.bootTail()), /^second\r\n.*boot 2 of mic0 goes on/s);
});

Deno.test("a ConsoleHub's viewer sees every byte in its order or a mark that counts it, however the others read", async () => {
  const step = fc.oneof(
    fc.record({
      write: fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 300, size: "max" }),
    }),
    fc.record({ reader: fc.nat(2), take: fc.integer({ min: 64, max: 400 }) }),
  );
  await fc.assert(fc.asyncProperty(fc.array(step), async (steps) => {
    await using hub = new ConsoleHub({ name: "mic0", scrollback: 512 });
    const readers = [100, 256, 1000].map((capacity, i) => queued(`${i}`, capacity));
    for (const { viewer } of readers) hub.attach(viewer, { use: "never" });
    const seen = readers.map(() => "");
    let model = "";
    for (const step of steps) {
      if ("write" in step) {
        assertEquals(hub.write(bytesOf(step.write)), undefined, "nobody is waited for");
        model += step.write;
      } else seen[step.reader] += readers[step.reader]!.take(step.take);
    }
    assertEquals(textOf(hub.tail()), model.slice(-512));
    for (const [i, { take }] of readers.entries()) {
      for (let text = take(400); text !== ""; text = take(400)) seen[i] += text;
      const { shown, lost } = account(seen[i]!);
      assertEquals(shown.length + lost, model.length);
      if (lost === 0) assertEquals(shown, model);
      // What follows the last mark is the end of the output.
      assert(model.endsWith(seen[i]!.split("bytes lost]\r\n").at(-1)!));
    }
  }));
});

Deno.test("ConsoleHub waits for the viewer at the keyboard, and for no other", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  const [typist, sleeper] = [queued("typist", 100), queued("sleeper", 100)];
  const seat = hub.attach(typist.viewer, { use: "asking", keyboard: "asks" });
  hub.attach(sleeper.viewer, { use: "asking" });
  const text = "0123456789".repeat(20);
  let done = false;
  const written = Promise.resolve(hub.write(bytesOf(text))).then(() => done = true);
  await Promise.resolve();
  assertEquals(done, false);
  let seen = typist.take(150);
  await Promise.resolve();
  seen += typist.take(150);
  await written;
  assertEquals(seen, text);
  assertEquals(account(sleeper.take(400)), { shown: text.slice(100), lost: 100 });
  // He leaves the keyboard with a write that waits for him.
  const waiting = hub.write(bytesOf(text));
  assert(waiting instanceof Promise);
  seat[Symbol.dispose]();
  await waiting;
});

Deno.test("ConsoleHub gives the keyboard to one at a time, who asks for it or takes it", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  const probe = new ConsoleProbe(hub);
  const [ann, bob, eve] = ["ann", "bob", "eve"].map((name) => new SeenConsole(name)) as [
    SeenConsole,
    SeenConsole,
    SeenConsole,
  ];
  const first = hub.attach(ann, { use: "asking", keyboard: "asks" });
  using second = hub.attach(bob, { use: "asking", keyboard: "asks" });
  using third = hub.attach(eve, { use: "never" });
  assertEquals([first.writes, second.writes, third.writes], [true, false, false]);
  assertEquals(bob.notices, ["read only: ann has the keyboard"]);
  assertEquals([ann.type("a"), bob.type("b"), bob.type("b"), eve.type("e")], [1, 1, 1, 1]);
  assertEquals(probe.text, "a");
  assertEquals(bob.notices.length, 1, "told once");

  second.takeOver();
  assertEquals(ann.notices, ["bob has taken the keyboard: this is read only now"]);
  assertEquals([ann.type("a"), bob.type("b")], [1, 1]);
  assertEquals(probe.text, "ab");
  assertEquals(hub.writer, "bob");

  using _taker = hub.attach(new SeenConsole("dan"), { use: "asking", keyboard: "takes" });
  assertEquals(hub.writer, "dan");
  _taker[Symbol.dispose]();
  assertEquals(hub.writer, undefined);
  ann.type("A");
  assertEquals([probe.text, hub.writer], ["abA", "ann"]);
  first[Symbol.dispose]();
  first.takeOver();
  assertEquals([hub.writer, hub.viewers], [undefined, 2]);
});

Deno.test("ConsoleHub lets terminals that cannot ask share the keyboard by typing, until somebody asks", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  const probe = new ConsoleProbe(hub);
  const [pty, socket, ctl] = ["pty", "socket", "ctl"].map((name) => new SeenConsole(name)) as [
    SeenConsole,
    SeenConsole,
    SeenConsole,
  ];
  hub.attach(pty, { use: "typing" });
  hub.attach(socket, { use: "typing" });
  pty.type("1");
  socket.type("2");
  pty.type("3");
  assertEquals(probe.text, "123");
  const seat = hub.attach(ctl, { use: "asking", keyboard: "asks" });
  assertEquals(seat.writes, false, "somebody typed");
  seat.takeOver();
  assertEquals(pty.notices, ["ctl has taken the keyboard: this is read only now"]);
  socket.type("4");
  ctl.type("5");
  assertEquals(probe.text, "1235");
  assertEquals(socket.notices, ["read only: ctl has the keyboard"]);
  seat[Symbol.dispose]();
  socket.type("6");
  assertEquals(probe.text, "12356");
});

Deno.test("ConsoleHub tells the card the size of who is at the keyboard, and then the one before", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  assertEquals(hub.size, undefined);
  const probe = new ConsoleProbe(hub);
  const own = new SeenConsole("stdio", { columns: 80, rows: 24 });
  const ctl = new SeenConsole("ctl", { columns: 132, rows: 50 });
  hub.attach(own, { use: "typing", keyboard: "asks" });
  const seat = hub.attach(ctl, { use: "asking" });
  ctl.resize(133, 50);
  assertEquals(probe.sizes, ["80x24"], "a reader's size is his own affair");
  seat.takeOver();
  ctl.resize(100, 40);
  seat[Symbol.dispose]();
  assertEquals(probe.sizes, ["80x24", "133x50", "100x40", "80x24"]);
  assertEquals(hub.size, { columns: 80, rows: 24 });
});

Deno.test("ConsoleHub keeps the last size when nobody is left who has one", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  const probe = new ConsoleProbe(hub);
  hub.attach(new SeenConsole("ctl", { columns: 132, rows: 50 }), { use: "asking" })[
    Symbol.dispose
  ]();
  assertEquals([probe.sizes, hub.size], [["132x50"], { columns: 132, rows: 50 }]);
});

Deno.test("ConsoleHub offers input again when the card has room, and holds it until there is a card", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  const viewer = new SeenConsole("a");
  hub.attach(viewer, { use: "typing" });
  assertEquals(viewer.type("early"), 0);
  const probe = new ConsoleProbe(hub);
  assertEquals(viewer.resumes, 1);
  probe.room = 2;
  assertEquals(viewer.type("abc"), 2);
  hub.resume();
  assertEquals(viewer.resumes, 2);
});

Deno.test("ConsoleHub tells viewers whether the card has the port open, also those who come later", async () => {
  await using hub = new ConsoleHub({ name: "mic0" });
  const [early, late] = [new SeenConsole("early"), new SeenConsole("late")];
  hub.attach(early, { use: "typing" });
  hub.opened(true, false);
  hub.attach(late, { use: "typing" });
  assertEquals([early.isOpen, late.isOpen], [true, true]);
  hub.opened(false, false);
  assertEquals([early.isOpen, late.isOpen], [false, false]);
});

Deno.test("ConsoleHub closes its viewers with it, and has room for so many", async () => {
  const viewers = Array.from({ length: MAX_VIEWERS }, (_, i) => new SeenConsole(`${i}`));
  {
    await using hub = new ConsoleHub({ name: "mic0" });
    for (const viewer of viewers) hub.attach(viewer, { use: "never" });
    assertThrows(
      () => hub.attach(new SeenConsole("one more"), { use: "never" }),
      RangeError,
      "Cannot show the console of mic0: 32 viewers are at it",
    );
  }
  assert(viewers.every(({ closed }) => closed));
});
