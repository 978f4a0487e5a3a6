// Over real sockets: who gets in, who does not, and that TLS below a link is a transport like any other.
import { assert, assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import {
  dialLink,
  dialTcp,
  type Link,
  LinkError,
  LinkServer,
  type LinkStatus,
  listenTcp,
  shortIdentity,
  type TlsTransport,
  type Transport,
} from "../../protocol/mod.ts";
import { encodeGoodbye } from "../../protocol/link/control.ts";
import { readGreeting, Refused } from "../../protocol/link/handshake.ts";
import { decodeGreeting, encodeGreeting, GREETING } from "../../protocol/link/greeting.ts";
import { secureTransport } from "../../protocol/link/tls_transport.ts";
import { RecordingCompleter } from "../support/link_completer.ts";
import { cardGreeting } from "../support/link_peer.ts";
import { missing } from "../support/needs.ts";
import {
  CARD,
  dialAs,
  HOST,
  hostListener,
  impostorKey,
  never,
  securePair,
  STRANGER,
  trusting,
} from "../support/tls_rig.ts";

const noOpenssl = await missing({ program: "openssl" });

Deno.test("dialTls() and listenTls() carry bytes between two that trust each other, and a close ends the stream", async () => {
  const [host, card] = await securePair();
  assertEquals([host.fingerprint, card.fingerprint], [CARD.fingerprint, HOST.fingerprint]);
  const sent = Uint8Array.from({ length: 3_000_000 }, (_, i) => i * 7);
  for (const [from, to] of [[host, card], [card, host]] as const) {
    const written = from.write(sent);
    const got = new Uint8Array(sent.length);
    for (let have = 0; have < got.length;) have += (await to.read(got.subarray(have)))!;
    await written;
    assert(got.every((byte, i) => byte === sent[i]));
  }
  await card.write(Uint8Array.of(1, 2, 3));
  card.close();
  assertEquals(await host.read(new Uint8Array(10)), 3);
  assertEquals(await host.read(new Uint8Array(10)), null);
  await assertRejects(() => host.write(new Uint8Array(1 << 20)), LinkError, "Cannot write to");
  host.close();
});

Deno.test("close() ends a read and a write that wait, with LinkError", async () => {
  const [host, card] = await securePair();
  const read = assertRejects(() => card.read(new Uint8Array(1)), LinkError, "closed on this side");
  // More than the network takes while nobody reads.
  const write = assertRejects(() => card.write(new Uint8Array(64 << 20)), LinkError, "closed on");
  card.close();
  card.close();
  await Promise.all([read, write]);
  await assertRejects(() => card.write(new Uint8Array(1)), LinkError);
  host.close();
});

Deno.test("a reader that stops stops the network, and goes on where it was", async () => {
  await using listener = listenTcp("127.0.0.1", 0);
  const dialled = dialTcp("127.0.0.1", listener.port, never);
  const below = (await listener.accept())!;
  let taken = 0;
  const counted: Transport = {
    peer: below.peer,
    async read(into) {
      const count = await below.read(into);
      taken += count ?? 0;
      return count;
    },
    write: (bytes) => below.write(bytes),
    close: () => below.close(),
    [Symbol.asyncDispose]: () => below[Symbol.asyncDispose](),
  };
  const [host, card] = await Promise.all([
    secureTransport(counted, "host", HOST),
    secureTransport(await dialled, "card", CARD),
  ]);
  const total = 32 << 20;
  const written = card.write(new Uint8Array(total));
  let got = (await host.read(new Uint8Array(1000)))!;
  // Nobody reads now. Once nothing has moved for so many turns, nothing will.
  for (let still = 0, before = -1; still < 30; still = taken === before ? still + 1 : 0) {
    before = taken;
    await turn();
  }
  assertLess(taken, 400_000);
  for (const into = new Uint8Array(1 << 20); got < total;) got += (await host.read(into))!;
  await written;
  card.close();
  host.close();
});

Deno.test("a card that the host does not trust is refused with a goodbye, and named", async () => {
  const { listener, refusals } = hostListener();
  const accepted = listener.accept();
  await using stranger = await dialAs(STRANGER, listener.port);
  const text = `Cannot serve card: its certificate ${STRANGER.fingerprint} is not trusted here; ` +
    `pair it with "deno task host --pair"`;
  await assertRejects(() => readGreeting(stranger), Refused, text);
  assertEquals(refusals.map(({ fingerprint, text }) => [fingerprint, text]), [
    [STRANGER.fingerprint, text],
  ]);
  // The next one, who is trusted, is served by the same accept().
  await using card = await dialAs(CARD, listener.port);
  await using host = (await accepted)!;
  assertEquals(host.fingerprint, CARD.fingerprint);
  assertEquals(card.fingerprint, HOST.fingerprint);
  await listener[Symbol.asyncDispose]();
  assertEquals(await listener.accept(), undefined);
});

Deno.test("a listener that is disposed of has come to an end with everybody it was about to refuse", async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<boolean>();
  const { listener } = hostListener(() => {
    asked.resolve();
    return answer.promise;
  });
  const accepted = listener.accept();
  await using stranger = await dialAs(STRANGER, listener.port);
  await asked.promise;
  let over = false;
  const disposed = listener[Symbol.asyncDispose]().then(() => over = true);
  assertEquals(await accepted, undefined);
  for (let i = 0; i < 5; i++) await turn();
  assertEquals(over, false);
  answer.resolve(false);
  await disposed;
  assertEquals(await stranger.read(new Uint8Array(1)), null);
});

