/**
 * A host that downloads an image to a card that boots the diagnostic OS, which has no use for it, and times that.
 *
 * Asked for a {@linkcode DownloadQuestion}: `listen` answers with the port, `download` with the seconds from the image's
 * first bytes until the card says that it has them.
 *
 * @module
 */
import { BlockDevice, diagImages, Host, listenTcp, MemoryBackend } from "../../mod.ts";
import { converse } from "./conversation.ts";

export type DownloadQuestion =
  | { readonly type: "listen"; readonly image: string }
  | { readonly type: "download" };

/** POST code of a card that was told to boot what was downloaded: it came behind the last byte. */
const BOOT_SIGNAL = "13";

const done = Promise.withResolvers<number>();
let begun = 0;
let host: Host;

function listen(image: string): number {
  const images = diagImages({ cmdline: undefined, name: "mic0", address: undefined });
  host = new Host({
    listener: listenTcp("127.0.0.1", 0),
    cards: [{
      name: "mic0",
      devices: [new BlockDevice({ backend: new MemoryBackend(new Uint8Array(2 ** 20)) })],
      images: { ...images, initrd: image },
    }],
    onEvent(event) {
      if (event.type !== "card") return;
      const { event: inner } = event;
      // The kernel is some bytes; the image follows it at once.
      if (inner.type === "progress" && inner.part === "kernel") begun = performance.now();
      if (inner.type === "post_code" && inner.text === BOOT_SIGNAL) {
        done.resolve((performance.now() - begun) / 1000);
      }
    },
  });
  return host.address.port;
}

await converse<DownloadQuestion>(async (question) =>
  question.type === "listen" ? listen(question.image) : await done.promise
);
