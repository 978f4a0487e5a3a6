/**
 * Makes an instance of the emulator and takes leave of it.
 *
 * The package would look for its WebAssembly file in the current folder and write a panic to the console; here the file
 * is read from beside the module, and a panic's text is kept for whoever reports the crash.
 *
 * @module
 */
import { type Cpu, type Emulator, EmulatorClass, type WasmImports } from "./v86_types.ts";

/** Tuning of the just-in-time compiler: how many pages of code one WebAssembly module may cover. */
const JIT_MAX_PAGES_INDEX = 1;
const JIT_MAX_PAGES = 1;
/** Translate scancodes for the driver: bit 6 of the keyboard controller's command byte, which a BIOS would set. */
const PS2_TRANSLATE = 0x40;

export interface NewEmulator {
  readonly emulator: Emulator;
  /** Text of the panic that ended the emulator; empty if none did. */
  lastWords(): string;
}

export async function newEmulator(memoryBytes: number): Promise<NewEmulator> {
  const wasm = await Deno.readFile(new URL("v86.wasm", import.meta.resolve("v86")));
  let lastWords = "";
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const instantiate = async (imports: WasmImports): Promise<WebAssembly.Exports> => {
    imports.env.console_log_from_wasm = (at: number, length: number) => {
      const text = new Uint8Array(memory.buffer, at, length);
      lastWords = new TextDecoder().decode(text);
    };
    const { instance } = await WebAssembly.instantiate(wasm, imports);
    const memory = instance.exports.memory as WebAssembly.Memory;
    return instance.exports;
  };
  const emulator = new EmulatorClass({
    autostart: false,
    memory_size: memoryBytes,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
    net_device: { type: "none" },
    // The package waits for ever for exports that do not come.
    wasm_fn: (imports) =>
      instantiate(imports).catch((error) => {
        reject(error);
        return new Promise<never>(() => {});
      }),
  });
  emulator.add_listener("emulator-loaded", () => resolve());
  await promise;
  const { cpu } = emulator.v86;
  cpu.set_jit_config(JIT_MAX_PAGES_INDEX, JIT_MAX_PAGES);
  cpu.devices.ps2.command_register |= PS2_TRANSLATE;
  return { emulator, lastWords: () => lastWords };
}

/**
 * Cuts the ways into an emulator that will not run again: devices still lower their interrupts and write to memory, and
 * code is still being compiled in the background. After a failure each of those calls would fail as well.
 */
export function silence(cpu: Cpu): void {
  cpu.device_raise_irq = cpu.device_lower_irq = () => {};
  cpu.jit_dirty_cache = () => {};
  cpu.codegen_finalize_finished = () => {};
}
