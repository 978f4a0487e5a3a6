// The bare link's disk: each request is read from its place of the image, or written there, and the first answers leave
// early. What it is measured beside does the same I/O.
import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers/promises";
import { le32, recordHeaderSize, type Span, viewOf, virtioBlock } from "../../protocol/mod.ts";
import { Ceiling } from "../bench/ceiling.ts";
import { CeilingDisk } from "../bench/ceiling_disk.ts";
import { RequestFrames } from "../bench/ceiling_frames.ts";
import { CARD_MEMORY, DATA, type Load, REGISTERS, STAGING } from "../bench/ceiling_layout.ts";
import { ImageFile } from "../bench/image_file.ts";
import { RecordingRequester } from "../support/recording_requester.ts";

const BLOCK = 4096;
const MIB = 2 ** 20;
const IMAGE_BYTES = 8 * MIB;
/** Of a write's record, before its data: header and segment of the status, and the request's own header. */
const BEFORE_DATA = recordHeaderSize(1) + virtioBlock.REQUEST.size;

/** One way of the link, whose frames go to `memory` when told to. */
class Way extends RecordingRequester {
  /** What was sent: bytes of data and status, `used` elements, or a flush. */
  readonly sent: string[] = [];
  #seed = 0;

  override openWrite(spans: readonly Span[]): Uint8Array {
    const lengths = spans.map(({ length }) => length);
    const used = spans.at(-1)!.address === REGISTERS;
    this.sent.push(used ? `used ${lengths[0]! / 8}` : `data ${lengths.join("+")}`);
    // What is in the batch already, and nobody fills in.
    const place = super.openWrite(spans);
    for (let at = 0; at < place.length; at++) place[at] = at * 7 + this.#seed;
    this.#seed++;
    return place;
  }

  override flush(): void {
    this.sent.push("flush");
  }

  deliver(memory: Uint8Array): void {
    for (const posted of this.posted) {
      if ("write" in posted && posted.write < REGISTERS) memory.set(posted.bytes, posted.write);
    }
    this.forget();
  }
}

/** Both ends of a bare link, on an image whose every 4 KiB begin with their number. */
class Ends implements AsyncDisposable {
  readonly requests = new Way();
  readonly answers = new Way();
  readonly card = new RequestFrames(this.requests);
  readonly disk: CeilingDisk;
  readonly memory = new Uint8Array(CARD_MEMORY);
  readonly #path: string;
  readonly #image: ImageFile;
  readonly #load: Load;

