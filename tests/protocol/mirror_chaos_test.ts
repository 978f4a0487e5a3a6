import { assert } from "@std/assert";
import { GuestChaos } from "../support/guest_chaos.ts";
import { Random } from "../support/random.ts";

Deno.test("a driver that does anything at all ends its queue with a fault, and nothing else", () => {
  const chaos = new GuestChaos(new Random(7));
  chaos.run(30_000);
  const { faults } = chaos;
  const wanted = ["chain-index", "chain-loop", "chain-order", "chain-address", "chain-indirect"];
  for (const fault of [...wanted, "available-index", "head-in-flight"]) {
    assert(faults[fault], `no ${fault} in ${JSON.stringify(faults)}`);
  }
});
