import { assertEquals, assertThrows } from "@std/assert";
import { DriverError } from "../../protocol/errors.ts";
import {
  checkAccepted,
  FEATURE,
  featureSet,
  hasFeature,
  TRANSPORT_FEATURES,
} from "../../protocol/virtio/features.ts";

Deno.test("TRANSPORT_FEATURES are bits 28, 29 and 32", () => {
  assertEquals(TRANSPORT_FEATURES, 0x1_3000_0000n);
  assertEquals(hasFeature(TRANSPORT_FEATURES, FEATURE.EVENT_IDX), true);
  assertEquals(hasFeature(TRANSPORT_FEATURES, FEATURE.RING_PACKED), false);
});

Deno.test("featureSet() of nothing is empty", () => assertEquals(featureSet(), 0n));

Deno.test("checkAccepted() takes a subset with VERSION_1", () => {
  checkAccepted(TRANSPORT_FEATURES | 5n, featureSet(FEATURE.VERSION_1, 2));
});

Deno.test("checkAccepted() refuses a bit that was not offered", () => {
  const error = assertThrows(
    () => checkAccepted(TRANSPORT_FEATURES, TRANSPORT_FEATURES | 2n),
    DriverError,
    "0x2 not offered",
  );
  assertEquals(error.fault, "features");
});

Deno.test("checkAccepted() refuses a legacy driver", () => {
  const error = assertThrows(() => checkAccepted(TRANSPORT_FEATURES, 0n), DriverError, "VERSION_1");
  assertEquals(error.fault, "features");
});
