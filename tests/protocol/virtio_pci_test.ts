import { assertEquals } from "@std/assert";
import {
  CAPABILITY,
  COMMON_CFG,
  COMMON_CFG_BASE_SIZE,
  NOTIFY_TAIL,
  PCI_TAIL,
} from "../../protocol/virtio/pci.ts";

Deno.test("COMMON_CFG has the offsets of virtio 1.3 §4.1.4.3", () => {
  assertEquals(COMMON_CFG.at, {
    device_feature_select: 0,
    device_feature: 4,
    driver_feature_select: 8,
    driver_feature: 12,
    config_msix_vector: 16,
    num_queues: 18,
    device_status: 20,
    config_generation: 21,
    queue_select: 22,
    queue_size: 24,
    queue_msix_vector: 26,
    queue_enable: 28,
    queue_notify_off: 30,
    queue_desc_low: 32,
    queue_desc_high: 36,
    queue_driver_low: 40,
    queue_driver_high: 44,
    queue_device_low: 48,
    queue_device_high: 52,
    queue_notif_config_data: 56,
    queue_reset: 58,
    admin_queue_index: 60,
    admin_queue_num: 62,
  });
  assertEquals([COMMON_CFG_BASE_SIZE, COMMON_CFG.size], [56, 64]);
});

Deno.test("CAPABILITY is 16 bytes, its tails 4 more (§4.1.4)", () => {
  assertEquals([CAPABILITY.size, NOTIFY_TAIL.size, PCI_TAIL.size], [16, 4, 4]);
  assertEquals([CAPABILITY.at.cfg_type, CAPABILITY.at.bar, CAPABILITY.at.offset], [3, 4, 8]);
});