  private constructor(path: string, load: Load, withImage: boolean) {
    this.#path = path;
    this.#load = load;
    this.#image = new ImageFile(path);
    this.disk = new CeilingDisk(this.answers, withImage ? this.#image : undefined);
    this.card.use(load);
    this.disk.use(load);
  }

  static async open(load: Partial<Load>, withImage = true): Promise<Ends> {
    const path = await Deno.makeTempFile({ prefix: "knightsbridge-test-" });
    const bytes = new Uint8Array(IMAGE_BYTES);
    for (let at = 0; at < bytes.length; at += BLOCK) le32.set(viewOf(bytes), at, at / BLOCK);
    await Deno.writeFile(path, bytes);
    const whole = { write: false, bytes: BLOCK, depth: 1, random: false, ...load };
    return new Ends(path, { ...whole, places: IMAGE_BYTES / whole.bytes }, withImage);
  }

  /** Sends as many requests as may be in flight, and has them served; returns what the card posted for them. */
  async round(): Promise<Uint8Array> {
    const { depth } = this.#load;
    assertEquals(this.card.send(depth), depth);
    const records = this.requests.posted.flatMap((posted) =>
      "write" in posted && posted.write >= STAGING ? [posted.bytes] : []
    );
    this.requests.deliver(this.disk.memory);
    this.disk.serve();
    for (let turns = 0; turns < depth; turns++) await setImmediate();
    this.answers.deliver(this.memory);
    return new Uint8Array(await new Blob(records as BlobPart[]).arrayBuffer());
  }

  /** Numbers of the 4 KiB of request number `index` of a round, as they came to the card. */
  blocks(index: number): number[] {
    const { bytes } = this.#load;
    return Array.from(
      { length: bytes / BLOCK },
      (_, block) => le32.get(viewOf(this.memory), DATA + index * bytes + block * BLOCK),
    );
  }

  file(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#image.read(at, bytes);
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#image[Symbol.dispose]();
    await Deno.remove(this.#path);
  }
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

/** More requests than the rings have entries, or than the disk has places. */
const LOADS = [{ bytes: BLOCK, depth: 8, count: 144 }, { bytes: MIB, depth: 2, count: 12 }];
for (const { bytes, depth, count } of LOADS) {
  const each = bytes / BLOCK;

  Deno.test(`the bare link reads ${bytes} bytes from one place after the other, round and round`, async () => {
    await using ends = await Ends.open({ bytes, depth });
    const places = IMAGE_BYTES / bytes;
    for (let done = 0; done < count; done += depth) {
      await ends.round();
      for (const index of range(0, depth)) {
        assertEquals(ends.blocks(index), range(((done + index) % places) * each, each));
      }
    }
  });

  Deno.test(`the bare link reads ${bytes} bytes from random places`, async () => {
    await using ends = await Ends.open({ bytes, depth, random: true });
    const seen = new Set<number>();
    for (let round = 0; round < 16; round++) {
      await ends.round();
      for (const index of range(0, depth)) {
        const blocks = ends.blocks(index);
        assertEquals(blocks, range(blocks[0]!, each));
        assertEquals(blocks[0]! % each, 0);
        seen.add(blocks[0]! / each);
      }
    }
    assert(seen.size > 4, `only ${seen.size} places`);
  });

  Deno.test(`the bare link writes ${bytes} bytes as they were posted, where they belong`, async () => {
    await using ends = await Ends.open({ bytes, depth, write: true });
    for (let done = 0; done < count; done += depth) {
      const sent = await ends.round();
      for (const index of range(0, depth)) {
        const from = index * (BEFORE_DATA + bytes) + BEFORE_DATA;
        const at = ((done + index) * bytes) % IMAGE_BYTES;
        const wanted = sent.subarray(from, from + bytes);
        const file = ends.file(at, bytes);
        assertEquals(file.findIndex((byte, i) => byte !== wanted[i]), -1, `request ${index}`);
      }
    }
  });
}

const READ = `data ${BLOCK}+1`;

Deno.test("the bare link's first 16 answers of a turn leave before the others are made", async () => {
  await using ends = await Ends.open({ depth: 32, random: true });
  await ends.round();
  const half = [...range(0, 16).map(() => READ), "used 16", "flush"];
  assertEquals(ends.answers.sent, [...half, ...half]);
});

Deno.test("the bare link's turn ends after 512 KiB, and another follows", async () => {
  await using ends = await Ends.open({ bytes: 128 * 1024, depth: 8 });
  await ends.round();
  const each = ["data 131072", "data 1"];
  const turn = [...each, ...each, ...each, ...each, "used 4"];
  assertEquals(ends.answers.sent, [...turn, ...turn]);
});

Deno.test("the link alone sends the same and leaves the image alone", async () => {
  for (const write of [false, true]) {
    await using file = await Ends.open({ depth: 8, write });
    await using alone = await Ends.open({ depth: 8, write }, false);
    await file.round();
    await alone.round();
    assertEquals(alone.requests.sent, file.requests.sent);
    assertEquals(alone.answers.sent, file.answers.sent);
    assertEquals(le32.get(viewOf(alone.file(BLOCK, 4)), 0), 1);
    if (!write) assert(alone.blocks(1)[0] !== 1, "it has read the image");
  }
});

Deno.test("the bare link, two processes, overwrites an image and reads it", async () => {
  const path = await Deno.makeTempFile({ prefix: "knightsbridge-test-" });
  try {
    await Deno.writeFile(path, new Uint8Array(MIB).fill(0x5a));
    await using ceiling = await Ceiling.start(path);
    const load = { bytes: BLOCK, depth: 32, random: false, places: MIB / BLOCK };
    const written = await ceiling.run({ ...load, write: true }, 0.3);
    assert(written.iops * 0.3 > load.places, `${written.iops} writes a second`);
    const bytes = await Deno.readFile(path);
    const kept = range(0, load.places).filter((place) =>
      bytes.subarray(place * BLOCK, (place + 1) * BLOCK).every((byte) => byte === 0x5a)
    );
    assertEquals(kept, []);
    const read = await ceiling.run({ ...load, write: false }, 0.1);
    assert(read.iops > 0 && read.latency_us.p50 > 0);
  } finally {
    await Deno.remove(path);
  }
});
