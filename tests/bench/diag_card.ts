/**
 * A host in the benchmark's own process, and a card with the diagnostic OS: in a process of its own, or in this one, where
 * one clock times both ends and the benchmark is what runs in the card's OS.
 *
 * @module
 */
import { runCard } from "../../card/card.ts";
import { DiagMachine } from "../../card/machine/diag/machine.ts";
import type { DiagOs } from "../../card/machine/diag/os/os.ts";
import type { VirtioDevice } from "../../host/driver/virtio_device.ts";
import { Host } from "../../host/host.ts";
import { dialTcp, encodeDiagImage, listenTcp } from "../../protocol/mod.ts";
import { spawnTask } from "../../scripts/cli/mod.ts";
import { endProcess } from "./processes.ts";

/** Starts a host that lends `devices`; resolves to its port. `owned` ends it. */
export function startHost(
  devices: readonly VirtioDevice[],
  cmdline: string,
  owned: AsyncDisposableStack,
): number {
  const kernel = { name: "diagnostic OS", bytes: encodeDiagImage() };
  const host = owned.use(
    new Host({
      listener: listenTcp("127.0.0.1", 0),
      cards: [{ name: "mic0", devices, images: { kernel, cmdline } }],
    }),
  );
  return host.address.port;
}

export async function startCardProcess(port: number, owned: AsyncDisposableStack): Promise<void> {
  const card = await spawnTask("card", ["--connect", `127.0.0.1:${port}`, "--machine", "diag"], {
    ...{ stdin: "null", stdout: "null", stderr: "null" },
  });
  owned.defer(() => endProcess(card));
}

/** The card's OS, when all its drivers are bound. */
export async function startCardHere(port: number, owned: AsyncDisposableStack): Promise<DiagOs> {
  const stop = new AbortController();
  const booted = Promise.withResolvers<DiagOs>();
  let machine: DiagMachine | undefined;
  const card = runCard({
    dial: (signal) => dialTcp("127.0.0.1", port, signal),
    machine: (options) => Promise.resolve(machine = new DiagMachine(options)),
    memoryBytes: 64 * 0x10_0000,
    identity: crypto.getRandomValues(new Uint8Array(16)),
    signal: stop.signal,
    onEvent({ type }) {
      if (type === "machine_started") booted.resolve(machine!.os);
    },
  });
  owned.defer(async () => {
    stop.abort();
    await card;
  });
  const os = await booted.promise;
  await os.ready;
  return os;
}
