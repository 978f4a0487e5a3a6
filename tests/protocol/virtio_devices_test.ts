import { assertEquals } from "@std/assert";
import { viewOf, virtioBlock, virtioConsole, virtioNet } from "../../protocol/mod.ts";

// Typed from virtio 1.3 §5.2.4: what stands before, what it is, where it is.
Deno.test("virtioBlock.CONFIG has the fields of struct virtio_blk_config at their places", () => {
  assertEquals(virtioBlock.CONFIG.at, {
    capacity: 0,
    size_max: 8,
    seg_max: 12,
    cylinders: 16,
    heads: 18,
    sectors: 19,
    blk_size: 20,
    physical_block_exp: 24,
    alignment_offset: 25,
    min_io_size: 26,
    opt_io_size: 28,
    writeback: 32,
    unused0: 33,
    num_queues: 34,
    max_discard_sectors: 36,
    max_discard_seg: 40,
    discard_sector_alignment: 44,
    max_write_zeroes_sectors: 48,
    max_write_zeroes_seg: 52,
    write_zeroes_may_unmap: 56,
    unused1: 57,
    unused2: 58,
  });
  assertEquals(virtioBlock.CONFIG.size, 60);
});

Deno.test("virtioBlock.REQUEST reads the header of a write to sector 0x123456789", () => {
  // deno-fmt-ignore
  const bytes = Uint8Array.of(
    0x01, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00,
    0x89, 0x67, 0x45, 0x23, 0x01, 0x00, 0x00, 0x00,
  );
  assertEquals(virtioBlock.REQUEST.read(viewOf(bytes)), {
    type: virtioBlock.REQUEST_TYPE.OUT,
    reserved: 0,
    sector: 0x1_2345_6789,
  });
});

Deno.test("virtioBlock.REQUEST reads a sector that no disk has as Infinity", () => {
  const bytes = new Uint8Array(16).fill(0xff);
  assertEquals(virtioBlock.REQUEST.read(viewOf(bytes)).sector, Infinity);
});

Deno.test("virtioNet.CONFIG has the fields of struct virtio_net_config at their places", () => {
  const { mac0, mac5, status, max_virtqueue_pairs, mtu } = virtioNet.CONFIG.at;
  assertEquals([mac0, mac5, status, max_virtqueue_pairs, mtu], [0, 5, 6, 8, 10]);
  assertEquals(virtioNet.CONFIG.size, 12);
});

Deno.test("virtioNet.HEADER reads the header of a TSO frame", () => {
  // deno-fmt-ignore
  const bytes = Uint8Array.of(
    0x01, 0x01,             // NEEDS_CSUM, TCPV4
    0x36, 0x00,             // 54 bytes of headers
    0xb4, 0x05,             // 1460 bytes a segment
    0x22, 0x00, 0x10, 0x00, // checksum of what is from 34 on, at 34 + 16
    0x02, 0x00,             // in two buffers
  );
  assertEquals(virtioNet.HEADER.read(viewOf(bytes)), {
    flags: virtioNet.HEADER_FLAG.NEEDS_CSUM,
    gso_type: virtioNet.GSO.TCPV4,
    hdr_len: 54,
    gso_size: 1460,
    csum_start: 34,
    csum_offset: 16,
    num_buffers: 2,
  });
});

Deno.test("virtioConsole.CONFIG has the fields of struct virtio_console_config at their places", () => {
  assertEquals(virtioConsole.CONFIG.at, { cols: 0, rows: 2, max_nr_ports: 4, emerg_wr: 8 });
  assertEquals(virtioConsole.CONFIG.size, 12);
});

Deno.test("virtioConsole.CONTROL writes PORT_OPEN of port 3", () => {
  const bytes = new Uint8Array(8);
  const { CONTROL, EVENT } = virtioConsole;
  CONTROL.write(viewOf(bytes), { id: 3, event: EVENT.PORT_OPEN, value: 1 });
  assertEquals(bytes, Uint8Array.of(3, 0, 0, 0, 6, 0, 1, 0));
});

// virtio 1.3 §5.3.2: port 0 has 0 and 1, the control queues 2 and 3, port 1 has 4 and 5.
for (const [port, receive, transmit] of [[0, 0, 1], [1, 4, 5], [2, 6, 7], [30, 62, 63]] as const) {
  Deno.test(`virtioConsole has port ${port} on queues ${receive} and ${transmit}`, () => {
    assertEquals(virtioConsole.receiveQueue(port), receive);
    assertEquals(virtioConsole.transmitQueue(port), transmit);
  });
}
