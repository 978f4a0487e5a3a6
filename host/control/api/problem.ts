/**
 * What the API answers when it cannot do as asked: RFC 9457, `application/problem+json`, with one sentence as detail.
 *
 * @module
 */
import { BackendError, LinkError } from "../../../protocol/mod.ts";
import type { Shape } from "./schemas.ts";

/** Titles of the statuses in use (RFC 9110 §15). */
export const TITLES = {
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  426: "Upgrade Required",
  500: "Internal Server Error",
  503: "Service Unavailable",
} as const;
export type ProblemStatus = keyof typeof TITLES;

/** Ends a request with `status`. The message is a sentence that names the thing and says what to do. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: ProblemStatus;
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    status: ProblemStatus,
    message: string,
    { headers = {}, ...options }: ErrorOptions & {
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(message, options);
    this.status = status;
    this.headers = headers;
  }

  get body(): Shape<"Problem"> {
    const { status, message } = this;
    return { type: "about:blank", title: TITLES[status], status, detail: message };
  }

  get response(): Response {
    return new Response(`${JSON.stringify(this.body)}\n`, {
      status: this.status,
      headers: { "content-type": "application/problem+json", ...this.headers },
    });
  }
}

/**
 * What a command to a card that failed comes to: the state does not allow it (TypeError), it asks for what cannot be
 * (RangeError), a resource of the host or the connection failed. Anything else is a fault of ours.
 */
export function commandProblem(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const status = error instanceof TypeError
    ? 409
    : error instanceof RangeError
    ? 400
    : error instanceof BackendError || error instanceof LinkError
    ? 503
    : undefined;
  return status === undefined ? error : new Problem(status, error.message, { cause: error });
}
