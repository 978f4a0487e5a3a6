/**
 * A block of 32-bit registers made from its table: one map of offset to name, read and write.
 *
 * - **Invariant:** the access column of the table is what the handlers' type demands (a read-only register cannot be
 *   given a write) and what the host meets: a write to a read-only register and any access to an offset without one
 *   are unsupported requests; a write-only register reads as 0.
 *
 * @module
 */
import { UnsupportedRequest } from "../../protocol/mod.ts";

/** One row of a register table. */
interface Row {
  readonly at: number;
  readonly access: "ro" | "rw" | "wo";
}
interface Readable {
  read(): number;
}
interface Writable {
  write(value: number): void;
}

/** The handlers a table calls for, by register name. */
export type Handlers<M extends Readonly<Record<string, Row>>> = {
  readonly [K in keyof M]: M[K]["access"] extends "ro" ? Readable
    : M[K]["access"] extends "wo" ? Writable
    : Readable & Writable;
};

interface Register extends Partial<Readable>, Partial<Writable> {
  readonly name: string;
}

export class RegisterBlock<M extends Readonly<Record<string, Row>>> {
  readonly #at = new Map<number, Register>();

  constructor(rows: M, handlers: Handlers<M>) {
    for (const name in rows) {
      const handler: Partial<Readable & Writable> = handlers[name];
      this.#at.set(rows[name]!.at, { name, ...handler });
    }
  }

  /** @throws {UnsupportedRequest} if there is no register at `offset` */
  read(offset: number): number {
    return this.#register(offset).read?.() ?? 0;
  }

  /** @throws {UnsupportedRequest} if there is no register at `offset`, or it is read-only */
  write(offset: number, value: number): void {
    const register = this.#register(offset);
    if (register.write === undefined) {
      throw new UnsupportedRequest(`Cannot write register ${register.name}: it is read-only`);
    }
    register.write(value);
  }

  #register(offset: number): Register {
    const register = this.#at.get(offset);
    if (register === undefined) {
      throw new UnsupportedRequest(`Cannot access BAR 4 + 0x${offset.toString(16)}: no register`);
    }
    return register;
  }
}
