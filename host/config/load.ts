/**
 * Reads `knightsbridge.jsonc`: JSON with comments and trailing commas, every mistake in it told at once.
 *
 * Files in it are named from the folder it is in, as it stands for itself wherever the host is started.
 *
 * @module
 */
import {
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import { BackendError } from "../../protocol/mod.ts";
import { crossChecks } from "./cross_checks.ts";
import { ConfigError, Places, type Problem, problemsOf } from "./problems.ts";
import { relocate } from "./relocate.ts";
import { HOST_CONFIG, type HostConfig } from "./schema.ts";

/** @throws {BackendError} it cannot be read @throws {ConfigError} naming every mistake with its place */
export async function loadConfig(file: string): Promise<HostConfig> {
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound
      ? "no such file"
      : (cause as Error).message;
    throw new BackendError(`Cannot read configuration ${file}: ${reason}`, { cause });
  }
  const config = parseConfig(text, file);
  const path = file.startsWith("/") ? file : `${Deno.cwd()}/${file}`;
  return relocate(config, path.slice(0, path.lastIndexOf("/")));
}

/** `file` is for the messages. @throws {ConfigError} */
export function parseConfig(text: string, file: string): HostConfig {
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const places = new Places(text, root);
  if (errors.length > 0 || root === undefined) {
    // What follows the first one is its consequence.
    const [first] = errors;
    const what = first === undefined ? "it is empty" : words(printParseErrorCode(first.error));
    throw new ConfigError(file, [places.at(first?.offset ?? 0, [], `is no JSON: ${what}`)]);
  }
  const lost = lostKeys(root, places);
  if (lost.length > 0) throw new ConfigError(file, lost);
  const value: unknown = getNodeValue(root);
  const parsed = HOST_CONFIG.safeParse(value);
  if (!parsed.success) {
    throw new ConfigError(file, problemsOf(parsed.error.issues, HOST_CONFIG, value, places));
  }
  const crossed = crossChecks(parsed.data).map(({ path, text }) => places.problem(path, text));
  if (crossed.length > 0) throw new ConfigError(file, crossed);
  return parsed.data;
}

/** `ValueExpected` as "value expected". */
const words = (code: string): string =>
  code.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).toLowerCase();

/** Names that would be lost without a word: one that an object has twice, of which one would count. */
function lostKeys(
  node: Node,
  places: Places,
  path: readonly (string | number)[] = [],
): Problem[] {
  if (node.type === "array") {
    return (node.children ?? []).flatMap((child, i) => lostKeys(child, places, [...path, i]));
  }
  if (node.type !== "object") return [];
  const seen = new Set<string>();
  return (node.children ?? []).flatMap(({ children, offset }) => {
    const [key, value] = children ?? [];
    if (key === undefined) return [];
    const name = String(key.value);
    const own = [...path, name];
    // No object made of it would show that it was there.
    if (name === "__proto__") return [places.at(offset, own, "there is no key of that name")];
    if (seen.has(name)) return [places.at(offset, own, "is there twice: wanted once")];
    seen.add(name);
    return value === undefined ? [] : lostKeys(value, places, own);
  });
}
