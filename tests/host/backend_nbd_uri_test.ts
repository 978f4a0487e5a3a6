import { assertEquals, assertThrows } from "@std/assert";
import { isNbdUri, parseNbdUri } from "../../host/backends/nbd/uri.ts";

const ADDRESSES = [
  ["nbd://store/vm", { transport: "tcp", hostname: "store", port: 10809, exportName: "vm" }],
  ["nbd://store:10/", { transport: "tcp", hostname: "store", port: 10, exportName: "" }],
  ["nbd://store", { transport: "tcp", hostname: "store", port: 10809, exportName: "" }],
  ["nbd:///vm", { transport: "tcp", hostname: "localhost", port: 10809, exportName: "vm" }],
  ["nbd://[::1]:9/a", { transport: "tcp", hostname: "::1", port: 9, exportName: "a" }],
  ["nbd://h//abs/a%20b", { transport: "tcp", hostname: "h", port: 10809, exportName: "/abs/a b" }],
  ["nbd+unix:///vm?socket=/run/a+b%3F", {
    transport: "unix",
    path: "/run/a+b?",
    exportName: "vm",
  }],
  ["nbd+unix://?socket=s", { transport: "unix", path: "s", exportName: "" }],
  ["nbds://store/vm", {
    transport: "tcp",
    hostname: "store",
    port: 10809,
    exportName: "vm",
    tls: { name: "store", certificates: undefined },
  }],
  ["nbds://[::1]:9/?tls-certificates=/etc/a%20b", {
    transport: "tcp",
    hostname: "::1",
    port: 9,
    exportName: "",
    tls: { name: "::1", certificates: "/etc/a b" },
  }],
  ["nbds+unix:///vm?socket=s&tls-certificates=pki", {
    transport: "unix",
    path: "s",
    exportName: "vm",
    tls: { name: "localhost", certificates: "pki" },
  }],
  ["nbds+unix:///vm?tls-hostname=store&socket=s", {
    transport: "unix",
    path: "s",
    exportName: "vm",
    tls: { name: "store", certificates: undefined },
  }],
] as const;
for (const [uri, address] of ADDRESSES) {
  Deno.test(`parseNbdUri() understands ${uri}`, () => {
    assertEquals(isNbdUri(uri), true);
    assertEquals<object>(parseNbdUri(uri), { uri, ...address });
  });
}

const REFUSED = [
  ["nbds://store/vm?socket=s", "a socket wants nbds+unix"],
  ["nbds://store/vm?tls-certificates=", "wanted tls-certificates=DIR"],
  ["nbds://store/vm?tls-verify=no", '"tls-verify" is no parameter of it, wanted socket, tls-'],
  [
    "nbd://store/vm?tls-certificates=pki",
    '"tls-certificates" is no parameter of it, wanted socket',
  ],
  ["nbd:store:10809", "wanted nbd://HOST[:PORT]/EXPORT"],
  ["nbd+vsock://1/vm", "wanted nbd://HOST[:PORT]/EXPORT"],
  ["nbd://store:port/vm", "wanted nbd://HOST[:PORT]/EXPORT"],
  ["nbd://store:65536/vm", "wanted nbd://HOST[:PORT]/EXPORT"],
  ["nbd://me@store/vm", "users are for TLS with pre-shared keys"],
  ["nbd://store/vm#1", '"#" is to be written as %23'],
  ["nbd://store/vm?socket=s", "a socket wants nbd+unix"],
  ["nbd://store/%ff", '"%ff" is not percent-encoded UTF-8'],
  [`nbd://store/${"x".repeat(4097)}`, "the export's name is longer than 4096 bytes"],
  ["nbd+unix:///vm", "wanted ?socket=PATH"],
  ["nbd+unix:///vm?socket=", "wanted ?socket=PATH"],
  ["nbd+unix:///vm?sockte=s", '"sockte" is no parameter of it, wanted socket'],
  ["nbd+unix://store/vm?socket=s", "nbd+unix has no host: three slashes"],
] as const;
for (const [uri, reason] of REFUSED) {
  Deno.test(`parseNbdUri() refuses ${uri.slice(0, 40)}`, () => {
    assertThrows(() => parseNbdUri(uri), RangeError, `Cannot use disk "${uri}": ${reason}`);
  });
}
