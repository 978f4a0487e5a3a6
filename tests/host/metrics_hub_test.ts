// What the metrics say of a hub, beside the frames that its ends sent, got, and did not get.
import { assertEquals } from "@std/assert";
import { Hub, type HubPort } from "../../host/backends/hub/hub.ts";
import { Hubs } from "../../host/backends/hub/hubs.ts";
import { HostMetrics } from "../../host/metrics/host_metrics.ts";
import { HostBench } from "../support/host_bench.ts";
import { MemoryNet } from "../support/memory_net.ts";

const mac = (station: number) => Uint8Array.of(2, 0, 0, 0, 0, station);

/** From station `from` to station `to`, behind a virtio-net header. */
function frame(to: number, from: number, length = 64): Uint8Array {
  const bytes = new Uint8Array(12 + length);
  bytes.set([...mac(to), ...mac(from), 0x08, 0x00], 12);
  return bytes;
}

/** A card at a port that takes `room` frames. */
function plug(hub: Hub, station: number, room = Infinity): { port: HubPort; got: number } {
  const end = { port: hub.attach(mac(station), `mic${station}`), got: 0 };
  end.port.open({
    receive: () => end.got < room && ++end.got > 0,
    received() {},
    writable() {},
    link() {},
  });
  return end;
}

Deno.test("a hub's metrics are what each end sent and got, and what was lost on the way, by cause", async () => {
  await using hubs = new Hubs();
  const uplink = new MemoryNet(1500);
  const hub = new Hub("lab", uplink);
  hubs.add(hub);
  const one = plug(hub, 1);
  const two = plug(hub, 2);
  const full = plug(hub, 3, 3);
  await using bench = new HostBench({ hubs });
  using metrics = new HostMetrics(bench.control);

  for (let i = 0; i < 5; i++) one.port.send(frame(2, 1));
  for (let i = 0; i < 300; i++) two.port.send(frame(3, 2));
  // To nobody that is known: all others get it; three have room.
  one.port.send(frame(99, 1));
  // As another card, and what is none.
  for (let i = 0; i < 4; i++) two.port.send(frame(1, 3));
  for (let i = 0; i < 7; i++) two.port.send(frame(1, 2, 1600));
  uplink.deliver(frame(1, 98));
  await Promise.resolve();
  await Promise.resolve();
  assertEquals([one.got, two.got, full.got, uplink.sent.length], [1, 6, 3, 1]);

  const said = (await metrics.text()).split("\n").filter((line) =>
    line.startsWith("knightsbridge_hub_") && !line.endsWith(" 0")
  );
  const frames = (end: string, direction: string) =>
    `knightsbridge_hub_frames_total{hub="lab",end="${end}",direction="${direction}"}`;
  const lost = (end: string, cause: string) =>
    `knightsbridge_hub_frames_lost_total{hub="lab",end="${end}",cause="${cause}"}`;
  assertEquals(
    said.toSorted(),
    [
      `${frames("mic1", "sent")} 6`,
      `${frames("mic1", "received")} ${one.got}`,
      `${frames("mic2", "sent")} 311`,
      `${frames("mic2", "received")} ${two.got}`,
      `${frames("mic3", "received")} ${full.got}`,
      `${frames(uplink.name, "sent")} 1`,
      `${frames(uplink.name, "received")} ${uplink.sent.length}`,
      // 300 and the one for all; 256 wait, three of them were taken.
      `${lost("mic3", "dropped")} ${301 - 256}`,
      `${lost("mic2", "foreign")} 4`,
      `${lost("mic2", "malformed")} 7`,
    ].toSorted(),
  );
});
