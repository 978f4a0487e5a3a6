import { assertEquals } from "@std/assert";
import { nextStatus, type StatusPhase } from "../../protocol/virtio/device_status.ts";

/** Every phase × every status byte a driver could think of: where it leads, "-" where it is against the rules. */
const WRITES = [0x00, 0x01, 0x02, 0x03, 0x04, 0x07, 0x08, 0x0b, 0x0f, 0x10, 0x80, 0x83];
const TABLE: Readonly<Record<StatusPhase, string>> = {
  //             00    01           02 03     04 07 08 0b          0f        10 80     83
  reset: "       reset acknowledged -  driver -  -  -  -           -         -  failed failed",
  acknowledged: "reset acknowledged -  driver -  -  -  -           -         -  failed failed",
  driver: "      reset -            -  driver -  -  -  features_ok -         -  failed failed",
  features_ok: " reset -            -  -      -  -  -  features_ok driver_ok -  failed failed",
  driver_ok: "   reset -            -  -      -  -  -  -           driver_ok -  failed failed",
  failed: "      reset -            -  -      -  -  -  -           -         -  failed failed",
};
for (const [phase, row] of Object.entries(TABLE) as [StatusPhase, string][]) {
  row.trim().split(/\s+/).forEach((next, i) => {
    const status = WRITES[i]!;
    Deno.test(`nextStatus() from ${phase} on 0x${status.toString(16)} is ${next}`, () => {
      assertEquals(nextStatus(phase, status) ?? "-", next);
      assertEquals(nextStatus(phase, status | 0x40) ?? "-", next, "DEVICE_NEEDS_RESET is ignored");
    });
  });
}
