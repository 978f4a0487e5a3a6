/**
 * The disk at the host's end of the bare link: takes the requests that have come, does each one's I/O on an image, and
 * posts the answers, a turn at a time, as the bridge's host does (host/devices/chain_pump.ts, block_requests.ts). It
 * reads into the posted write that brings the data, and writes from where a posted write has put it.
 *
 * Without an image it does no I/O: then what it answers is the link alone.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { address64, le16, le32, type Requester, viewOf, virtioBlock } from "../../protocol/mod.ts";
import { AnswerFrames, type Fill, recordOf } from "./ceiling_frames.ts";
import {
  HOST_INDEX,
  HOST_MEMORY,
  HOST_RING,
  type Load,
  QUEUE,
  RING_ENTRY,
  STAGING,
} from "./ceiling_layout.ts";
import type { ImageFile } from "./image_file.ts";

const { REQUEST, SECTOR_SIZE } = virtioBlock;

/** Data of one turn: what is ready leaves while the next answers are made. In bytes. */
const TURN = 512 * 1024;
/** Answers that leave before the turn's others are made. */
const EARLY = 16;

export class CeilingDisk {
  /** What the card writes. */
  readonly memory: Uint8Array = new Uint8Array(HOST_MEMORY);
  readonly #view = viewOf(this.memory);
  readonly #link: Requester;
  readonly #image: ImageFile | undefined;
  readonly #answers: AnswerFrames;
  #write = false;
  #bytes = 0;
  /** Bytes of a record before the request's own header. */
  #header = 0;
  /** Of the request that is being answered, in the image. */
  #position = 0;
  #waits = false;

  constructor(link: Requester, image: ImageFile | undefined) {
    this.#link = link;
    this.#image = image;
    this.#answers = new AnswerFrames(link);
  }

  use(load: Load): void {
    this.#answers.use(load);
    this.#write = load.write;
    this.#bytes = load.bytes;
    this.#header = recordOf(load).header;
  }

  /** There may be requests. */
  serve(): void {
    if (this.#waits) return;
    const index = le16.get(this.#view, HOST_INDEX);
    let room = TURN;
    let early = EARLY;
    while (this.#answers.answered !== index) {
      this.#waits = !this.#link.writable || room <= 0;
      if (this.#waits) {
        if (room <= 0) setImmediate(this.#goOn);
        else this.#link.onWritable(this.#goOn);
        break;
      }
      this.#answer();
      room -= this.#bytes;
      if (--early > 0) continue;
      this.#answers.publish();
      this.#link.flush();
      early = EARLY;
    }
    this.#answers.publish();
  }

  #answer(): void {
    if (this.#image === undefined) return this.#answers.answer();
    const entry = HOST_RING + RING_ENTRY * (this.#answers.answered % QUEUE);
    const request = STAGING + le32.get(this.#view, entry) + this.#header;
    this.#position = SECTOR_SIZE * address64.get(this.#view, request + REQUEST.at.sector);
    if (this.#write) {
      const data = request + REQUEST.size;
      this.#image.write(this.#position, this.memory.subarray(data, data + this.#bytes));
    }
    this.#answers.answer(this.#fill);
  }

  readonly #fill: Fill = (into, at) => this.#image!.read(this.#position + at, into);

  readonly #goOn = (): void => {
    this.#waits = false;
    this.serve();
  };
}
