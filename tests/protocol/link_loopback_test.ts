import { assertEquals } from "@std/assert";
import { isLoopback } from "../../protocol/mod.ts";

Deno.test("isLoopback() believes addresses, and no name but one", () => {
  for (const here of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) {
    assertEquals(isLoopback(here), true, here);
  }
  for (const there of ["0.0.0.0", "::", "10.0.0.1", "127.example.com", "127.0.0.1.example.com"]) {
    assertEquals(isLoopback(there), false, there);
  }
});