Deno.test("a host that the card does not trust is not spoken to", async () => {
  const { listener } = hostListener();
  const accepted = listener.accept();
  await assertRejects(
    () => dialAs(CARD, listener.port, trusting(STRANGER)),
    LinkError,
    `its certificate ${HOST.fingerprint} is of no host that this card was paired with`,
  );
  await using host = (await accepted)!;
  assertEquals(await host.read(new Uint8Array(1)), null);
  await listener[Symbol.asyncDispose]();
});

Deno.test("a plain card at a TLS host is told so in plain words", async () => {
  const { listener, refusals } = hostListener();
  const accepted = listener.accept();
  await using card = await dialTcp("127.0.0.1", listener.port, never);
  await card.write(encodeGreeting(cardGreeting()));
  await assertRejects(
    () => readGreeting(card),
    Refused,
    "Cannot serve card: this host speaks TLS only",
  );
  card.close();
  await eventually(() => refusals.length === 1);
  assertMatch(refusals[0]!.text, /^Cannot agree on TLS with .*: it does not speak TLS$/);
  await listener[Symbol.asyncDispose]();
  assertEquals(await accepted, undefined);
});

Deno.test("a TLS card at a plain host says so", async () => {
  await using listener = listenTcp("127.0.0.1", 0);
  const refused: string[] = [];
  await using server = linkServer({ onRefused: (_peer, reason) => refused.push(reason) });
  const served = listener.accept().then((transport) => server.serve(transport!));
  await assertRejects(() => dialAs(CARD, listener.port), LinkError, "it does not speak TLS");
  await served;
  assertEquals(refused, ["version"]);
});

Deno.test("a card without a certificate is refused, and so is one that hangs up", async () => {
  const { listener, refusals } = hostListener();
  const accepted = listener.accept();
  // A client that knows TLS, but not us.
  const client = await Deno.connectTls({
    hostname: "127.0.0.1",
    port: listener.port,
    caCerts: [HOST.certificate],
    unsafelyDisableHostnameVerification: true,
  });
  await client.handshake().catch(() => {});
  await client.read(new Uint8Array(1)).catch(() => {});
  client.close();
  await eventually(() => refusals.length === 1);
  assertMatch(refusals[0]!.text, /^Cannot agree on TLS with .*: it showed no certificate$/);
  assertEquals(refusals[0]!.fingerprint, undefined);
  (await Deno.connect({ hostname: "127.0.0.1", port: listener.port })).close();
  await eventually(() => refusals.length === 2);
  assertMatch(refusals[1]!.text, /^Cannot agree on TLS with .*: connection closed$/);
  await listener[Symbol.asyncDispose]();
  assertEquals(await accepted, undefined);
});

