// The units under a real systemd, with its logind and message bus: what README and scripts/service/README.md say to
// type, and what comes of it.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  assertOrder,
  bootsDiag,
  delays,
  FELL_ASLEEP,
  SLEEP,
  sleep,
} from "../support/service_units.ts";
import { noSystemdMachine, SystemdMachine } from "../support/systemd_machine.ts";

const ignore = await noSystemdMachine();
/** An address that is not loopback's, for which a link is encrypted. */
const HOST = "192.0.2.10:4310";
const CARD_UNIT = `knightsbridge-card@${HOST}`;

const config = (listen: unknown, os: "linux" | "diag") =>
  JSON.stringify({
    listen,
    cards: {
      mic0: {
        os,
        disks: ["/var/lib/knightsbridge/images/mic0.img"],
        console: ["log:/var/lib/knightsbridge/mic0.log"],
      },
    },
  });

const configure = (machine: SystemdMachine, listen: unknown, os: "linux" | "diag" = "linux") =>
  machine.sh(`
    mkdir -p /etc/knightsbridge
    echo '${config(listen, os)}' > /etc/knightsbridge/knightsbridge.jsonc`);

const service = (machine: SystemdMachine, words: string) =>
  machine.sh(`cd /srv/checkout && HOME=/root deno task --quiet service ${words}`);

/** Everything where an installation puts something. */
const installable = (machine: SystemdMachine) =>
  machine.sh("find /usr/local /usr/lib/systemd /etc ! -path /etc/resolv.conf | sort");

const property = async (machine: SystemdMachine, unit: string, name: string) =>
  (await machine.run("systemctl", "show", "--value", `--property=${name}`, unit)).trim();

/** A name of the card OS that it has from boot to boot. */
const bootId = (machine: SystemdMachine) =>
  machine.run("knightsbridge", "exec", "mic0", "cat /proc/sys/kernel/random/boot_id");

/** Until the card OS runs. A host's unit is started before its host has a socket. */
const online = (machine: SystemdMachine) =>
  machine.sh(`
    until knightsbridge status > /dev/null 2>&1; do sleep 0.1; done
    knightsbridge wait mic0 --state online --timeout 100`);

/** `as NAME COMMAND...` of README: as the dynamic user of a unit, in its folder. */
const AS = `as() { name=$1; shift
  systemd-run --quiet --pipe -p User=$name -p DynamicUser=yes -p StateDirectory=$name \
    -p StateDirectoryMode=0700 -E HOME=/var/lib/$name -E XDG_CONFIG_HOME=/var/lib/$name/config "$@"; }`;

