/**
 * Commands that end the system.
 *
 * @module
 */
import type { ShutdownReason } from "../../../../../protocol/mod.ts";
import type { Command } from "./types.ts";

function stop(reason: ShutdownReason, summary: string): Command {
  return {
    usage: "",
    summary,
    run(_args, _io, os) {
      os.shutdown(reason, "command");
      return 0;
    },
  };
}

export const poweroff: Command = stop("poweroff", "flush disks and power off");
export const halt: Command = stop("halted", "flush disks and halt");
export const reboot: Command = stop("restart", "flush disks and restart");

export const crash: Command = {
  usage: "",
  summary: "stop at once, as a broken system does",
  run(_args, _io, os) {
    os.board.stop("crashed", "crash command");
    return 1;
  },
};

export const hang: Command = {
  usage: "",
  summary: "stand still for ever, as a system with its interrupts off does",
  run(_args, _io, os) {
    os.board.cut();
    return 1;
  },
};
