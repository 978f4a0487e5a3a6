/**
 * The virtqueue mirror, card end: walks the chains that the card OS's driver makes available, offers each to the host
 * as a chain record, and takes back what the host used (architecture §6; virtio 1.3 §2.7).
 *
 * Neither side is trusted. The driver may write anything into its rings: a broken rule ends this queue with one
 * {@linkcode DriverError}. The host may return anything: an id that is not in flight is counted and ignored.
 *
 * Back-pressure: with no room in staging, or a link that wants no more, the rest of the available ring waits, and
 * goes on by itself when chains come back or the link is writable again. It goes on in another turn of the event loop,
 * too, when the chains of this one were long ones: a driver that fills its ring with the longest must not hold up the
 * link, nor its own CPU. Until then neither notification nor doorbell makes it walk.
 *
 * **Budget:** 0.1 us a chain (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import { clearImmediate, setImmediate } from "node:timers";
import {
  advance,
  availableEntry,
  ChainWalker,
  checkSplitRing,
  distance,
  DriverError,
  le16,
  le32,
  minStagingLength,
  type Requester,
  type SplitRing,
  usedEntry,
  VIRTQ_RING,
  VIRTQ_USED_ELEM,
} from "../../protocol/mod.ts";
import type { CardMemory } from "../machine/types.ts";
import { type MirrorRow, MirrorWriter } from "./mirror_writer.ts";
import { NO_PIECE, Staging } from "./staging.ts";
import { Suppression } from "./suppression.ts";

export type { MirrorRow } from "./mirror_writer.ts";

export interface QueueMirrorOptions {
  readonly requester: Requester;
  readonly memory: CardMemory;
  readonly ring: SplitRing;
  /** INDIRECT_DESC and EVENT_IDX, as negotiated. */
  readonly indirect: boolean;
  readonly eventIndex: boolean;
  readonly row: MirrorRow;
  /** Ring indices to begin with; 0 for a queue that was just set up. */
  readonly indices?: { readonly available: number; readonly used: number };
  /** Sends the slot's MSI. */
  sendMsi(): void;
  /** The driver broke a rule. Called once; the mirror does nothing any more. */
  failed(error: DriverError): void;
}

/** What is known of a head: not in flight, or owed to a host that restarted, or else its piece of staging. */
const IDLE = -1;
const OWED = -2;

/**
 * What one turn may take, in descriptors read: some milliseconds. A driver in a hurry needs a tenth of it: 256 frames of
 * four pieces. Pushed bytes count, too: 4 MiB make a turn.
 */
const TURN_STEPS = 16 * 1024;
const STEP_BYTES = 256;

export class QueueMirror {
  readonly #requester: Requester;
  readonly #memory: CardMemory;
  readonly #ring: SplitRing;
  readonly #suppression: Suppression;
  readonly #options: QueueMirrorOptions;
  readonly #walker: ChainWalker;
  #staging: Staging;
  #writer: MirrorWriter;
  /** Next entry of the available ring to walk; next entry of the used ring to take. */
  #available: number;
  #used: number;
  /** Used index at the last decision on an interrupt. */
  #signalled: number;
  /** By head: IDLE, OWED or a piece of staging; and when it was walked, for {@linkcode reoffer}. */
  readonly #heads: Int32Array;
  readonly #order: Float64Array;
  #walked = 0;
  #inFlight = 0;
  /** Heads to offer again, the oldest last. */
  #owed: number[] = [];
  /** Waits for staging or for the link. */
  #stalled = false;
  #waitsForLink = false;
  /** What is left of this turn; and the next turn, if it has to go on there. */
  #steps = 0;
  #nextTurn: ReturnType<typeof setImmediate> | undefined;
  /** Without a host: nothing is walked or posted. */
  #parked = false;
  #stopped = false;
  #strayUsed = 0;

