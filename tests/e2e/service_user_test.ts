// The units of a user under that user's own systemd: no root, but for the machine's sleep itself.
import { assertEquals } from "@std/assert";
import { missing } from "../support/needs.ts";
import { assertOrder, bootsDiag, delays, SLEEP, sleep } from "../support/service_units.ts";
import { noSystemdMachine, SystemdMachine } from "../support/systemd_machine.ts";

// logind asks polkit whether a user may delay sleep.
const ignore = await missing({ program: "pkaction" }) || await noSystemdMachine();

/** A user that is none of this machine's. */
const UID = 64_310;
const HOME = "/home/ada";
const UNITS = "knightsbridge-host knightsbridge-sleep knightsbridge-card@127.0.0.1:4310";

const CONFIG = JSON.stringify({
  listen: "127.0.0.1:4310",
  cards: { mic0: { os: "diag", disks: ["mem:1M"] } },
});

/** A script of the user's. */
const ada = (machine: SystemdMachine, script: string) =>
  machine.run(
    ...["setpriv", `--reuid=${UID}`, `--regid=${UID}`, "--clear-groups", "env", "-i"],
    ...[`HOME=${HOME}`, `XDG_RUNTIME_DIR=/run/user/${UID}`],
    `PATH=${HOME}/.local/bin:/usr/local/bin:/usr/bin:/usr/sbin`,
    ...["sh", "-euc", script],
  );

const online = (machine: SystemdMachine) =>
  ada(
    machine,
    `until knightsbridge status > /dev/null 2>&1; do sleep 0.1; done
    knightsbridge wait mic0 --state online --timeout 60`,
  );

Deno.test({
  name: "a user's units: installed, run, restarted, through the machine's sleep, removed",
  ignore,
  async fn() {
    await using machine = await SystemdMachine.boot();
    await machine.sh(`
      echo 'ada:x:${UID}:${UID}::${HOME}:/bin/sh' >> /etc/passwd
      echo 'ada:x:${UID}:' >> /etc/group
      install -d -o ${UID} -g ${UID} ${HOME}
      systemctl start user@${UID}`);

    await ada(machine, "cd /srv/checkout && deno task --quiet service install --user");
    await ada(
      machine,
      `mkdir -p ~/.config/knightsbridge
      echo '${CONFIG}' > ~/.config/knightsbridge/knightsbridge.jsonc
      ${bootsDiag(`${HOME}/.config/systemd/user`, `${HOME}/.local/bin`)}
      systemctl --user daemon-reload
      systemctl --user enable --now ${UNITS}`,
    );
    await online(machine);
    await delays(machine);

    await ada(machine, "systemctl --user restart knightsbridge-host");
    await online(machine);
    await delays(machine);
    // There is no hook: the unit does it all.
    assertOrder(await sleep(machine), SLEEP);
    await online(machine);

    // A unit that has failed is forgotten like the others.
    await ada(
      machine,
      `echo '{' > ~/.config/knightsbridge/knightsbridge.jsonc
      systemctl --user restart knightsbridge-host
      until systemctl --user is-failed --quiet knightsbridge-host; do sleep 0.1; done`,
    );
    await ada(machine, "cd /srv/checkout && deno task --quiet service remove --user --purge");
    await ada(machine, "rm -r ~/.config/systemd/user/knightsbridge-card@.service.d");
    const units = "systemctl --user list-units --all --plain --quiet 'knightsbridge*'";
    assertEquals(await ada(machine, units), "");
    // Deno's own cache is of who ran it.
    const left = "find ~ -name '*knightsbridge*' ! -path '*/.cache/deno/*'";
    assertEquals(await ada(machine, left), "");
  },
});
