"""An edge with a hub, agents, and other people's programs on all sides."""

from __future__ import annotations

import typing

from tests.edge_process import EdgeProcess
from tests.peers.edge_chromium import ChromiumCase
from tests.tunnel_case import TunnelCase

#: Below it each tunnel has a name.
DOMAIN = "tunnels.example.com"

#: The tunnel ``app``, by its name, and a route to it.
APP, ROUTE = f"app.{DOMAIN}", "www.example.com"


class PeerTunnelCase(TunnelCase, ChromiumCase):
    """A tunnel, ``app``, in all three ways, in the clear and inside TLS."""

    timeout = 300

    # As one of the two has it, and the other has one like it.
    async def edge(self, *options: str, **more: typing.Any) -> typing.Any:
        """Start an edge."""
        return await TunnelCase.edge(self, *options, **more)

    async def publish_app(self, port: int, *options: str) -> EdgeProcess:
        """Start an edge and an agent that publishes this port."""
        edge = await self.hub("--https", "127.0.0.1:0", "--tunnel-domain", DOMAIN, *options)
        api = self.api(edge)
        for name in (APP, ROUTE):
            pair = self.pair(name)
            document = {"domain": name, "cert": pair.cert, "key": pair.key}
            await api.done("POST", "/certificates", document)
        await self.route(api, ROUTE, {"endpoint": "tunnel:app"})
        self.app_agent = await self.agent("--publish", f"app=http://127.0.0.1:{port}")
        return edge

    def bases(self, edge: EdgeProcess) -> list[str]:
        """The app by path, by name and by a route."""
        return [
            f"http://127.0.0.1:{edge.port}/t/app",
            f"http://{APP}:{edge.port}",
            f"https://{APP}:{edge.https}",
            f"https://{ROUTE}:{edge.https}",
        ]

    async def curl_app(self, base: str, target: str, *options: str) -> typing.Any:
        """Ask for something of the app, by curl."""
        trust = ("--cacert", self.certificates.file())
        return await self.curl("--connect-to", "::127.0.0.1:", *trust, *options, base + target)