Deno.test("nobody is trusted while the list of the trusted cannot be read", async () => {
  const unreadable = () => {
    throw new Error("Cannot read the list");
  };
  const { listener, refusals } = hostListener(unreadable);
  const accepted = listener.accept();
  await using card = await dialAs(CARD, listener.port);
  assertEquals(await card.read(new Uint8Array(1)), null);
  assertEquals(refusals.map(({ fingerprint, text }) => [fingerprint, text]), [
    [CARD.fingerprint, "Cannot read the list"],
  ]);
  await assertRejects(
    () => dialAs(CARD, listener.port, unreadable),
    Error,
    "Cannot read the list",
  );
  await listener[Symbol.asyncDispose]();
  assertEquals(await accepted, undefined);
});

Deno.test({
  name: "a card with a trusted certificate but not its key is refused",
  ignore: noOpenssl,
}, async () => {
  await using folder = await keyFolder(CARD);
  for (const [key, enters] of [["genuine", true], ["impostor", false]] as const) {
    const { listener, refusals } = hostListener();
    const accepted = listener.accept();
    await using client = openssl(folder.path, key, [
      ...["s_client", "-quiet", "-tls1_3", "-connect", `127.0.0.1:${listener.port}`],
    ]);
    if (enters) {
      await using host = (await accepted)!;
      assertEquals(host.fingerprint, CARD.fingerprint);
    } else {
      await eventually(() => refusals.length === 1);
      assertEquals(refusals[0]!.fingerprint, undefined);
    }
    await listener[Symbol.asyncDispose]();
    await client.ended();
  }
});

Deno.test({
  name: "a host with a trusted certificate but not its key is refused",
  ignore: noOpenssl,
}, async () => {
  await using folder = await keyFolder(HOST);
  for (const [key, enters] of [["genuine", true], ["impostor", false]] as const) {
    await using server = openssl(folder.path, key, [
      ...["s_server", "-tls1_3", "-accept", "127.0.0.1:0", "-verify", "1"],
    ]);
    const port = await server.port();
    if (enters) (await dialAs(CARD, port)).close();
    else await assertRejects(() => dialAs(CARD, port), LinkError, "Cannot agree on TLS");
  }
});

Deno.test({
  name: "TLS 1.2 is refused, by the host and by the card, whoever offers it",
  ignore: noOpenssl,
}, async () => {
  await using hostFolder = await keyFolder(HOST);
  await using cardFolder = await keyFolder(CARD);
  for (const [version, enters] of [["-tls1_3", true], ["-tls1_2", false]] as const) {
    {
      const { listener, refusals } = hostListener();
      const accepted = listener.accept();
      await using client = openssl(cardFolder.path, "genuine", [
        ...["s_client", "-quiet", version, "-connect", `127.0.0.1:${listener.port}`],
      ]);
      let entered: TlsTransport | undefined;
      void accepted.then((transport) => entered = transport);
      await eventually(() => entered !== undefined || refusals.length === 1);
      assertEquals(entered !== undefined, enters, version);
      entered?.close();
      await listener[Symbol.asyncDispose]();
      await client.ended();
    }
    await using server = openssl(hostFolder.path, "genuine", [
      ...["s_server", version, "-accept", "127.0.0.1:0", "-verify", "1"],
    ]);
    const port = await server.port();
    if (enters) (await dialAs(CARD, port)).close();
    else await assertRejects(() => dialAs(CARD, port), LinkError, "Cannot agree on TLS");
  }
});

