/**
 * Which tests a test file has, read from its text: names that are literals, and templates whose blanks are filled from
 * the file's own tables.
 *
 * A test that a helper of `tests/support/` makes counts as one of the file that imports it.
 *
 * @module
 */

const CALL = /\bDeno\.test\(\s*(?:\{[^{}]*?\bname:\s*)?(?=["'`])/g;
const COMMENT = /^\s*(?:\/\/|\*).*$/gm;
const SUPPORT = /\bfrom "(\.\.\/support\/[^"]+)"/g;

/** Literal text, and the blanks between. */
type Parts = readonly string[];

export class TestNames {
  readonly #names: readonly Parts[];
  readonly #words: ReadonlySet<string>;

  /** @param sources the test file, and what it imports from `tests/support/` */
  constructor(sources: readonly string[]) {
    const texts = sources.map((source) => source.replaceAll(COMMENT, ""));
    this.#names = texts.flatMap(namesIn);
    this.#words = new Set(texts.flatMap(wordsOf));
  }

  /** Whether there is a test that prints as `name`. */
  has(name: string): boolean {
    return this.#names.some((parts) => {
      const blanks = blanksOf(parts, name);
      return blanks !== undefined && blanks.every((blank) => this.#fills(blank));
    });
  }

  /** What stands in a blank comes from a table, so its words are in the file; a number may be computed. */
  #fills(blank: string): boolean {
    return wordsOf(blank).every((word) =>
      this.#words.has(word) || /^(?:\d+|true|false)$/.test(word)
    );
  }
}

/** Files of `tests/support/` that a test file imports, as it names them. */
export function supportOf(source: string): string[] {
  return [...source.matchAll(SUPPORT)].map((match) => match[1]!);
}

function namesIn(text: string): Parts[] {
  return [...text.matchAll(CALL)].map((call) => partsOf(text, call.index + call[0].length));
}

/** The literal or template that begins at `at`. */
function partsOf(text: string, at: number): Parts {
  const quote = text[at]!;
  const parts: string[] = [];
  let part = "";
  for (let i = at + 1; i < text.length && text[i] !== quote; i++) {
    if (quote === "`" && text.startsWith("${", i)) {
      parts.push(part);
      part = "";
      i = endOfBlank(text, i + 2);
    } else {
      if (text[i] === "\\") i++;
      part += text[i] ?? "";
    }
  }
  return [...parts, part];
}

/** Index of the brace that ends the blank that begins at `at`. */
function endOfBlank(text: string, at: number): number {
  let depth = 1;
  let i = at;
  for (; depth > 0 && i < text.length; i++) {
    if (text[i] === "{") depth++;
    if (text[i] === "}") depth--;
  }
  return i - 1;
}

/** What fills the blanks of `parts` in `name`; undefined if it is another. */
function blanksOf(parts: Parts, name: string): string[] | undefined {
  const pattern = parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("(.+)");
  return new RegExp(`^${pattern}$`).exec(name)?.slice(1);
}

function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{N}_]+/gu) ?? [];
}
