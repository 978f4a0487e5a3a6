/**
 * Types of the `@std/*` modules that knightsbridge uses.
 *
 * The import map takes `@std/*` from an npm mirror that ships no types; once JSR is reachable everywhere the map
 * points there and this file goes. Only what the code calls is declared.
 */
declare module "@std/assert" {
  export class AssertionError extends Error {}
  type Class<E extends Error> = abstract new (...args: never[]) => E;
  export function assert(expr: unknown, msg?: string): asserts expr;
  export function assertEquals<T>(actual: T, expected: T, msg?: string): void;
  export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void;
  export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): void;
  export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T>;
  export function assertGreater<T>(actual: T, expected: T, msg?: string): void;
  export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void;
  export function assertLess<T>(actual: T, expected: T, msg?: string): void;
  export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void;
  export function assertInstanceOf<C extends abstract new (...args: never[]) => unknown>(
    actual: unknown,
    expected: C,
    msg?: string,
  ): asserts actual is InstanceType<C>;
  export function assertMatch(actual: string, expected: RegExp, msg?: string): void;
  export function assertStringIncludes(actual: string, expected: string, msg?: string): void;
  export function assertThrows<E extends Error = Error>(
    fn: () => unknown,
    errorClass?: Class<E>,
    msgIncludes?: string,
  ): E;
  export function assertRejects<E extends Error = Error>(
    fn: () => PromiseLike<unknown>,
    errorClass?: Class<E>,
    msgIncludes?: string,
  ): Promise<E>;
  export function fail(msg?: string): never;
  export function unreachable(msg?: string): never;
}

declare module "@std/cli/parse-args" {
  export interface ParseOptions {
    readonly boolean?: readonly string[];
    readonly string?: readonly string[];
    readonly collect?: readonly string[];
    readonly alias?: Readonly<Record<string, string | readonly string[]>>;
    readonly default?: Readonly<Record<string, unknown>>;
    readonly negatable?: readonly string[];
    readonly stopEarly?: boolean;
    readonly "--"?: boolean;
    readonly unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  }
  export type Args = { _: (string | number)[]; "--"?: string[] } & Record<string, unknown>;
  export function parseArgs(args: readonly string[], options?: ParseOptions): Args;
}

declare module "@std/streams" {
  export function toText(stream: ReadableStream): Promise<string>;
  export function toBytes(stream: ReadableStream<Uint8Array>): Promise<Uint8Array>;
  export function mergeReadableStreams<T>(...streams: ReadableStream<T>[]): ReadableStream<T>;
  export class TextLineStream extends TransformStream<string, string> {
    constructor(options?: { readonly allowCR?: boolean });
  }
}

declare module "@std/text/closest-string" {
  export function closestString(given: string, possible: readonly string[]): string;
}
