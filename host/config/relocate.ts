/**
 * A configuration whose files are named from the folder it is in.
 *
 * @module
 */
import { parseConsole } from "../backends/open_console.ts";
import { parseDisk } from "../backends/open_disk.ts";
import type { CardConfig, HostConfig } from "./schema.ts";

/** A copy in which every relative file name begins with `folder`. */
export function relocate(config: HostConfig, folder: string): HostConfig {
  const within = (path: string): string => path.startsWith("/") ? path : `${folder}/${path}`;
  const file = (path: string | undefined) => path === undefined ? undefined : within(path);
  const disk = (text: string) => parseDisk(text).kind === "file" ? within(text) : text;
  const console = (text: string) => {
    const choice = parseConsole(text);
    switch (choice.kind) {
      case "log":
      case "unix":
        return `${choice.kind}:${within(choice.path)}`;
      case "pty":
        return choice.link === undefined ? text : `pty:${within(choice.link)}`;
      default:
        return text;
    }
  };
  const cards = Object.entries(config.cards).map(([name, card]): [string, CardConfig] => [name, {
    ...card,
    kernel: file(card.kernel),
    initrd: file(card.initrd),
    disks: card.disks.map(disk),
    console: card.console.map(console),
  }]);
  const { identity, state, control } = config;
  return {
    ...config,
    identity: file(identity),
    state: file(state),
    control: control === "none" || control?.startsWith("tcp:") ? control : file(control),
    cards: Object.fromEntries(cards),
  };
}
