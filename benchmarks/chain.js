// proxy-chain as it is used in front of a parent: node chain.js PORT [PARENT-URL]

import { Server } from 'proxy-chain';

const [port, parent] = process.argv.slice(2);
const server = new Server({
    host: '127.0.0.1',
    port: Number(port),
    verbose: false,
    ...(parent && { prepareRequestFunction: () => ({ upstreamProxyUrl: parent }) }),
});
await server.listen();