  /**
   * Posts the mirror index at once, so that nothing an earlier driver left in the mirror counts: make it before the
   * host is told of the queue.
   * @throws {DriverError} `queue-setup`, for what the driver set up
   * @throws {RangeError} for a staging area of the host that cannot hold one chain
   */
  constructor(options: QueueMirrorOptions) {
    const { ring, memory, indices = { available: 0, used: 0 } } = options;
    checkSplitRing(ring, memory.size);
    this.#requester = options.requester;
    this.#memory = memory;
    this.#ring = ring;
    this.#suppression = new Suppression(memory, ring, options.eventIndex);
    this.#options = options;
    this.#walker = new ChainWalker({
      ring,
      memorySize: memory.size,
      indirect: options.indirect,
      capacity: 2 * ring.size,
    });
    this.#available = indices.available;
    this.#used = this.#signalled = indices.used;
    this.#heads = new Int32Array(ring.size).fill(IDLE);
    this.#order = new Float64Array(ring.size);
    this.#staging = this.#newStaging(options.row);
    this.#writer = this.#newWriter(options.row, this.#available);
    this.#writer.postIndex();
  }

  /** Chains that the host has, or will be offered again. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Used elements of the host that named no chain in flight. */
  get strayUsed(): number {
    return this.#strayUsed;
  }

  /** Used index, and mirror index of the next record: what the host page says of the queue. */
  get indices(): { readonly available: number; readonly used: number } {
    return { available: this.#writer.index, used: this.#used };
  }

  /** Available buffer notification from the driver: offers every new chain to the host. */
  kick(): void {
    if (this.#stopped || this.#parked || this.#nextTurn !== undefined) return;
    this.#takeUsed();
    this.#steps = TURN_STEPS;
    const idle = this.#inFlight === 0;
    try {
      this.#offer();
      // Somebody waits, and the CPU may go on for a millisecond before the batch leaves by itself. A queue that is
      // busy gains more by a larger batch.
      if (idle && this.#inFlight > 0) this.#requester.flush();
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      this.#writer.post(this.#memory.bytes(), this.#walker);
      this.stop();
      this.#options.failed(error);
    }
  }

  /** The host rang: takes back what it used. True when the driver wants an interrupt for it. */
  used(): boolean {
    if (this.#stopped || this.#parked) return false;
    const freed = this.#takeUsed();
    this.#writer.msiEventChanged();
    const interrupt = this.#suppression.wantsInterrupt(this.#signalled, this.#used);
    this.#signalled = this.#used;
    // A doorbell that brings nothing back makes no room: a host that rings without end is not worth a walk each time.
    if (this.#stalled && freed) this.kick();
    return interrupt;
  }

  /** The host may have moved `msi_event`: sends the MSI that it waits for if the record was posted before. */
  msiEventChanged(): void {
    if (!this.#stopped && !this.#parked) this.#writer.msiEventChanged();
  }

  /** The host is gone: chains wait where they are, for {@linkcode reoffer}. */
  park(): void {
    this.#parked = true;
    this.#endTurns();
  }

  /**
   * A host that restarted has new memory and knows no chain: offers it, in their first order, all that are not used.
   * As with a new mirror, before the host is told of the queue: with the indices that this returns, of the first record
   * offered and of the first element to be used.
   */
  reoffer(row: MirrorRow): { readonly available: number; readonly used: number } {
    if (this.#stopped) return this.indices;
    this.#parked = false;
    this.#takeUsed();
    this.#staging = this.#newStaging(row);
    const owed: number[] = [];
    for (let head = 0; head < this.#ring.size; head++) {
      if (this.#heads[head] === IDLE) continue;
      this.#heads[head] = OWED;
      owed.push(head);
    }
    this.#owed = owed.sort((a, b) => this.#order[b]! - this.#order[a]!);
    this.#writer = this.#newWriter(row, advance(this.#available, -owed.length));
    this.#writer.postIndex();
    const first = this.indices;
    this.kick();
    return first;
  }

  /** Device reset, or the machine is gone: nothing is read, written or sent any more. */
  stop(): void {
    this.#stopped = true;
    this.#endTurns();
  }

  /** Walks and posts until nothing is left, or the driver has to wait. */
  #offer(): void {
    const { availableRing, size } = this.#ring;
    let view = this.#memory.view();
    let bytes = this.#memory.bytes();
    this.#stalled = false;
    while (this.#owed.length > 0) {
      if (!this.#offerChain(view, bytes, this.#owed.at(-1)!)) return this.#stall();
      this.#owed.pop();
    }
    // More than once round only if the driver runs beside us. Bounded: what is posted here is not used here.
    do {
      const available = le16.get(view, availableRing + VIRTQ_RING.at.idx);
      if (this.#inFlight + distance(this.#available, available) > size) {
        throw new DriverError(
          "available-index",
          `Cannot take available index ${available}: ${this.#inFlight} in flight before ${this.#available}, size ${size}`,
        );
      }
      while (this.#available !== available) {
        const slot = this.#available & (size - 1);
        const head = le16.get(view, availableRing + availableEntry(slot));
        if (head < size && this.#heads[head] !== IDLE) {
          throw new DriverError("head-in-flight", `Cannot take head ${head}: not used yet`);
        }
        if (!this.#offerChain(view, bytes, head)) return this.#stall();
        this.#order[head] = this.#walked++;
        this.#inFlight++;
        this.#available = advance(this.#available);
      }
      this.#suppression.wantNotification(this.#available);
      view = this.#memory.view();
      bytes = this.#memory.bytes();
    } while (le16.get(view, availableRing + VIRTQ_RING.at.idx) !== this.#available);
    this.#writer.post(bytes, this.#walker);
  }

  /** One chain into the outgoing batch; false if it has to wait. */
  #offerChain(view: DataView, bytes: Uint8Array, head: number): boolean {
    if (this.#steps <= 0) {
      this.#nextTurn = setImmediate(this.#goOn);
      return false;
    }
    if (!this.#requester.writable) {
      this.#waitForLink();
      return false;
    }
    const walker = this.#walker;
    const base = this.#writer.nextBase(bytes, walker);
    walker.walk(view, head, base);
    const pushed = this.#writer.pushable(walker);
    this.#steps -= walker.steps + pushed / STEP_BYTES;
    const piece = this.#staging.allocate(this.#writer.recordSize(walker, pushed));
    if (piece === NO_PIECE) return false;
    this.#heads[head] = piece;
    this.#writer.add(bytes, walker, base, head, pushed, this.#staging.offset(piece));
    return true;
  }

  readonly #goOn = (): void => {
    this.#nextTurn = undefined;
    this.kick();
  };

  #endTurns(): void {
    if (this.#nextTurn !== undefined) clearImmediate(this.#nextTurn);
    this.#nextTurn = undefined;
  }

  /** The queue goes on by itself: no notification is wanted. */
  #stall(): void {
    this.#stalled = true;
    this.#suppression.wantNone();
    this.#writer.post(this.#memory.bytes(), this.#walker);
  }

  #waitForLink(): void {
    if (this.#waitsForLink) return;
    this.#waitsForLink = true;
    this.#requester.onWritable(() => {
      this.#waitsForLink = false;
      this.kick();
    });
  }

  /** Takes used elements and frees their staging; true if there were any. The ids come from the host. */
  #takeUsed(): boolean {
    const before = this.#inFlight;
    const { usedRing, size } = this.#ring;
    const view = this.#memory.view();
    const used = le16.get(view, usedRing + VIRTQ_RING.at.idx);
    const count = distance(this.#used, used);
    if (count > size) {
      this.#strayUsed += count - size;
      this.#used = advance(used, -size);
    }
    while (this.#used !== used) {
      const entry = usedRing + usedEntry(this.#used & (size - 1));
      const head = le32.get(view, entry + VIRTQ_USED_ELEM.at.id);
      this.#used = advance(this.#used);
      const piece = head < size ? this.#heads[head]! : IDLE;
      if (piece < 0) {
        this.#strayUsed++;
        continue;
      }
      this.#staging.free(piece);
      this.#heads[head] = IDLE;
      this.#inFlight--;
    }
    return this.#inFlight < before;
  }

  #newStaging(row: MirrorRow): Staging {
    const least = minStagingLength(this.#ring.size);
    if (!(row.stagingLength >= least)) {
      throw new RangeError(
        `Cannot mirror queue: staging has ${row.stagingLength} bytes, wanted at least ${least}`,
      );
    }
    return new Staging(row.stagingLength, this.#ring.size);
  }

  #newWriter(row: MirrorRow, index: number): MirrorWriter {
    return new MirrorWriter({
      requester: this.#requester,
      row,
      queueSize: this.#ring.size,
      index,
      sendMsi: () => this.#options.sendMsi(),
    });
  }
}
