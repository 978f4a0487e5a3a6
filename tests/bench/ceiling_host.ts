/**
 * The host's end of the bare link: answers requests with the frames of a disk's answer, and posts what a download posts.
 *
 * Its argument is the image that the requests are for; without it they are frames and nothing else. Asked for a
 * {@linkcode HostQuestion}: `listen` answers with the port, `load` says what the requests are from now on, `download`
 * posts so many bytes, in pieces, and answers with the seconds that it took until the card had them.
 *
 * @module
 */
import { pollConnections } from "../../host/backends/link_socket.ts";
import { type Completer, type Link, LinkServer, listenTcp } from "../../protocol/mod.ts";
import { CeilingDisk } from "./ceiling_disk.ts";
import { DATA, type Load } from "./ceiling_layout.ts";
import { converse } from "./conversation.ts";
import { ImageFile } from "./image_file.ts";

export type HostQuestion =
  | { readonly type: "listen" }
  | { readonly type: "load"; readonly load: Load }
  | { readonly type: "download"; readonly bytes: number; readonly piece: number };

const [path] = Deno.args;
const image = path === undefined ? undefined : new ImageFile(path);
const up = Promise.withResolvers<{ readonly link: Link; readonly disk: CeilingDisk }>();
let disk: CeilingDisk;

const completer: Completer = {
  memoryWrite: (address, bytes) => disk.memory.set(bytes, address),
  memoryRead: (address, into) => into.set(disk.memory.subarray(address, address + into.length)),
  configRead: () => 0,
  configWrite() {},
  ioRead: () => 0,
  ioWrite() {},
  message: () => disk.serve(),
  batchEnd() {},
};

// As the host does.
const listener = pollConnections(listenTcp("127.0.0.1", 0));
const server = new LinkServer({
  epoch: 1n,
  identity: crypto.getRandomValues(new Uint8Array(16)),
  accept: () => ({ completer }),
  onLink(link) {
    disk = new CeilingDisk(link, image);
    up.resolve({ link, disk });
  },
});

async function download(bytes: number, piece: number): Promise<number> {
  const { link } = await up.promise;
  const buffer = new Uint8Array(piece);
  const begin = performance.now();
  for (let done = 0; done < bytes; done += piece) {
    if (!link.writable) await new Promise<void>((resolve) => link.onWritable(resolve));
    link.postWrite(DATA + done % (32 * 2 ** 20), buffer);
  }
  await link.configRead(0, 4);
  return (performance.now() - begin) / 1000;
}

listener.accept().then((transport) => server.serve(transport!));
await converse<HostQuestion>(async (question) => {
  switch (question.type) {
    case "listen":
      return listener.port;
    case "load":
      (await up.promise).disk.use(question.load);
      return null;
    case "download":
      return await download(question.bytes, question.piece);
  }
});
