/**
 * Connects to the port it is given, on 127.0.0.1, and sends back each byte it gets until the stream ends.
 *
 * @module
 */
const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(Deno.args[0]) });
connection.setNoDelay(true);
await connection.readable.pipeTo(connection.writable);
