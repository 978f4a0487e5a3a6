/**
 * Verbs that do the same to several cards.
 *
 * @module
 */
import { CommandError, EXIT } from "../cli/errors.ts";
import { tell } from "../cli/tell.ts";
import type { ControlClient } from "./client.ts";

/** The cards that were named, or all of the host. */
export async function chosenCards(
  client: ControlClient,
  operands: readonly string[],
): Promise<readonly string[]> {
  if (operands.length > 0) return [...new Set(operands)];
  return (await client.json<{ cards: string[] }>("/v1/host")).cards;
}

/** Path of `rest` of `card`. */
export const cardPath = (card: string, rest = ""): string =>
  `/v1/cards/${encodeURIComponent(card)}${rest}`;

/**
 * Does `work` for each card, all at once. One that fails is told of and disturbs no other; the exit status is the first
 * that is not 0, in the order of the names.
 */
export async function eachCard(
  names: readonly string[],
  work: (card: string) => Promise<number>,
): Promise<number> {
  const statuses = await Promise.all(names.map(async (card) => {
    try {
      return await work(card);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      tell(`ctl: ${error.message}`);
      return error.exitCode;
    }
  }));
  return statuses.find((status) => status !== EXIT.ok) ?? EXIT.ok;
}

/** `path` of each card, in the order of the names; one that fails is told of. */
export async function ofEachCard<T>(
  client: ControlClient,
  names: readonly string[],
  path: string,
): Promise<{ readonly status: number; readonly answers: ReadonlyMap<string, T> }> {
  const answers = new Map<string, T>();
  const status = await eachCard(names, async (card) => {
    answers.set(card, await client.json<T>(cardPath(card, path)));
    return EXIT.ok;
  });
  const inOrder = names.filter((name) => answers.has(name));
  return { status, answers: new Map(inOrder.map((name) => [name, answers.get(name)!])) };
}
