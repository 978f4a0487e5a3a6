/**
 * The OpenAPI 3.1 description of the routes, made from what they are: nothing is written down twice.
 *
 * @module
 */
import { z } from "zod";
import { TITLES } from "./problem.ts";
import { pathNames, type Route, route } from "./route.ts";
import { type SchemaName, SCHEMAS } from "./schemas.ts";

type Json = Record<string, unknown>;

/** What any route may answer: of a name that is none (404), a body that is too long, a fault of ours. */
const ALWAYS = [400, 401, 413, 500] as const;

/** `routes`, and the one that describes them and itself. */
export function withDocument(routes: readonly Route[], version: string): readonly Route[] {
  const all = [
    ...routes,
    route({
      method: "get",
      path: "/openapi.json",
      summary: "This description",
      type: "application/json",
      handle: () => Response.json(document),
    }),
  ];
  const document = openApi(all, version);
  return all;
}

function openApi(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    (paths[route.path] ??= {})[route.method] = operation(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "knightsbridge control API",
      version,
      description: "The cards of one host: their states, commands to them, and what happens.",
    },
    security: [{}, { token: [] }],
    paths,
    components: {
      schemas: components(),
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  };
}

function operation(route: Route): Json {
  const { method, path, summary, type = "application/json", status = 200 } = route;
  const named = path.includes("{");
  const problems = new Set([...ALWAYS, ...(named ? [404] : []), ...(route.problems ?? [])]);
  const answer = status === 204 ? {} : {
    content: { [type]: route.answer === undefined ? {} : { schema: reference(route.answer) } },
  };
  return {
    operationId: `${method} ${path}`.replaceAll(/[^a-z0-9]+(.)?/g, (_, next) => upper(next)),
    summary,
    parameters: [...pathParameters(path), ...queryParameters(route)],
    ...(route.body && {
      requestBody: {
        required: true,
        content: { "application/json": { schema: reference(route.body) } },
      },
    }),
    responses: {
      [status]: { description: summary, ...answer },
      ...Object.fromEntries([...problems].map((status) => [status, problem(status as 400)])),
    },
  };
}

const pathParameters = (path: string): Json[] =>
  pathNames(path).map((name) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));

function queryParameters({ query }: Route): Json[] {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: "input" });
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
  }));
}

const problem = (status: keyof typeof TITLES): Json => ({
  description: TITLES[status],
  content: { "application/problem+json": { schema: reference("Problem") } },
});

const reference = (name: SchemaName): Json => ({ $ref: pointer(name) });
const pointer = (name: string): string => `#/components/schemas/${name}`;
const upper = (letter = ""): string => letter.toUpperCase();

/** Every schema, each pointing to others by name. */
function components(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { uri: pointer });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema: _, $id: __, ...schema }]) => [name, schema]),
  );
}
