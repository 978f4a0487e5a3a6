// Intel 6300ESB watchdog, as the Linux driver i6300esb uses it.
import { assertEquals, assertMatch } from "@std/assert";
import { v86Machine } from "../../card/machine/v86/machine.ts";
import type { Cpu } from "../../card/machine/v86/v86_types.ts";
import { Watchdog } from "../../card/machine/v86/watchdog.ts";
import * as asm from "../support/tiny_kernel.ts";
import { memoryBytes, run } from "../support/v86_rig.ts";

const BASE = 0xfd02_0000;

/** A watchdog on a bus that is not there, and the driver's hands on it. */
function makeWatchdog() {
  const space = new Int32Array(64);
  const config = new Uint8Array(space.buffer);
  let read8 = (_address: number): number => 0;
  let write8 = (_address: number, _value: number): void => {};
  const cpu = {
    io: {
      mmap_register(_at: number, _size: number, read: typeof read8, write: typeof write8) {
        read8 = read;
        write8 = write;
      },
    },
    devices: {
      pci: {
        register_device({ pci_space }: { pci_space: Uint8Array }) {
          config.set(pci_space);
          return space;
        },
      },
    },
  } as unknown as Cpu;
  const expired: number[] = [];
  const watchdog = new Watchdog(cpu, (seconds) => expired.push(seconds));
  // Addresses are signed when they arrive.
  const write = (at: number, ...bytes: number[]) =>
    bytes.forEach((byte, i) => write8((BASE + at + i) | 0, byte));
  const unlock = () => {
    write(0x0c, 0x80, 0);
    write(0x0c, 0x86, 0);
  };
  return {
    config,
    watchdog,
    expired,
    write,
    unlock,
    read: (at: number) => read8((BASE + at) | 0),
    feed() {
      unlock();
      write(0x0c, 0, 1);
    },
    /** As esb_timer_set_heartbeat(). */
    setTimeout(seconds: number) {
      for (const timer of [0, 4]) {
        unlock();
        write(timer, ...asm.dword(seconds << 9));
      }
    },
    enable: (bits = 2) => config[0x68] = bits,
  };
}

/** Lets `ms` go by in steps as long as the scheduler's. */
function pass({ watchdog }: { watchdog: Watchdog }, ms: number): void {
  for (let at = 0; at < ms; at += 10) watchdog.elapse(10);
}

Deno.test("Watchdog expires once, when nobody feeds it for as long as the driver set", () => {
  const dog = makeWatchdog();
  dog.setTimeout(30);
  dog.enable();
  pass(dog, 29_900);
  dog.feed();
  pass(dog, 29_900);
  assertEquals(dog.expired, []);
  pass(dog, 1000);
  assertEquals(dog.expired, [31]);
  pass(dog, 100_000);
  assertEquals(dog.expired, [31]);
});

Deno.test("Watchdog does nothing before it is enabled, nor after it is disabled", () => {
  const dog = makeWatchdog();
  dog.setTimeout(1);
  pass(dog, 100_000);
  dog.enable();
  pass(dog, 900);
  dog.config[0x68] = 0;
  pass(dog, 100_000);
  dog.enable();
  pass(dog, 900);
  assertEquals(dog.expired, []);
});

Deno.test("Watchdog that is locked cannot be disabled", () => {
  const dog = makeWatchdog();
  dog.setTimeout(1);
  dog.enable(3);
  pass(dog, 100);
  dog.config[0x68] = 0;
  pass(dog, 1000);
  assertEquals(dog.expired, [1]);
});

Deno.test("Watchdog whose output is switched off resets no board", () => {
  const dog = makeWatchdog();
  dog.setTimeout(1);
  dog.config[0x60] = 0x23;
  dog.enable();
  pass(dog, 100_000);
  assertEquals(dog.expired, []);
});

Deno.test("Watchdog counts microseconds with its fast clock", () => {
  const dog = makeWatchdog();
  dog.setTimeout(1000);
  dog.config[0x60] = 0x07;
  dog.enable();
  pass(dog, 980);
  assertEquals(dog.expired, []);
  pass(dog, 40);
  assertEquals(dog.expired, [1]);
});

Deno.test("Watchdog takes one write after both unlocking bytes, and none without", () => {
  const dog = makeWatchdog();
  const timer = () => [0, 1, 2, 3].map((at) => dog.read(at));
  assertEquals(timer(), [0xff, 0xff, 0x0f, 0]);
  dog.write(0, 1, 2, 3, 4);
  dog.write(0x0c, 0x86, 0);
  dog.write(0, 1, 2, 3, 4);
  assertEquals(timer(), [0xff, 0xff, 0x0f, 0]);
  dog.unlock();
  dog.write(0, 1, 2, 3, 4);
  assertEquals(timer(), [1, 2, 3, 0], "20 bits");
  dog.write(0, 5, 5, 5, 5);
  assertEquals(timer(), [1, 2, 3, 0]);
});

/** mov al, value; mov [address], al. */
const store8 = (address: number, value: number): number[] => [
  ...[0xb0, value],
  ...[0xa2, ...asm.dword(address)],
];
const UNLOCK = [...store8(BASE + 0x0c, 0x80), ...store8(BASE + 0x0c, 0x86)];

Deno.test("stopped() is called with crashed when the OS does not feed the watchdog that it armed", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const kernel = asm.tinyKernel(
    ...[0, 4].map((timer) => [
      ...UNLOCK,
      ...[20, 0, 0, 0].flatMap((byte, i) => store8(BASE + timer + i, byte)),
    ]),
    // Function 1 of slot 31: enabled.
    asm.out(0xcf8, 0x8000_0000 | 31 << 11 | 1 << 8 | 0x68, 4),
    asm.out(0xcfc, 2, 1),
    asm.post("ON"),
    asm.SPIN,
  );
  const { codes, stopped } = run(machine, kernel);
  const { reason, detail } = await stopped;
  assertEquals([codes, reason], [["ON"], "crashed"]);
  assertMatch(detail, /^The card OS hangs: its watchdog was not fed/);
});
