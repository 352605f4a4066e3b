// Asks for each URL with Node's fetch and undici's ProxyAgent, and with node:http and a CONNECT;
// prints what came as JSON. PROXY is the proxy's URL, AUTHORITY a file to trust.
import { readFileSync } from "node:fs";
import http from "node:http";
import tls from "node:tls";
import { ProxyAgent, fetch } from "undici";

const proxy = process.env.PROXY;
const ca = readFileSync(process.env.AUTHORITY);
const tunnelled = process.env.TUNNEL !== "0";

// For http:// URLs ProxyAgent makes a CONNECT as well, unless it is told not to.
const dispatcher = new ProxyAgent({ uri: proxy, requestTls: { ca }, proxyTunnel: tunnelled });

async function byFetch(url) {
  const get = await fetch(url, { dispatcher });
  const body = "x".repeat(200000);
  const post = await fetch(url, { dispatcher, method: "POST", body });
  return { status: get.status, ...(await get.json()), posted: (await post.json()).body.length };
}

function byConnect(url) {
  const { hostname, port, protocol } = new URL(url);
  const { hostname: host, port: proxyPort } = new URL(proxy);
  return new Promise((resolve, reject) => {
    const request = http.request({
      host, port: proxyPort, method: "CONNECT", path: `${hostname}:${port}`, agent: false,
    });
    request.on("error", reject);
    request.on("connect", (response, socket) => {
      const stream = protocol === "https:"
        ? tls.connect({ socket, ca, servername: hostname })
        : socket;
      let text = "";
      stream.on("data", (data) => { text += data; });
      stream.on("end", () => resolve({ connect: response.statusCode, text }));
      stream.on("error", reject);
      stream.write(`GET /by-connect HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`);
    });
    request.end();
  });
}

const results = [];
for (const url of process.argv.slice(2)) {
  results.push({ fetched: await byFetch(url), connected: await byConnect(url) });
}
const many = await Promise.all(
  Array.from({ length: 40 }, (_, n) => {
    const url = new URL(`/${n}`, process.argv[2 + (n % results.length)]);
    return fetch(url, { dispatcher }).then((answer) => answer.json());
  }),
);
console.log(JSON.stringify({ results, many: many.map((one) => one.target) }));
await dispatcher.close();
