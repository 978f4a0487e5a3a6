// Spans as an OTLP receiver gets them of a host process that runs with OTEL_DENO=true.
import { assert, assertEquals } from "@std/assert";
import { Lab } from "../support/lab.ts";
import { Proxy } from "../support/proxy.ts";

interface Received {
  readonly name: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceId: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { key: string; value: Record<string, unknown> }[];
}

/** Takes what OTLP/HTTP brings, in JSON. */
class Receiver implements AsyncDisposable {
  readonly spans: Received[] = [];
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    return this.#take(request);
  });

  get env(): Record<string, string> {
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_DENO_CONSOLE: "ignore",
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #take(request: Request): Promise<Response> {
    const body = await request.json();
    for (const { scopeSpans } of body.resourceSpans ?? []) {
      for (const { scope, spans } of scopeSpans) {
        if (scope.name === "knightsbridge") this.spans.push(...spans);
      }
    }
    return Response.json({});
  }
}

Deno.test("a host with OTEL_DENO=true sends a boot with its parts, a lost connection, and a shutdown", async () => {
  await using receiver = new Receiver();
  {
    let proxy: Proxy | undefined;
    await using lab = await Lab.start({
      os: "diag",
      host: ["--disk", "mem:1M"],
      env: receiver.env,
      via: async (port) => (proxy = await Proxy.start(port)).port,
    });
    await using _proxy = proxy!;
    await lab.online();
    proxy!.cut();
    await lab.host.event(({ type, status }) =>
      type === "link" && (status as { resumed?: boolean }).resumed === true
    );
    lab.host.kill("SIGTERM");
    await lab.host.ended;
  }
  const named = (name: string) => receiver.spans.filter((span) => span.name === name);
  const [boot] = named("boot");
  assert(boot, `no boot among ${receiver.spans.map(({ name }) => name)}`);
  assertEquals(boot.parentSpanId ?? "", "");
  const children = receiver.spans.filter(({ parentSpanId }) => parentSpanId === boot.spanId);
  assertEquals(children.map(({ name }) => name).toSorted(), [
    "bootstrap",
    "download kernel",
    "online",
    "probe",
  ]);
  for (const { name, traceId, startTimeUnixNano, endTimeUnixNano } of children) {
    assertEquals(traceId, boot.traceId, name);
    const [from, to] = [BigInt(startTimeUnixNano), BigInt(endTimeUnixNano)];
    assert(from <= to && from >= BigInt(boot.startTimeUnixNano), name);
    assert(to <= BigInt(boot.endTimeUnixNano), name);
  }
  const card = boot.attributes.find(({ key }) => key === "knightsbridge.card")!;
  assertEquals(card.value, { stringValue: "mic0" });
  for (const name of ["reconnect", "shutdown"]) assertEquals(named(name).length, 1, name);
});

Deno.test("a host without it sends nothing, and listens to nothing for it", async () => {
  await using receiver = new Receiver();
  const { OTEL_DENO: _, ...env } = receiver.env;
  await using lab = await Lab.start({ os: "diag", host: ["--disk", "mem:1M"], env });
  await lab.online();
  lab.host.kill("SIGTERM");
  await lab.host.ended;
  assertEquals(receiver.spans, []);
});
