import { silence } from "../../card/machine/v86/emulator.ts";
import type { Cpu } from "../../card/machine/v86/v86_types.ts";

Deno.test("silence() cuts every way into an emulator that has failed", () => {
  const fail = () => {
    throw new WebAssembly.RuntimeError("unreachable");
  };
  const cpu = {
    device_raise_irq: fail,
    device_lower_irq: fail,
    jit_dirty_cache: fail,
    codegen_finalize_finished: fail,
  } as unknown as Cpu;
  silence(cpu);
  cpu.device_raise_irq(5);
  cpu.device_lower_irq(5);
  cpu.jit_dirty_cache(0, 4096);
  cpu.codegen_finalize_finished(0, 0, 0);
});
