// The ends that Linux on a card comes to, each told apart from the others, and its clock: one card, many boots.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { BootRecord } from "../../host/control/card_control.ts";
import { sbin, temporaryFolder } from "../support/lab.ts";
import { LinuxCard } from "../support/linux_card.ts";
import { missing } from "../support/needs.ts";

const noTools = await missing({ program: "debugfs" }) || await missing({ program: "dumpe2fs" });
/** Seconds by which two clocks may differ that are set to whole seconds, on a machine that is busy. */
const CLOSE = 3;

const ending = ({ reason, asked }: BootRecord) => [reason, asked];

/** How far the clock of the card is from the host's, s. */
async function clockError(card: LinuxCard): Promise<number> {
  return Math.abs(Number(await card.sh("date +%s")) - Date.now() / 1000);
}

Deno.test({ name: "Linux on a card, and every end of it", ignore: noTools }, async (t) => {
  await using folder = await temporaryFolder();
  await using card = await LinuxCard.start(folder.path);

  await t.step("asked to shut down, it syncs and unmounts: nothing written is lost", async () => {
    await card.boot();
    assert(await clockError(card) < CLOSE, "the clock is the host's after the boot");
    await card.sh("seq 20000 >/root/unsynced; grep -q ' / ext4 rw' /proc/mounts");
    const record = await card.shutdown();
    assertEquals(ending(record), ["poweroff", true]);
    assertMatch(record.detail!, /POST code PO/);
    const written = await sbin("debugfs", "-R", "cat /root/unsynced", card.disk);
    assertEquals(written.split("\n").slice(-2), ["20000", ""]);
    const superblock = await sbin("dumpe2fs", "-h", card.disk);
    assertMatch(superblock, /Filesystem state: +clean\n/);
    assertEquals(/needs_recovery/.test(superblock), false, superblock);
    await sbin("e2fsck", "-fn", card.disk);
  });

  for (
    const [command, reason] of [["poweroff", "poweroff"], ["halt", "halted"], [
      "reboot",
      "restart",
    ]] as const
  ) {
    await t.step(`${command} ends it as ${reason}`, async () => {
      await card.boot();
      const record = await card.dies(command);
      assertEquals(ending(record), [reason, false]);
      assertEquals(record.kernelLog, undefined);
    });
  }

  await t.step("asked to shut down, it does not obey: the card is reset", async () => {
    await card.boot();
    // Ctrl-Alt-Del goes to a process of no consequence.
    await card.sh("sleep 1000 >/dev/null 2>&1 & echo $! >/proc/sys/kernel/cad_pid");
    assertEquals(ending(await card.shutdown(1000)), ["nop", true]);
  });

  await t.step("a panic ends it as crashed, and the kernel's last words are kept", async () => {
    await card.boot();
    const record = await card.dies("echo c >/proc/sysrq-trigger; sleep 1000");
    assertEquals([...ending(record), record.detail], ["crashed", false, "The card OS panicked"]);
    assertMatch(record.kernelLog!, /^\[ +0\.000000\] Linux version 6\.1/);
    assertMatch(record.kernelLog!, /Kernel panic - not syncing: sysrq triggered crash\n/);
  });

  await t.step("a watchdog that nobody feeds ends it as crashed: it hangs", async () => {
    await card.boot();
    const record = await card.dies(
      "killall watchdog; until watchdog -T 2 -t 1 /dev/watchdog; do usleep 1000; done; " +
        "until pidof watchdog; do usleep 1000; done; killall -STOP watchdog; sleep 1000",
    );
    assertEquals(ending(record), ["crashed", false]);
    assertEquals(record.detail, "The card OS hangs: its watchdog was not fed for 2 s");
    assertMatch(record.kernelLog!, /i6300ESB timer .* initialized/);
  });

  await t.step(
    "adopted by a host, it has that host's clock; Ctrl-Alt-Del may restart it",
    async () => {
      await card.boot();
      await card.sh("date -u -s '2001-01-01 00:00:00'");
      assert(await clockError(card) > 1e8);
      await card.changeHost();
      assert(await clockError(card) < CLOSE, "the clock is the host's after the adoption");
      // As the kernel does it where no init has its say.
      await card.sh("echo 1 >/proc/sys/kernel/ctrl-alt-del");
      const record = await card.shutdown();
      assertEquals(ending(record), ["poweroff", true]);
      assertEquals(record.detail, "The card OS shut down as asked, for a restart");
    },
  );
});
