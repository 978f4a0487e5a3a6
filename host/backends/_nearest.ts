/**
 * "Did you mean …?" for words that a person typed.
 *
 * @module
 */

/** The choice that is fewest edits away from `word`, if it is no more than two; else undefined. */
export function nearest(word: string, choices: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = 3;
  for (const choice of choices) {
    const count = edits(word, choice);
    if (count < least) [best, least] = [choice, count];
  }
  return best;
}

/** Levenshtein's distance, row by row. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
