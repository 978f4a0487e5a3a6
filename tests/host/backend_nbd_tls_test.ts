// NBD over TLS (doc/proto.md, "TLS support"): against nbdkit, and against bytes typed by hand.
import { assertEquals, assertRejects } from "@std/assert";
import { NbdBackend } from "../../host/backends/nbd/backend.ts";
import { parseNbdUri } from "../../host/backends/nbd/uri.ts";
import { BackendError } from "../../protocol/mod.ts";
import { makeAuthority, makeCertificate } from "../support/certificates.ts";
import { randomBytes, temporaryFolder } from "../support/lab.ts";
import { freePort, NbdProcess } from "../support/nbd_process.ts";
import { FakeNbdServer } from "../support/nbd_server.ts";
import { missing } from "../support/needs.ts";

const noTools = await missing({ program: "nbdkit" }) || await missing({ program: "openssl" });

const signal = new AbortController().signal;
const open = (uri: string) => NbdBackend.open(parseNbdUri(uri));
const refused = (uri: string, text: string) =>
  assertRejects(() => open(uri), BackendError, `Cannot open disk ${uri}: ${text}`);

/** What a server shows, and in folders of their own what clients know. */
async function certificates(folder: string): Promise<{
  readonly server: string;
  /** The authority alone; with a client's certificate, too; another authority. */
  readonly known: string;
  readonly client: string;
  readonly other: string;
}> {
  const at = (name: string) => `${folder}/${name}`;
  await makeAuthority(at("pki"));
  await makeCertificate(at("pki"), "server", "DNS:localhost,IP:127.0.0.1");
  await makeCertificate(at("pki"), "client", "DNS:me");
  await Deno.mkdir(at("known"));
  await Deno.copyFile(at("pki/ca-cert.pem"), at("known/ca-cert.pem"));
  await makeAuthority(at("other"));
  return { server: at("pki"), known: at("known"), client: at("pki"), other: at("other") };
}

const serve = (uri: string, where: readonly string[], pki: string, ...more: readonly string[]) =>
  NbdProcess.start(
    uri,
    ...["nbdkit", "-f", ...where, "--tls=require", `--tls-certificates=${pki}`, ...more],
  );

Deno.test({
  name: "NbdBackend over TLS reads what it wrote, and finishes what a killed server did not",
  ignore: noTools,
}, async () => {
  await using folder = await temporaryFolder();
  const { server: pki, known } = await certificates(folder.path);
  const image = `${folder.path}/disk.img`;
  await Deno.writeFile(image, new Uint8Array(2 * 1024 * 1024));
  const port = freePort();
  await using server = serve(
    `nbds://127.0.0.1:${port}/?tls-certificates=${known}`,
    ["-i", "127.0.0.1", "-p", `${port}`],
    pki,
    ...["--filter=delay", "file", image, "wdelay=10ms"],
  );
  await using disk = await server.open();
  const bytes = randomBytes(1024 * 1024);
  await disk.write(0, bytes, signal);
  await disk.flush(signal);
  const into = new Uint8Array(bytes.length);
  await disk.read(0, into, signal);
  assertEquals(into, bytes);
  const writes = Array.from({ length: 16 }, (_, part) => {
    const piece = bytes.subarray(part * 65_536, (part + 1) * 65_536);
    return disk.write(2048 + part * 128, piece, signal);
  });
  await Promise.race(writes);
  await server.restart("SIGKILL");
  await Promise.all(writes);
  await disk.read(2048, into, signal);
  assertEquals(into, bytes);
});

Deno.test({
  name: "NbdBackend over TLS trusts whom its authority vouches for by that name, and nobody else",
  ignore: noTools,
}, async () => {
  await using folder = await temporaryFolder();
  const { server: pki, known, client, other } = await certificates(folder.path);
  const socket = `${folder.path}/nbd.sock`;
  const uri = (more: string) => `nbds+unix:///?socket=${socket}${more}`;
  await using server = serve(
    uri(`&tls-certificates=${client}`),
    ["-U", socket, "--tls-verify-peer"],
    pki,
    ...["memory", "1M"],
  );
  // It shows a certificate and sees one: both are good.
  await server.ready();
  await refused(uri(`&tls-certificates=${other}`), `Cannot agree on TLS with ${socket}: `);
  await refused(uri(""), `Cannot agree on TLS with ${socket}: `);
  const named = `&tls-certificates=${client}&tls-hostname=store`;
  await assertRejects(() => open(uri(named)), BackendError, `wanted "store", signed by ${client}`);
  // It sees no certificate.
  await assertRejects(
    () => open(uri(`&tls-certificates=${known}`)),
    BackendError,
    "a server that wants a client certificate it knows ends it like this",
  );
  await refused(`nbd+unix:///?socket=${socket}`, "the server refuses: it wants TLS, which is nbds");
  await refused(uri(`&tls-certificates=${folder.path}`), `there is no ${folder.path}/ca-cert.pem`);
  await Deno.copyFile(`${client}/client-cert.pem`, `${known}/client-cert.pem`);
  await refused(uri(`&tls-certificates=${known}`), `there is a client-cert.pem in ${known} and no`);
});

Deno.test({
  name: "NbdBackend says that a server has no TLS",
  ignore: noTools,
}, async () => {
  await using folder = await temporaryFolder();
  await using server = NbdProcess.nbdkit(folder.path, "--tls=off", "memory", "1M");
  await server.ready();
  await refused(server.uri.replace("nbd+", "nbds+"), "the server does not speak TLS here");
});

const HELLO = "4e42444d41474943 49484156454f5054 0003";
const STARTTLS = "49484156454f5054 00000005 00000000";
const REPLY = "0003e889045565a9 00000005";
const ACK = `${REPLY} 00000001 00000000`;

const NOT_TLS = [
  ["with words in the clear behind it", `${ACK} ${REPLY}`, "more behind the reply to STARTTLS"],
  ["with INFO", `${REPLY} 00000003 00000000`, "reply 3 to STARTTLS"],
  ["with text", `${REPLY} 00000001 00000002 6e6f`, "reply 1 to STARTTLS"],
] as const;
for (const [what, reply, reason] of NOT_TLS) {
  Deno.test(`NbdBackend refuses a server that answers STARTTLS ${what}`, async () => {
    await using server = new FakeNbdServer();
    const refused = assertRejects(
      () => open(server.uri.replace("nbd:", "nbds:")),
      BackendError,
      `the server's handshake is malformed: ${reason}`,
    );
    const peer = await server.accept();
    await peer.send(HELLO);
    await peer.expect("00000003");
    await peer.expect(STARTTLS);
    await peer.send(reply);
    await refused;
    assertEquals(await peer.end(), "");
  });
}

Deno.test("NbdBackend refuses a server that agrees to TLS and speaks something else, and can be given up", async () => {
  for (const gives of ["nonsense", "nothing"]) {
    await using server = new FakeNbdServer();
    const abort = new AbortController();
    const address = parseNbdUri(server.uri.replace("nbd:", "nbds:"));
    const opening = NbdBackend.open(address, { signal: abort.signal });
    const reason = gives === "nonsense" ? "it does not speak TLS" : "no more";
    const refused = assertRejects(() => opening, Error, reason);
    const peer = await server.accept();
    await peer.send(HELLO);
    await peer.expect("00000003");
    await peer.expect(STARTTLS);
    await peer.send(ACK);
    // Type of record: handshake (RFC 8446 §5.1).
    await peer.expect("16");
    if (gives === "nonsense") await peer.send(REPLY);
    else abort.abort(new Error("no more"));
    await refused;
    await peer.end();
  }
});
