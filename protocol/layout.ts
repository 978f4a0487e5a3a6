/**
 * A wire struct, declared once: size, offsets, TypeScript type, reader and writer fall out of one table.
 *
 * @module
 */
import type { Scalar } from "./scalar.ts";

type Fields = Readonly<Record<string, Scalar<number> | Scalar<bigint>>>;

/** The values of a struct, by field name. */
export type Values<F extends Fields> = { [K in keyof F]: F[K] extends Scalar<infer T> ? T : never };

/** What {@linkcode layout} makes of a table of fields. */
export interface Layout<F extends Fields> {
  /** Byte offset of each field. Hot paths: `le16.get(view, base + VIRTQ_DESC.at.flags)`. */
  readonly at: { readonly [K in keyof F]: number };
  /** Bytes, padding fields included. */
  readonly size: number;
  read(view: DataView, base?: number): Values<F>;
  write(view: DataView, values: Values<F>, base?: number): void;
}

/** Packed in order; padding is a visible field. */
export function layout<const F extends Fields>(fields: F): Layout<F> {
  const names = Object.keys(fields) as (keyof F & string)[];
  const at = {} as { [K in keyof F]: number };
  let size = 0;
  for (const name of names) {
    at[name] = size;
    size += fields[name]!.size;
  }
  const read = (view: DataView, base = 0): Values<F> =>
    Object.fromEntries(names.map((n) => [n, fields[n]!.get(view, base + at[n])])) as Values<F>;
  const write = (view: DataView, values: Values<F>, base = 0): void => {
    for (const n of names) fields[n]!.set(view, base + at[n], values[n] as never);
  };
  return { at, size, read, write };
}

/** A DataView over exactly the bytes of `bytes`. */
export function viewOf(bytes: Uint8Array): DataView<ArrayBufferLike> {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
