// A site in Node, at the port that it is given: chunks, trailers, events, WebSockets, early answers,
// answers that break off, and a page with a script that uses them.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const PAGE = `<!doctype html><html><head><title>site</title><link rel="icon" href="data:,"></head>
<body><script type="module">
const body = "x".repeat(300000);
const posted = await (await fetch("/echo", { method: "POST", body })).text();
const chunks = await (await fetch("/chunked")).text();
const spoken = await new Promise((resolve, reject) => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws", ["two", "one"]);
  socket.onerror = () => reject(new Error("socket"));
  socket.onopen = () => socket.send("grüße".repeat(50000));
  socket.onmessage = (event) => { resolve([socket.protocol, event.data.length]); socket.close(); };
});
const events = await new Promise((resolve) => {
  const seen = [];
  const source = new EventSource("/events");
  source.onmessage = (event) => {
    seen.push(event.lastEventId + event.data);
    if (seen.length === 6) { source.close(); resolve(seen); }
  };
});
window.result = { posted: posted === body, chunks: chunks.length, spoken, events };
</script></body></html>`;

// Lets the next event go.
let goOn = () => {};

async function answer(request, response) {
  const path = new URL(request.url, "http://a").pathname;
  if (path === "/chunked") {
    response.writeHead(200, { "Content-Type": "text/plain", Trailer: "X-Sum" });
    const sum = createHash("sha256");
    for (let number = 0; number < 1000; number++) {
      const piece = `${number} `.repeat((number % 50) + 1);
      sum.update(piece);
      if (!response.write(piece)) await new Promise((resolve) => response.once("drain", resolve));
    }
    response.addTrailers({ "X-Sum": sum.digest("hex") });
    response.end();
  } else if (path === "/echo") {
    response.writeHead(200, { "Content-Type": "text/plain", Trailer: "X-Echo" });
    for await (const piece of request) response.write(piece);
    response.addTrailers({ "X-Echo": request.trailers["x-sent"] ?? "none" });
    response.end();
  } else if (path === "/seen") {
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({
      method: request.method, url: request.url, version: request.httpVersion,
      headers: request.rawHeaders, from: request.socket.remotePort,
    }));
  } else if (path === "/events") {
    // Four, and then the connection ends: whoever listens comes again, and says what it had.
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
    response.write("retry: 50\n\n");
    const first = Number(request.headers["last-event-id"] ?? 0) + 1;
    for (let id = first; id < first + 4; id++) {
      response.write(`id: ${id}\ndata: event\n\n`);
      // Not before the one before it was heard: whoever holds events back gets no more.
      if (request.url.endsWith("?heard")) await new Promise((resolve) => (goOn = resolve));
    }
    response.end();
  } else if (path === "/heard") {
    goOn();
    response.end();
  } else if (path === "/hints") {
    response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    response.end("hinted\n");
  } else if (path === "/early") {
    // An answer to whoever is still sending.
    response.writeHead(403, { "Content-Length": 6, Connection: "close" });
    response.end("early\n");
  } else if (path === "/short" || path === "/cut") {
    response.writeHead(200, path === "/short" ? { "Content-Length": 1000 } : {});
    response.write("half of it", () => setTimeout(() => request.socket.destroy(), 20));
  } else if (path === "/reset") {
    request.socket.resetAndDestroy();
  } else if (path === "/page") {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(PAGE);
  } else {
    response.writeHead(404, { "Content-Type": "text/plain" });
    response.end("Node knows no such thing\n");
  }
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => request.socket.destroy());
});
server.on("checkContinue", (request, response) => {
  if (request.headers["x-refuse"]) {
    response.writeHead(417, { "Content-Length": 8 });
    response.end("refused\n");
  } else {
    response.writeContinue();
    server.emit("request", request, response);
  }
});
const sockets = new WebSocketServer({
  noServer: true, maxPayload: 64 * 1048576, perMessageDeflate: { threshold: 1024 },
  handleProtocols: (offered) => [...offered][0],
});
server.on("upgrade", (request, socket, head) => {
  if (request.url === "/refused") {
    socket.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nno\n");
    return;
  }
  sockets.handleUpgrade(request, socket, head, (peer) => {
    peer.on("error", () => peer.terminate());
    peer.on("message", (data, binary) => {
      if (!binary && data.toString() === "leave") peer.close(4321, "as you wish");
      else if (!binary && data.toString() === "die") peer.terminate();
      else peer.send(data, { binary });
    });
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1");
