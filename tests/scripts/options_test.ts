import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  CommandError,
  EXIT,
  helpText,
  hostAndPort,
  parseOptions,
  wholeNumber,
} from "../../scripts/cli/mod.ts";

const COMMAND = {
  name: "deno task host",
  about: "lends a card its devices.",
  options: {
    listen: { kind: "text", value: "ADDR:PORT", help: "Where cards connect." },
    disk: { kind: "list", value: "PATH", help: "A disk." },
    insecure: { kind: "flag", help: "Allow it." },
  },
} as const;

function refusal(argv: string[]): string {
  const error = assertThrows(() => parseOptions(COMMAND, argv), CommandError);
  assertEquals((error as CommandError).exitCode, EXIT.usage);
  return error.message;
}

Deno.test("parseOptions() gives flags, the one text and every list value", () => {
  assertEquals(
    parseOptions(COMMAND, ["--disk", "a", "--listen=1.2.3.4:5", "--disk=b", "--insecure"]),
    { listen: "1.2.3.4:5", disk: ["a", "b"], insecure: true },
  );
  assertEquals(parseOptions(COMMAND, []), { listen: undefined, disk: [], insecure: false });
});

Deno.test("parseOptions() names a wrong option and suggests the near one", () => {
  const message = refusal(["--lisen", "x"]);
  assertStringIncludes(message, `"--lisen"`);
  assertStringIncludes(message, `did you mean "--listen"?`);
});

Deno.test("parseOptions() refuses a missing value, a second value and a stray word", () => {
  assertStringIncludes(refusal(["--listen"]), `"--listen": wanted ADDR:PORT`);
  assertStringIncludes(refusal(["--listen", "a", "--listen", "b"]), "wanted once");
  assertStringIncludes(refusal(["root.img"]), `argument "root.img"`);
});

Deno.test("helpText() shows every option with its value name", () => {
  const text = helpText(COMMAND);
  for (const part of ["--listen ADDR:PORT", "--disk PATH", "--insecure", "--help"]) {
    assertStringIncludes(text, part);
  }
});

Deno.test("wholeNumber() takes the range's ends and refuses what is outside or no number", () => {
  const range = { min: 64, max: 2048, default: 128 };
  assertEquals(wholeNumber("memory", undefined, range), 128);
  assertEquals(wholeNumber("memory", "64", range), 64);
  assertEquals(wholeNumber("memory", "2048", range), 2048);
  for (const text of ["63", "2049", "1e3", "-64", "128M", ""]) {
    assertThrows(() => wholeNumber("memory", text, range), CommandError, `--memory ${text}`);
  }
});

Deno.test("hostAndPort() reads names, IPv4, bracketed IPv6 and a bare port", () => {
  assertEquals(hostAndPort("connect", "lab1:4310", "::1"), { hostname: "lab1", port: 4310 });
  assertEquals(hostAndPort("connect", "[fe80::1]:1", "::1"), { hostname: "fe80::1", port: 1 });
  assertEquals(hostAndPort("connect", "4310", "127.0.0.1"), { hostname: "127.0.0.1", port: 4310 });
  for (const text of ["lab1", "lab1:", "lab1:70000", "::1:5", ":5", "a:b"]) {
    assertThrows(() => hostAndPort("connect", text, "h"), CommandError, text);
  }
});
