/**
 * The API as one function from request to response: every route of the tables, checked on the way in, and every failure
 * a problem on the way out.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { withDocument } from "./openapi.ts";
import { Problem, type ProblemStatus } from "./problem.ts";
import { type ApiContext, type Call, pathNames, type Route } from "./route.ts";
import { ROUTES } from "./routes/mod.ts";
import { SCHEMAS } from "./schemas.ts";

/** No request of the API is longer, bytes. */
export const BODY_LIMIT = 64 * 1024;

export interface AppOptions extends ApiContext {
  /** Aborted when the server is stopped. */
  readonly signal: AbortSignal;
  /** True for a request that may pass; all may if absent. */
  readonly admits?: (request: Request) => boolean;
  /** Told of failures that are ours. */
  readonly onError: (error: unknown) => void;
}

export function controlApp(options: AppOptions): (request: Request) => Promise<Response> {
  const { admits, onError } = options;
  // `strict`: a path with a slash behind is another one, and unknown.
  const app = new Hono({ strict: true });
  if (admits) {
    app.use(async (c, next) => {
      if (admits(c.req.raw)) return await next();
      throw new Problem(401, "Cannot serve this request: wanted the host's bearer token", {
        headers: { "www-authenticate": "Bearer" },
      });
    });
  }
  app.use(bodyLimit({
    maxSize: BODY_LIMIT,
    onError: () => {
      throw new Problem(413, `Cannot take the request: wanted at most ${BODY_LIMIT} bytes`);
    },
  }));
  const routes = withDocument(ROUTES, options.host.version);
  for (const route of routes) {
    const path = honoPath(route.path);
    app.on(route.method.toUpperCase(), path, (c) => answer(route, c, options));
  }
  app.notFound((c) => {
    throw unknownPath(routes, new URL(c.req.url).pathname, c.req.method);
  });
  app.onError((error) => {
    if (error instanceof Problem) return error.response;
    onError(error);
    const text = "Cannot answer: an internal error, which the host's log has; please report it";
    return new Problem(500, text).response;
  });
  return async (request) => await app.fetch(request);
}

async function answer(route: Route, c: Context, options: AppOptions): Promise<Response> {
  const { host } = options;
  const { card: name, ...path } = c.req.param() as Record<string, string>;
  const call = {
    ...options,
    path,
    card: name === undefined ? undefined : cardNamed(host, name),
    query: route.query && checked(route.query, queryOf(c), "the query"),
    body: route.body && checked(SCHEMAS[route.body as "Host"], await bodyOf(c), "the body"),
    request: c.req.raw,
    signal: AbortSignal.any([c.req.raw.signal, options.signal]),
  };
  const result = await route.handle(call as unknown as Call<unknown, undefined>);
  if (result instanceof Response) return result;
  const { status = 200 } = route;
  return status === 204 ? new Response(null, { status }) : json(result, status);
}

function cardNamed(host: ApiContext["host"], name: string) {
  const card = host.cards.get(name);
  if (card) return card;
  const names = [...host.cards.keys()].join(", ");
  throw new Problem(404, `Cannot find card ${name}: this host has ${names || "none"}`);
}

/** What is given several times is a list. */
const queryOf = (c: Context): Record<string, string | string[]> =>
  Object.fromEntries(
    Object.entries(c.req.queries()).map(([name, all]) => [name, all.length === 1 ? all[0]! : all]),
  );

async function bodyOf(c: Context): Promise<unknown> {
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Problem(400, "Cannot read the body: wanted JSON", { cause });
  }
}

/** @throws {Problem} that names what is wrong */
function checked<T>(
  schema: { safeParse(value: unknown): { data?: T; error?: { issues: readonly Issue[] } } },
  value: unknown,
  what: string,
): T {
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data!;
  const [{ path, message }] = error.issues as [Issue];
  const place = path.length > 0 ? `${what}'s ${path.join(".")}` : what;
  throw new Problem(400, `Cannot use ${place}: ${message}`);
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

function unknownPath(routes: readonly Route[], path: string, method: string): Problem {
  const allowed = routes.filter((route) => matches(route.path, path))
    .map((route) => route.method.toUpperCase());
  if (allowed.length === 0) {
    return new Problem(404, `Cannot find ${path}: /openapi.json lists what there is`);
  }
  const allow = allowed.join(", ");
  return new Problem(405, `Cannot ${method} ${path}: wanted ${allow}`, { headers: { allow } });
}

function matches(pattern: string, path: string): boolean {
  const [wanted, found] = [pattern.split("/"), path.split("/")];
  return wanted.length === found.length &&
    wanted.every((part, i) => part.startsWith("{") ? found[i] !== "" : part === found[i]);
}

const honoPath = (path: string): string =>
  pathNames(path).reduce((text, name) => text.replace(`{${name}}`, `:${name}`), path);

const json = (value: unknown, status: ProblemStatus | 200 | 201 | 202 = 200): Response =>
  new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { "content-type": "application/json" },
  });
