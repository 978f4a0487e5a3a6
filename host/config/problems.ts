/**
 * What is wrong with a configuration, said where it is: file, line, column, key and a sentence.
 *
 * @module
 */
import { closestString } from "@std/text/closest-string";
import { findNodeAtLocation, type Node } from "jsonc-parser";
import { z } from "zod";

/** Keys and indices from the top. */
export type Path = readonly PropertyKey[];

export interface Problem {
  /** 1-based, in UTF-16 units as editors count. */
  readonly line: number;
  readonly column: number;
  /** `cards.mic0.disks[1]`; empty for the file itself. */
  readonly key: string;
  readonly text: string;
}

/** Every problem of a file, one a line. */
export class ConfigError extends RangeError {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    const lines = problems.map(({ line, column, key, text }) =>
      `${file}:${line}:${column}: ${key && `${key}: `}${text}`
    );
    super(lines.join("\n"));
    this.problems = problems;
  }
}

/** Finds places in one text. */
export class Places {
  readonly #text: string;
  readonly #root: Node | undefined;

  constructor(text: string, root: Node | undefined) {
    this.#text = text;
    this.#root = root;
  }

  /** At the value of `path`, or where it would be; with `atKey`, at its name. */
  problem(path: Path, text: string, atKey = false): Problem {
    return this.at(this.#offset(path, atKey), path, text);
  }

  at(offset: number, path: Path, text: string): Problem {
    const before = this.#text.slice(0, offset).split("\n");
    return { line: before.length, column: before.at(-1)!.length + 1, key: keyOf(path), text };
  }

  #offset(path: Path, atKey: boolean): number {
    for (let length = path.length; length > 0 && this.#root; length--) {
      const node = findNodeAtLocation(this.#root, path.slice(0, length) as (string | number)[]);
      if (node === undefined) continue;
      const named = atKey && length === path.length && node.parent?.type === "property";
      return named ? node.parent!.offset : node.offset;
    }
    return this.#root?.offset ?? 0;
  }
}

/** `cards.mic0.disks[1]`. */
function keyOf(path: Path): string {
  return path.map((part, i) =>
    typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${String(part)}`
  ).join("");
}

/** What the schema found, as problems; `value` is what it looked at. */
export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  schema: z.ZodType,
  value: unknown,
  places: Places,
): Problem[] {
  const problems = issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      const known = keysAt(schema, issue.path);
      return issue.keys.map((key) => {
        const near = closestString(key, known);
        const text = `there is no key of that name; did you mean "${near}"?`;
        return places.problem([...issue.path, key], text, true);
      });
    }
    const found = valueAt(value, issue.path);
    // The key itself has a wrong form, not what it names.
    const atKey = issue.code === "invalid_key";
    return [places.problem(issue.path, sentence(issue, found), atKey)];
  });
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
}

function sentence(issue: z.core.$ZodIssue, found: unknown): string {
  switch (issue.code) {
    case "invalid_type":
      if (found === undefined) return `is missing: wanted ${article(issue.expected)}`;
      return `wanted ${article(issue.expected)}, found ${shown(found)}`;
    case "invalid_value": {
      const values = issue.values.map(String);
      const text = `wanted ${listed(values)}, found ${shown(found)}`;
      if (typeof found !== "string") return text;
      return `${text}; did you mean "${closestString(found, values)}"?`;
    }
    case "invalid_key":
      return issue.issues[0]?.message ?? issue.message;
    case "too_big":
      return `wanted ${issue.maximum} at most`;
    case "too_small":
      return issue.origin === "array" ? `wanted ${issue.minimum} at least` : "wanted some text";
    case "invalid_format":
      return `${issue.message}, found ${shown(found)}`;
    default:
      return issue.message;
  }
}

const ARTICLES: Readonly<Record<string, string>> = {
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};
const article = (type: string): string => ARTICLES[type] ?? type;

function listed(values: readonly string[]): string {
  const quoted = values.map((value) => `"${value}"`);
  return [quoted.slice(0, -1).join(", "), quoted.at(-1)].filter(Boolean).join(" or ");
}

/** Short, and never what might be a whole file. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
    value,
  );
}

/** The names that an object at `path` may have. */
function keysAt(schema: z.ZodType, path: Path): string[] {
  let at: unknown = schema;
  for (const key of path) at = step(inner(at), key);
  const found = inner(at);
  return found instanceof z.ZodObject ? Object.keys(found.shape) : [];
}

function inner(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return inner(schema.unwrap());
  }
  return schema;
}

function step(schema: unknown, key: PropertyKey): unknown {
  if (schema instanceof z.ZodObject) return schema.shape[String(key)];
  if (schema instanceof z.ZodRecord) return schema.valueType;
  return undefined;
}
