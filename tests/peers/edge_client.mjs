// Asks the site of edge_server.mjs at the URLs that it is given, with Node's own client, with undici
// and with ws; prints what came of it as JSON, a member for each URL.
import { once } from "node:events";
import { Agent, request as plain } from "node:http";
import { Agent as SecureAgent, request as secure } from "node:https";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { Agent as FetchAgent, EventSource, fetch } from "undici";
import { WebSocket } from "ws";

const connect = { ca: process.env.AUTHORITY, lookup };
const dispatcher = new FetchAgent({ connect });

// Every name is this machine.
function lookup(name, options, callback) {
  if (options.all) callback(null, [{ address: "127.0.0.1", family: 4 }]);
  else callback(null, "127.0.0.1", 4);
}

// One request on a kept connection, with trailers of its own.
async function ask(agent, url, body) {
  const send = url.startsWith("https:") ? secure : plain;
  const options = { agent, method: body ? "POST" : "GET", lookup, ca: process.env.AUTHORITY };
  const request = send(url, options);
  if (body) {
    request.setHeader("Transfer-Encoding", "chunked");
    request.setHeader("Trailer", "X-Sent");
    for (const piece of body) request.write(piece);
    request.addTrailers({ "X-Sent": "sum of it" });
  }
  request.end();
  const [response] = await once(request, "response");
  return { text: await text(response), trailers: response.trailers };
}

async function* pieces(count) {
  for (let number = 0; number < count; number++) {
    yield new TextEncoder().encode(`${number},`.repeat(1000));
    if (number % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function streams(base) {
  const duplex = { method: "POST", body: Readable.from(pieces(200)), duplex: "half", dispatcher };
  const sent = await text(Readable.from(pieces(200)));
  const echoed = await (await fetch(`${base}/echo`, duplex)).text();
  const many = await Promise.all(
    Array.from({ length: 40 }, async (_, n) => (await fetch(`${base}/seen?${n}`, { dispatcher })).json()),
  );
  return { duplex: echoed === sent, many: many.map((each) => each.url) };
}

async function listen(base) {
  const source = new EventSource(`${base}/events?heard`, { dispatcher, node: { dispatcher } });
  const ids = [];
  await new Promise((resolve, reject) => {
    // It also keeps Node here: what EventSource waits with does not.
    const patience = setTimeout(() => reject(new Error(`events: ${ids}`)), 15000);
    source.onmessage = (event) => {
      ids.push(event.lastEventId);
      fetch(`${base}/heard`, { dispatcher }).catch(reject);
      if (ids.length === 10) {
        clearTimeout(patience);
        resolve();
      }
    };
  });
  source.close();
  return ids;
}

async function speak(base) {
  const options = { ca: process.env.AUTHORITY, lookup, maxPayload: 64 * 1048576 };
  const url = base.replace("http", "ws");
  const socket = new WebSocket(`${url}/ws`, ["two", "one"], options);
  await once(socket, "open");
  const sizes = [];
  for (const size of [0, 1, 125, 126, 65535, 65536, 5000000]) {
    const message = Buffer.alloc(size, "deflate me ");
    socket.send(message);
    const [back] = await once(socket, "message");
    if (back.equals(message)) sizes.push(size);
  }
  socket.ping("are you there");
  const [pong] = await once(socket, "pong");
  socket.send("leave");
  const [code, reason] = await once(socket, "close");
  const cut = new WebSocket(`${url}/ws`, options);
  await once(cut, "open");
  cut.send("die");
  const [cutCode] = await once(cut, "close");
  const refused = new WebSocket(`${url}/refused`, options);
  const [error] = await once(refused, "error");
  return {
    protocol: socket.protocol, extensions: socket.extensions, sizes, pong: pong.toString(),
    code, reason: reason.toString(), cut: cutCode, refused: error.message,
  };
}

const results = {};
for (const base of process.argv.slice(2)) {
  const agent = new (base.startsWith("https:") ? SecureAgent : Agent)({
    keepAlive: true, maxSockets: 1,
  });
  results[base] = {
    chunked: await ask(agent, `${base}/chunked`),
    echoed: await ask(agent, `${base}/echo`, ["some ", "body ", "x".repeat(100000)]),
    ...(await streams(base)),
    events: await listen(base),
    spoken: await speak(base),
  };
  agent.destroy();
}
await dispatcher.close();
console.log(JSON.stringify(results));
