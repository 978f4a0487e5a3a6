/**
 * The host's end of the bare link: answers requests with the frames of a disk's answer, and posts what a download posts.
 *
 * Asked for a {@linkcode HostQuestion}: `listen` answers with the port, `load` says what the requests are from now on,
 * `download` posts so many bytes, in pieces, and answers with the seconds that it took until the card had them.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import {
  type Completer,
  le16,
  type Link,
  LinkServer,
  listenTcp,
  viewOf,
} from "../../protocol/mod.ts";
import { AnswerFrames, DATA, HOST_INDEX, HOST_MEMORY, type Load } from "./ceiling_frames.ts";
import { converse } from "./conversation.ts";

export type HostQuestion =
  | { readonly type: "listen" }
  | { readonly type: "load"; readonly load: Load }
  | { readonly type: "download"; readonly bytes: number; readonly piece: number };

/** Answers of one turn: what is ready leaves while the next ones are made. In bytes. */
const TURN = 512 * 1024;

const memory = new Uint8Array(HOST_MEMORY);
const view = viewOf(memory);
const up = Promise.withResolvers<Disk>();
let serve: () => void = () => {};

const completer: Completer = {
  memoryWrite: (address, bytes) => memory.set(bytes, address),
  memoryRead: (address, into) => into.set(memory.subarray(address, address + into.length)),
  configRead: () => 0,
  configWrite() {},
  ioRead: () => 0,
  ioWrite() {},
  message: () => serve(),
  batchEnd() {},
};

/** Answers whatever comes. */
class Disk {
  readonly link: Link;
  readonly #answers: AnswerFrames;
  #bytesEach = 0;
  #waits = false;

  constructor(link: Link) {
    this.link = link;
    this.#answers = new AnswerFrames(link);
  }

  use(load: Load): void {
    this.#answers.use(load);
    this.#bytesEach = load.write ? 0 : load.bytes;
  }

  serve(): void {
    if (this.#waits) return;
    const index = le16.get(view, HOST_INDEX);
    for (let room = TURN; this.#answers.answered !== index; room -= this.#bytesEach) {
      this.#waits = !this.link.writable || room <= 0;
      if (this.#waits) {
        if (room <= 0) setImmediate(this.#goOn);
        else this.link.onWritable(this.#goOn);
        break;
      }
      this.#answers.answer();
    }
    this.#answers.publish();
  }

  readonly #goOn = (): void => {
    this.#waits = false;
    this.serve();
  };
}

const listener = listenTcp("127.0.0.1", 0);
const server = new LinkServer({
  epoch: 1n,
  identity: crypto.getRandomValues(new Uint8Array(16)),
  accept: () => ({ completer }),
  onLink(link) {
    const disk = new Disk(link);
    serve = () => disk.serve();
    up.resolve(disk);
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
      (await up.promise).use(question.load);
      return null;
    case "download":
      return await download(question.bytes, question.piece);
  }
});
