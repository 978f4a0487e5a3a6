/**
 * One card as configured, ready for a host: its devices opened, its images found.
 *
 * @module
 */
import { EventLimit } from "../../protocol/mod.ts";
import { cachedCardImage } from "../../scripts/cli/mod.ts";
import type { Hubs } from "../backends/hub/hubs.ts";
import type { ControlledCardOptions } from "../cards/controlled_card.ts";
import { addressOf, numberOf } from "../config/card_network.ts";
import type { CardConfig, HostConfig } from "../config/schema.ts";
import { parseDuration, shortened } from "../config/values.ts";
import type { ExecChannel } from "../control/exec.ts";
import { diagImages, type ImageChoices, linuxImages } from "../control/images.ts";
import { openDevices } from "../control/open_devices.ts";
import { suppressedLine } from "../control/report.ts";
import type { BootImages } from "../driver/boot_image.ts";

/** Errors of backends that are told in one second: a card OS repeats a request that fails as fast as it can. */
const REPORTS_A_SECOND = 20;

export interface Lent extends AsyncDisposable {
  readonly options: ControlledCardOptions;
  readonly exec: ExecChannel;
  /** Consoles that somebody must find. */
  readonly consoles: readonly string[];
}

export interface LendHooks {
  /** Ctrl-] was typed on the terminal. */
  detach(): void;
  /** Of this card. */
  say(event: object, line: string | undefined): void;
}

/** @throws {BackendError | BootError | RangeError} naming what cannot be had; nothing stays open then */
export async function lend(
  config: HostConfig,
  name: string,
  hubs: Hubs,
  { detach, say }: LendHooks,
): Promise<Lent> {
  const card = config.cards[name]!;
  await using opening = new AsyncDisposableStack();
  const reports = opening.use(
    new EventLimit(REPORTS_A_SECOND, (what, count) => {
      const event = { type: "suppressed", what, count };
      say(event, suppressedLine(event));
    }),
  );
  const { devices, exec, console, address, consoles } = opening.use(
    await openDevices({
      disks: card.disks,
      net: card.net,
      consoles: card.console,
      address: addressOf(config, name),
      name,
      number: numberOf(config, name),
      hubs,
      configureTap: Deno.uid() === 0,
      insecure: config.insecure,
      ...(config.state !== undefined && { consoleLogs: `${config.state}/${name}/console` }),
    }, {
      detach,
      report: (error) => {
        if (!reports.admits("backend errors")) return;
        say({ type: "backend", error }, String((error as Error).message ?? error));
      },
    }),
  );
  const { kernel, initrd, cmdline } = card;
  const images = await imagesOf(card.os, { kernel, initrd, cmdline, name, address });
  const options = { ...policyOf(name, card), devices, images, exec, console };
  const kept = opening.move();
  return { options, exec, consoles, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** What a card is without anything that had to be opened. */
export function policyOf(
  name: string,
  card: CardConfig,
): Omit<ControlledCardOptions, "devices" | "images"> {
  const { os, autoboot, restart, lossTimeout, identity } = card;
  return {
    name,
    os,
    autoboot,
    restart,
    identity: identity && shortened(identity),
    lossTimeout: lossTimeout === undefined ? undefined : parseDuration(lossTimeout),
  };
}

async function imagesOf(os: CardConfig["os"], choices: ImageChoices): Promise<BootImages> {
  if (os === "diag") return diagImages(choices);
  const image = choices.kernel === undefined ? await cachedCardImage() : undefined;
  return await linuxImages(
    choices,
    image && {
      kernel: `${image.folder}/vmlinux`,
      initrd: `${image.folder}/initrd.img`,
      cmdline: image.manifest.cmdline,
    },
  );
}
