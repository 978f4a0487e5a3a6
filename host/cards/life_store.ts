/**
 * What of a card's life outlives the host: its boots, how many there were, and whether it is suspended. A folder for
 * each card:
 *
 *     ‹state folder›/mic0/card.json          counts, and what was suspended
 *                         boot-000012.json   one file a boot, the last 50
 *
 * Files are replaced whole: one that a host left behind is as it was before a change, or as it was after. What cannot
 * be read is reported, and missing; what cannot be written is reported once, and the card lives on.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";
import type { BootRecord } from "../control/card_control.ts";
import { KEPT_BOOTS, type SavedBoots } from "./boot_recorder.ts";

/** What `card.json` says. */
export interface SavedLife {
  readonly bootCount: number;
  readonly crashCount: number;
  /** `ran`: its OS was online before. */
  readonly suspended?: { readonly ran: boolean } | undefined;
}

const CARD_FILE = "card.json";
const BOOT_FILE = /^boot-\d{6,}\.json$/;

export class LifeStore implements AsyncDisposable {
  /** As it was found. */
  readonly saved: SavedLife & SavedBoots;
  readonly #folder: string;
  readonly #report: (error: Error) => void;
  /** What is not on disk yet, by file; undefined for one to be removed. The newest wins. */
  readonly #changed = new Map<string, object | undefined>();
  #writing: Promise<void> | undefined;
  #failed = false;

  private constructor(
    folder: string,
    saved: SavedLife & SavedBoots,
    report: (error: Error) => void,
  ) {
    this.#folder = folder;
    this.saved = saved;
    this.#report = report;
  }

  /**
   * Opens, or makes, the folder of `card` in `state`. `report` hears of files that cannot be read or written.
   * @throws {BackendError} if there can be no folder
   */
  static open(state: string, card: string, report: (error: Error) => void): LifeStore {
    const folder = `${state}/${card}`;
    const records: BootRecord[] = [];
    let life: SavedLife = { bootCount: 0, crashCount: 0 };
    try {
      Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
      for (const { name } of Deno.readDirSync(folder)) {
        const path = `${folder}/${name}`;
        if (name === CARD_FILE) life = read(path, isLife, report) ?? life;
        if (!BOOT_FILE.test(name)) continue;
        const record = read(path, isRecord, report);
        if (record) records.push(record);
      }
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new BackendError(`Cannot keep the state of ${card} in '${folder}': ${reason}`, {
        cause,
      });
    }
    records.sort((a, b) => a.number - b.number);
    return new LifeStore(folder, { ...life, records: records.slice(-KEPT_BOOTS) }, report);
  }

  /** Keeps `record` as it will be when it is its turn; the oldest one goes. */
  keepBoot(record: BootRecord): void {
    this.#change(bootFile(record.number), record);
    const old = record.number - KEPT_BOOTS;
    if (old > 0) this.#change(bootFile(old), undefined);
  }

  keepLife(life: SavedLife): void {
    this.#change(CARD_FILE, life);
  }

  /** Resolves when everything is on disk, or cannot be. */
  async flush(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.flush();
  }

  #change(file: string, content: object | undefined): void {
    this.#changed.set(file, content);
    this.#writing ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    // Whatever happens in this turn goes in one write.
    await Promise.resolve();
    for (const [file, content] of this.#changed) {
      this.#changed.delete(file);
      try {
        await this.#write(`${this.#folder}/${file}`, content);
        this.#failed = false;
      } catch (cause) {
        if (!this.#failed) this.#report(unwritten(`${this.#folder}/${file}`, cause));
        this.#failed = true;
      }
    }
    this.#writing = undefined;
  }

  async #write(path: string, content: object | undefined): Promise<void> {
    if (content === undefined) {
      await Deno.remove(path).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
      return;
    }
    const text = new TextEncoder().encode(`${JSON.stringify(content)}\n`);
    const temporary = `${path}.new`;
    {
      using file = await Deno.open(temporary, {
        write: true,
        create: true,
        truncate: true,
        mode: 0o600,
      });
      for (let at = 0; at < text.length;) at += await file.write(text.subarray(at));
      await file.syncData();
    }
    await Deno.rename(temporary, path);
  }
}

const bootFile = (number: number): string => `boot-${String(number).padStart(6, "0")}.json`;

function unwritten(path: string, cause: unknown): BackendError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new BackendError(`Cannot write '${path}': ${reason}; what happens is not kept`, { cause });
}

/** Undefined, and reported, if it is not what this program writes. */
function read<T>(
  path: string,
  is: (value: unknown) => value is T,
  report: (error: Error) => void,
): T | undefined {
  try {
    const value: unknown = JSON.parse(Deno.readTextFileSync(path));
    if (is(value)) return value;
    throw new TypeError("it is not what a host writes there");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    report(new BackendError(`Cannot read '${path}': ${reason}; it is left out`, { cause }));
    return undefined;
  }
}

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null;
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isTime = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);
const isOptional = (value: unknown, is: (value: unknown) => boolean): boolean =>
  value === undefined || is(value);
const isText = (value: unknown): boolean => typeof value === "string";

function isLife(value: unknown): value is SavedLife {
  if (!isObject(value)) return false;
  const { bootCount, crashCount, suspended } = value;
  return isCount(bootCount) && isCount(crashCount) &&
    isOptional(suspended, (one) => isObject(one) && typeof one.ran === "boolean");
}

function isRecord(value: unknown): value is BootRecord {
  if (!isObject(value)) return false;
  const { number, os, begun, online, ended, reason, detail, steps, postCodes, kernelLog } = value;
  return isCount(number) && isText(os) && isTime(begun) &&
    [online, ended].every((time) => isOptional(time, isTime)) &&
    [reason, detail, kernelLog].every((text) => isOptional(text, isText)) &&
    Array.isArray(steps) &&
    steps.every((one) =>
      isObject(one) && isText(one.step) && isTime(one.time) && isOptional(one.detail, isText)
    ) &&
    Array.isArray(postCodes) &&
    postCodes.every((one) => isObject(one) && isText(one.code) && isTime(one.time));
}
