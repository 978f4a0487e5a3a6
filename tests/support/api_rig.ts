/**
 * The control API of a host in memory, on a UNIX socket of its own, and a client of it that holds every answer against
 * what the API says of itself.
 *
 * @module
 */
import { assert } from "@std/assert";
import { pathNames, type Route } from "../../host/control/api/route.ts";
import { ROUTES } from "../../host/control/api/routes/mod.ts";
import { type SchemaName, SCHEMAS } from "../../host/control/api/schemas.ts";
import { ControlServer } from "../../host/control/api/server.ts";
import { HostBench, type HostBenchOptions } from "./host_bench.ts";

export interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- the schema that it was held against says what it is
  readonly body: any;
  readonly headers: Headers;
}

export class ApiRig implements AsyncDisposable {
  readonly bench: HostBench;
  readonly server: ControlServer;
  readonly path: string;
  /** What the server found wrong with itself. */
  readonly failures: unknown[];
  readonly #client: Deno.HttpClient;
  readonly #folder: string;

  private constructor(
    parts: Pick<ApiRig, "bench" | "server" | "path" | "failures"> & { folder: string },
  ) {
    this.bench = parts.bench;
    this.server = parts.server;
    this.path = parts.path;
    this.failures = parts.failures;
    this.#folder = parts.folder;
    this.#client = Deno.createHttpClient({ proxy: { transport: "unix", path: parts.path } });
  }

  static async start(options: HostBenchOptions = {}): Promise<ApiRig> {
    await using starting = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ prefix: "kb-api-" });
    starting.defer(() => Deno.remove(folder, { recursive: true }));
    const bench = starting.use(new HostBench(options));
    const path = `${folder}/host.sock`;
    const failures: unknown[] = [];
    const server = await ControlServer.start({
      host: bench.control,
      address: { transport: "unix", path },
      onError: (error) => failures.push(error),
    });
    starting.move();
    return new ApiRig({ bench, server, path, failures, folder });
  }

  /** As it is. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://localhost${path}`, { ...init, client: this.#client });
  }

  /** An answer of JSON, which is what the route says that it is, or a problem that it names. */
  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await this.fetch(path, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const { status, headers } = response;
    const value = await response.json();
    const type = headers.get("content-type");
    if (status >= 400) {
      assert(type === "application/problem+json", `${method} ${path} answers ${type}`);
      SCHEMAS.Problem.parse(value);
      assert(value.status === status);
    } else {
      assert(type === "application/json", `${method} ${path} answers ${type}`);
      const route = routeOf(method, path);
      assert(route.status === undefined ? status === 200 : status === route.status);
      SCHEMAS[route.answer as SchemaName].parse(value);
    }
    return { status, body: value, headers };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    await this.server[Symbol.asyncDispose]();
    await this.bench[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

function routeOf(method: string, path: string): Route {
  const [plain] = path.split("?");
  const route = ROUTES.find((route) =>
    route.method.toUpperCase() === method && pattern(route.path).test(plain!)
  );
  assert(route, `no route for ${method} ${path}`);
  return route;
}

const pattern = (path: string): RegExp =>
  new RegExp(
    `^${pathNames(path).reduce((text, name) => text.replace(`{${name}}`, "[^/]+"), path)}$`,
  );