Deno.test("a session resumes over TLS after its connection was cut, and for its own card only", async () => {
  const { listener } = hostListener(trusting(CARD, STRANGER));
  const completer = new RecordingCompleter();
  const up = Promise.withResolvers<Link>();
  await using server = linkServer({ completer, onLink: up.resolve });
  const accepting = (async () => {
    for (let t; (t = await listener.accept()) !== undefined;) void server.serve(t);
  })();
  let transport: TlsTransport | undefined;
  const heard: number[] = [];
  const statuses: LinkStatus[] = [];
  await using card = dialLink(
    async () => tapped(transport = await dialAs(CARD, listener.port), heard),
    {
      role: "card",
      completer: new RecordingCompleter(),
      identity: shortIdentity(CARD.fingerprint),
      onStatus: (status) => statuses.push(status),
    },
    never,
  );
  const host = await up.promise;
  await host.configRead(0, 4);
  transport!.close();
  card.postWrite(8, Uint8Array.of(5));
  await host.configRead(0, 4);
  assertEquals(completer.memory[8], 5);
  assertEquals(
    statuses.filter(({ type }) => type === "up").map((s) => "resumed" in s && s.resumed),
    [
      false,
      true,
    ],
  );
  // Another card that is trusted, and knows all of the session but the key of its card.
  await using other = await dialAs(STRANGER, listener.port);
  const { session, epoch } = decodeGreeting(Uint8Array.from(heard.slice(0, GREETING.size)));
  await other.write(encodeGreeting(cardGreeting({
    identity: shortIdentity(STRANGER.fingerprint),
    session,
    epoch,
  })));
  await assertRejects(() => readGreeting(other), Refused, "does not know it");
  await using liar = await dialAs(STRANGER, listener.port);
  await liar.write(encodeGreeting(cardGreeting({
    identity: shortIdentity(CARD.fingerprint),
    session,
    epoch,
  })));
  await assertRejects(() => readGreeting(liar), Refused, "but its certificate is");
  liar.close();
  other.close();
  await card.close("shutdown");
  await listener[Symbol.asyncDispose]();
  await accepting;
});

Deno.test("a goodbye arrives over TLS", async () => {
  const [host, card] = await securePair();
  await host.write(encodeGoodbye("busy", "one is enough"));
  await assertRejects(() => readGreeting(card), Refused, "one is enough");
  host.close();
  card.close();
});

/** `transport`, which adds all that is read from it to `heard`. */
function tapped(transport: TlsTransport, heard: number[]): Transport {
  return {
    peer: transport.peer,
    fingerprint: transport.fingerprint,
    async read(into) {
      const count = await transport.read(into);
      heard.push(...into.subarray(0, count ?? 0));
      return count;
    },
    write: (bytes) => transport.write(bytes),
    close: () => transport.close(),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

function linkServer(
  { completer = new RecordingCompleter(), onLink = () => {}, onRefused = () => {} }: {
    completer?: RecordingCompleter;
    onLink?: (link: Link) => void;
    onRefused?: (peer: string, reason: string) => void;
  },
): LinkServer {
  return new LinkServer({
    epoch: 1n,
    identity: shortIdentity(HOST.fingerprint),
    accept: () => ({ completer }),
    onLink,
    onRefused,
  });
}

/** `certificate`, its key `genuine`, and the key `impostor` that only looks like it. */
async function keyFolder(
  identity: typeof HOST,
): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  await Deno.writeTextFile(`${path}/certificate`, identity.certificate);
  await Deno.writeTextFile(`${path}/genuine`, identity.key);
  await Deno.writeTextFile(`${path}/impostor`, impostorKey(identity));
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** OpenSSL as the other end, with the certificate in `folder` and one of its keys. */
function openssl(folder: string, key: "genuine" | "impostor", args: readonly string[]) {
  const child = new Deno.Command("openssl", {
    args: [...args, "-cert", `${folder}/certificate`, "-key", `${folder}/${key}`],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const stdout = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const ended = async () => {
    await child.stdin.close().catch(() => {});
    await stdout.cancel();
    await child.status;
  };
  return {
    /** Where a server listens, once it does. */
    async port(): Promise<number> {
      let said = "";
      while (!/ACCEPT \S+:(\d+)/.test(said)) said += (await stdout.read()).value;
      return Number(/ACCEPT \S+:(\d+)/.exec(said)![1]);
    },
    /** Resolves when it has ended by itself, as it does when nothing more is to be said to it. */
    ended,
    async [Symbol.asyncDispose]() {
      try {
        child.kill();
      } catch {
        // It has ended.
      }
      await ended();
    },
  };
}

/** Waits turn by turn for what comes from the network; the test's time limit is the bound. */
async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
