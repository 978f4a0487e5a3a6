// Where the control API listens: UNIX sockets that are the owner's alone, TCP with a token, and what is left behind.
import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
import { type ControlAddress, ControlServer } from "../../host/control/api/server.ts";
import { bearer } from "../../host/control/api/token.ts";
import { BackendError } from "../../protocol/mod.ts";
import { HostBench } from "../support/host_bench.ts";
import { temporaryFolder } from "../support/lab.ts";

const TOKEN = "0123456789abcdef";

const serve = (bench: HostBench, address: ControlAddress) =>
  ControlServer.start({ host: bench.control, address, onError: () => {} });

Deno.test("the socket is its owner's alone, and is gone with the server", async () => {
  await using folder = await temporaryFolder();
  await using bench = new HostBench();
  const path = `${folder.path}/host.sock`;
  {
    await using server = await serve(bench, { transport: "unix", path });
    const { mode, isSocket } = await Deno.lstat(path);
    assertEquals([isSocket, mode! & 0o777, server.name], [true, 0o600, path]);
  }
  await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
});

Deno.test("a socket that a killed host left behind is replaced, one that answers is not", async () => {
  await using folder = await temporaryFolder();
  await using bench = new HostBench();
  const path = `${folder.path}/host.sock`;
  // Bound by a process that ends without a word: nobody listens, and the path stays.
  const killed = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `Deno.listen({ transport: "unix", path: ${JSON.stringify(path)} });
       Deno.kill(Deno.pid, "SIGKILL");`,
    ],
  });
  assertEquals((await killed.output()).signal, "SIGKILL");
  assert((await Deno.lstat(path)).isSocket);
  await using _server = await serve(bench, { transport: "unix", path });
  const error = await assertRejects(() => serve(bench, { transport: "unix", path }), BackendError);
  assertInstanceOf(error.cause, Deno.errors.AddrInUse);
  assertMatch(error.message, /another process listens there/);
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  assertEquals((await (await fetch("http://localhost/v1/host", { client })).json()).pid, Deno.pid);
});

Deno.test("what is at the path and is no socket stays as it is", async () => {
  await using folder = await temporaryFolder();
  await using bench = new HostBench();
  const path = `${folder.path}/file`;
  await Deno.writeTextFile(path, "precious");
  await assertRejects(() => serve(bench, { transport: "unix", path }), BackendError);
  assertEquals(await Deno.readTextFile(path), "precious");
  await assertRejects(
    () => serve(bench, { transport: "unix", path: `${folder.path}/none/x` }),
    BackendError,
    "Cannot serve the control API on",
  );
});

Deno.test("over TCP nothing is served without the token, not even what does not exist", async () => {
  await using bench = new HostBench();
  await using server = await serve(bench, {
    transport: "tcp",
    hostname: "127.0.0.1",
    port: 0,
    token: TOKEN,
  });
  const base = server.name.replace("tcp:", "http://");
  const wrong = [undefined, "", "Bearer", "Bearer x", `Bearer ${TOKEN}0`, `Basic ${TOKEN}`, TOKEN];
  for (const path of ["/v1/host", "/openapi.json", "/v1/nothing", "/v1/events"]) {
    for (const authorization of wrong) {
      const response = await fetch(base + path, {
        ...(authorization !== undefined && { headers: { authorization } }),
      });
      assertEquals(response.status, 401, `${path} with ${authorization}`);
      assertEquals(response.headers.get("www-authenticate"), "Bearer");
      assertEquals(response.headers.get("content-type"), "application/problem+json");
      await response.body?.cancel();
    }
  }
  const headers = { authorization: `Bearer ${TOKEN}` };
  const response = await fetch(`${base}/v1/host`, { headers });
  assertEquals([response.status, (await response.json()).control], [200, server.name]);
});

Deno.test("TCP beyond loopback is refused, as the token would be readable there", async () => {
  await using bench = new HostBench();
  const address = { transport: "tcp", hostname: "0.0.0.0", port: 0, token: TOKEN } as const;
  await assertRejects(() => serve(bench, address), RangeError, "in the clear");
  await using _server = await serve(bench, { ...address, insecure: true });
});

Deno.test("bearer() refuses a token that is no secret", () => {
  let refused = false;
  try {
    bearer("short");
  } catch (error) {
    refused = error instanceof RangeError;
  }
  assert(refused);
});
