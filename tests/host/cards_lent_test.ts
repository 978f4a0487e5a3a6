// What is lent to a card changes while its OS runs: real host, link, endpoint and card driver; the machine is the
// test's own.
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { NetDevice } from "../../host/devices/net.ts";
import { BackendError } from "../../protocol/errors.ts";
import type { FakeMachine } from "../support/fake_machine.ts";
import { bootedCard, HostBench } from "../support/host_bench.ts";
import { MemoryNet } from "../support/memory_net.ts";

const report = (error: unknown) => {
  throw error;
};
const names = (bench: HostBench) => bench.card.lent.list.map(({ slot, name }) => `${slot} ${name}`);

/** A driver that knows nothing but VERSION_1 takes function 0, and uses no queue: the card OS is up. */
function start({ functions }: FakeMachine): void {
  const [device] = functions;
  for (const status of [1, 3]) device!.write(20, 1, status);
  device!.write(8, 4, 1);
  device!.write(12, 4, 1);
  for (const status of [11, 15]) device!.write(20, 1, status);
}

/** A card with a disk and a network that is online; closed with the bench. */
async function lentBench(stack: AsyncDisposableStack) {
  const devices = [
    stack.use(new BlockDevice({ backend: new MemoryBackend(new Uint8Array(4096)) })),
    stack.use(new NetDevice(new MemoryNet())),
  ];
  const bench = stack.use(new HostBench({ devices }));
  const process = await bootedCard(bench);
  start(process.machine);
  await bench.card.waitFor(["online"]);
  return { bench, process, lent: bench.card.lent };
}

/** The card OS lets go of the device of function `index`: a driver's reset. */
function letGo(machine: FakeMachine, index: number): void {
  machine.functions[index]!.write(20, 1, 0);
}

Deno.test("addDisk() brings a function to the bus of a running card, and removeDisk() takes it away", async () => {
  await using stack = new AsyncDisposableStack();
  const { bench, process: { machine }, lent } = await lentBench(stack);
  const mapped = bench.card.driver!.mappedRegions;
  assertEquals(names(bench), ["0 disk0", "1 net0"]);
  for (let round = 0; round < 3; round++) {
    const index = machine.functions.length;
    // Each as large as no other before: nothing of the slot's last device is left.
    const size = 4096 * (round + 2);
    assertEquals(await lent.addDisk(`mem:${size}`, report), "disk1");
    assertEquals([names(bench).at(-1), machine.functions.length], ["2 disk1", index + 1]);
    assertEquals(machine.functions[index]!.read(0x80, 4), size / 512);
    // A driver takes it, and gives it back when it is told that it leaves.
    machine.functions[index]!.write(20, 1, 1);
    const removed = lent.removeDisk("disk1");
    await assertRejects(() => lent.removeDisk("disk1"), TypeError, "it is being removed");
    while (machine.leaving.length <= round) await new Promise((r) => setTimeout(r));
    assertEquals(machine.gone.length, round);
    letGo(machine, index);
    await removed;
    assertEquals([machine.gone.length, names(bench).length], [round + 1, 2]);
  }
  // Mirrors and staging of what is gone are gone.
  assertEquals(bench.card.driver!.mappedRegions, mapped);
});

Deno.test("removeDisk() leaves what the card OS was booted with and cannot be pulled", async () => {
  await using stack = new AsyncDisposableStack();
  const { bench, lent } = await lentBench(stack);
  await assertRejects(() => lent.removeDisk("disk0"), TypeError, "where it cannot be pulled");
  await assertRejects(() => lent.removeDisk("disk7"), RangeError, 'Cannot find disk "disk7"');
  await assertRejects(() => lent.removeDisk("net0"), RangeError, "mic0 has disk0");
  assertEquals(names(bench), ["0 disk0", "1 net0"]);
});

Deno.test("addDisk() of a card that has no place, or cannot be opened, leaves everything as it was", async () => {
  await using stack = new AsyncDisposableStack();
  const { bench, process: { machine }, lent } = await lentBench(stack);
  machine.plugHot = () => {
    throw new RangeError("full");
  };
  await assertRejects(() => lent.addDisk("mem:4K", report), TypeError, "no place for one more");
  await assertRejects(() => lent.addDisk("/no/such.img", report), BackendError, "no such file");
  assertEquals(names(bench), ["0 disk0", "1 net0"]);
  assertThrows(() => new HostBench().card.lent.setCarrier(true), RangeError, "no network");
});

Deno.test("a disk that is added to a card at rest is there at the next boot, and can be removed at rest", async () => {
  await using stack = new AsyncDisposableStack();
  const { bench, process, lent } = await lentBench(stack);
  await bench.card.reset();
  await lent.addDisk("mem:8K", report);
  await lent.addDisk("mem:12K", report);
  await lent.removeDisk("disk1");
  assertEquals(names(bench), ["0 disk0", "1 net0", "3 disk2"]);
  await bench.card.boot();
  await bench.sees(() => process.machines.length === 2 && process.machine.image ? true : undefined);
  assertEquals(process.machine.functions.map((f) => f.read(0x80, 4)).at(-1), 24);
});

Deno.test("a card process that goes as a disk is removed has let go of it", async () => {
  await using stack = new AsyncDisposableStack();
  const { bench, process, lent } = await lentBench(stack);
  await lent.addDisk("mem:8K", report);
  process.machine.functions[2]!.write(20, 1, 1);
  const removed = lent.removeDisk("disk1");
  while (process.machine.leaving.length === 0) await new Promise((r) => setTimeout(r));
  await process[Symbol.asyncDispose]();
  await removed;
  assertEquals(names(bench), ["0 disk0", "1 net0"]);
});