Deno.test({
  name: "a machine's units: installed, paired, run, restarted, killed, through a sleep, removed",
  ignore,
  async fn(t) {
    await using machine = await SystemdMachine.boot();
    await machine.run("ip", "address", "add", "192.0.2.10/32", "dev", "lo");
    const before = await installable(machine);

    await t.step("install tells systemd and logind", async () => {
      await service(machine, "install");
      await machine.run("systemctl", "cat", "knightsbridge-host", CARD_UNIT, "knightsbridge-sleep");
      const limit = await machine.sh(`busctl get-property org.freedesktop.login1 \
        /org/freedesktop/login1 org.freedesktop.login1.Manager InhibitDelayMaxUSec`);
      assertEquals(limit, "t 30000000\n");
    });

    await t.step("a mistake in the configuration is not tried again", async () => {
      await configure(machine, 4310);
      await machine.run("systemctl", "start", "knightsbridge-host");
      await machine.sh("while systemctl is-active -q knightsbridge-host; do sleep 0.1; done");
      assertEquals(await property(machine, "knightsbridge-host", "ActiveState"), "failed");
      assertEquals(await property(machine, "knightsbridge-host", "NRestarts"), "0");
    });

    await t.step("host and card are paired as the users of their units", async () => {
      await machine.sh(`${AS}
        mkfifo /tmp/code
        as knightsbridge knightsbridge-host --listen ${HOST} --pair > /tmp/code 2>&1 &
        read -r line < /tmp/code
        as knightsbridge-card knightsbridge-card --connect ${HOST} --pair "\${line##* }"
        wait $!`);
    });

    await t.step("they run, sandboxed, and the card OS boots", async () => {
      await configure(machine, HOST);
      await machine.sh(`
        mkdir -p /var/cache/knightsbridge /var/lib/knightsbridge/images
        cp -r /srv/image/* /var/cache/knightsbridge
        cp /srv/image/*/root.img /var/lib/knightsbridge/images/mic0.img
        chown -R --reference=/var/lib/knightsbridge/. /var/lib/knightsbridge/images`);
      const units = ["knightsbridge-host", CARD_UNIT];
      await machine.run("systemctl", "enable", "--now", ...units, "knightsbridge-sleep");
      await online(machine);
      assertStringIncludes(await machine.journal(), "encrypted, for paired cards");
      for (const unit of units) {
        const pid = await property(machine, unit, "MainPID");
        const status = await machine.run("cat", `/proc/${pid}/status`);
        assertMatch(status, /^Uid:\t6\d{4}\t/m);
        assertMatch(status, /^CapBnd:\t0+$/m);
        assertMatch(status, /^NoNewPrivs:\t1$/m);
        assertMatch(status, /^Seccomp:\t2$/m);
      }
      await delays(machine);
    });

    await t.step("a restart, and a kill, of the host are a pause to the card OS", async () => {
      const boot = await bootId(machine);
      await machine.run("systemctl", "restart", "knightsbridge-host");
      await online(machine);
      assertEquals(await bootId(machine), boot);
      await machine.run("systemctl", "kill", "--signal=KILL", "knightsbridge-host");
      await machine.sh(
        "until [ $(systemctl show -P NRestarts knightsbridge-host) = 1 ]; do sleep 0.1; done",
      );
      await online(machine);
      assertEquals(await bootId(machine), boot);
      await delays(machine);
    });

    await t.step(
      "the card OS is shut down before the machine sleeps, and booted after",
      async () => {
        const said = await sleep(machine);
        assertOrder(said, SLEEP);
        // By the unit, and the hook found nothing left to do.
        assertOrder(said, [/mic0: suspended/, FELL_ASLEEP]);
        assert(!/ctl: /.test(said), said);
        await delays(machine);
        await online(machine);
        assert(!/ctl: /.test(await machine.journal()), await machine.journal());
      },
    );

    await t.step("the hook alone does the same", async () => {
      await machine.run("systemctl", "stop", "knightsbridge-host", CARD_UNIT);
      for (const unit of ["knightsbridge-host", CARD_UNIT]) {
        assertEquals(await property(machine, unit, "ActiveState"), "inactive");
      }
      // An OS that boots at once.
      await configure(machine, HOST, "diag");
      await machine.sh(bootsDiag("/run/systemd/system", "/usr/local/bin"));
      await machine.sh(`
        systemctl daemon-reload
        systemctl start knightsbridge-host ${CARD_UNIT}`);
      await online(machine);
      await delays(machine);
      await machine.run("systemctl", "stop", "knightsbridge-sleep");
      assertOrder(await sleep(machine), SLEEP);
      await machine.run("systemctl", "start", "knightsbridge-sleep");
      await online(machine);
    });

    await t.step("remove shuts the card OS down, and leaves nothing", async () => {
      const from = (await machine.journal()).length;
      await service(machine, "remove --purge");
      await machine.run("rm", "-r", "/run/systemd/system/knightsbridge-card@.service.d");
      assertOrder((await machine.journal()).slice(from), [
        /state shutting_down/,
        /card OS stopped: poweroff/,
        /host said goodbye: shutdown|goodbye sent: shutdown/,
      ]);
      assertEquals(await machine.run("systemctl", "is-system-running"), "running\n");
      assertEquals(await installable(machine), before);
      // Deno's own cache is of who ran it.
      const left = "find /var /run /tmp -name '*knightsbridge*' ! -path '/run/log/*'";
      assertEquals(await machine.sh(left), "");
      assertEquals(await machine.sh("systemctl list-units --all --plain -q 'knightsbridge*'"), "");
    });
  },
});
