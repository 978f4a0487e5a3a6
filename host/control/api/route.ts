/**
 * One operation of the API: what the document says of it and what does it, in one place, so that they cannot differ.
 *
 * @module
 */
import type { z } from "zod";
import type { HostMetrics } from "../../metrics/host_metrics.ts";
import type { CardControl, HostControl } from "../card_control.ts";
import type { ControlEvents } from "./events.ts";
import type { ProblemStatus } from "./problem.ts";
import type { SchemaName, Shape } from "./schemas.ts";

/** What every route may use. */
export interface ApiContext {
  readonly host: HostControl;
  readonly events: ControlEvents;
  readonly metrics: HostMetrics;
  /** Where this API is, for people. */
  readonly place: { readonly name: string };
}

/** A request, checked. */
export interface Call<Q, B extends SchemaName | undefined> extends ApiContext {
  readonly card: CardControl;
  /** The parts of the path in braces, without `card`. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: Q;
  readonly body: B extends SchemaName ? Shape<B> : undefined;
  /** As it came; for what is more than a question and an answer. */
  readonly request: Request;
  /** Aborted when the client is gone, or the server is stopped. */
  readonly signal: AbortSignal;
}

export interface RouteOptions<
  Q,
  B extends SchemaName | undefined,
  A extends SchemaName | undefined,
> {
  readonly method: "get" | "post" | "patch" | "delete";
  /** As OpenAPI writes it: `/v1/cards/{card}`. */
  readonly path: string;
  /** One line. */
  readonly summary: string;
  readonly query?: z.ZodType<Q> & { readonly shape: Readonly<Record<string, z.ZodType>> };
  readonly body?: B;
  /** Of an answer that is none of JSON: then `handle` makes the whole response. */
  readonly type?: string;
  /** What the answer is, or, with `type`, one item of it. */
  readonly answer?: A;
  /** Of the answer; 200 by default. */
  readonly status?: 200 | 201 | 202 | 204;
  /** How it may end otherwise, beside what every route may. */
  readonly problems?: readonly ProblemStatus[];
  handle(
    call: Call<Q, B>,
  ):
    | Response
    | (A extends SchemaName ? Shape<A> : void)
    | Promise<Response | (A extends SchemaName ? Shape<A> : void)>;
}

/** A route of any types. */
// deno-lint-ignore no-explicit-any -- a list of routes holds handlers of different queries and bodies
export type Route = RouteOptions<any, any, any>;

/** Lets the compiler see that `handle` takes and gives what the schemas say. */
export function route<
  const B extends SchemaName | undefined = undefined,
  const A extends SchemaName | undefined = undefined,
  Q = Record<never, never>,
>(options: RouteOptions<Q, B, A>): Route {
  return options;
}

/** The names in braces. */
export const pathNames = (path: string): string[] =>
  path.matchAll(/\{(\w+)\}/g).map(([, name]) => name!).toArray();
