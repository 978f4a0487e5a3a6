/**
 * Sends UDP datagrams to a card as fast as this machine can, for a time; a process, so that it may run in a network
 * namespace.
 *
 *     deno run --allow-net tests/support/udp_flood.ts ADDRESS SECONDS
 *
 * Prints how many it sent.
 *
 * @module
 */
import { createSocket, type Socket } from "node:dgram";

const [address, seconds] = Deno.args;
/** One socket is held back when about 90 of its datagrams wait; together they overflow the longest queue. */
const sockets = Array.from({ length: 16 }, () => createSocket("udp4"));
const datagram = new Uint8Array(1400);
const end = performance.now() + 1000 * Number(seconds);
let sent = 0;

async function flood(socket: Socket): Promise<void> {
  const send = () =>
    new Promise<void>((resolve) => {
      socket.send(datagram, 9, address, (error) => {
        if (error === null) sent++;
        resolve();
      });
    });
  while (performance.now() < end) await Promise.all(Array.from({ length: 64 }, send));
  socket.close();
}

await Promise.all(sockets.map(flood));
console.log(sent);
