// http-proxy as it is used in front of a site: node edge.js OPTIONS, a JSON object

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

import httpProxy from 'http-proxy';

const { port, backends, kept, idleSeconds, backlog, certificate, key } = JSON.parse(process.argv[2]);
const agent = new http.Agent({ keepAlive: true, maxFreeSockets: kept });
const proxy = httpProxy.createProxyServer({ agent, xfwd: true });
proxy.on('error', (error, request, response) => {
    response.headersSent ? response.destroy() : response.writeHead(502).end();
});

let turn = 0;
const serve = (request, response) => {
    turn = (turn + 1) % backends.length;
    proxy.web(request, response, { target: backends[turn] });
};
const server = certificate
    ? https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, serve)
    : http.createServer(serve);
server.keepAliveTimeout = idleSeconds * 1000;
server.listen({ host: '127.0.0.1', port, backlog });
