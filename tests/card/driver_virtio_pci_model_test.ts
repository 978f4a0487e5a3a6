import { assert } from "@std/assert";
import fc from "fast-check";
import { registersFollowModel } from "../support/register_model.ts";

Deno.test("the registers do what the rules say, whatever a driver writes in whatever order", () => {
  let live = 0;
  fc.assert(
    registersFollowModel((_operations, status) => {
      if (status === 15) live++;
    }),
    { seed: 24, numRuns: 3000 },
  );
  assert(live > 200, `only ${live} drivers came to DRIVER_OK`);
});
