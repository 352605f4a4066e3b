"""An edge among other people's programs."""

from __future__ import annotations

import json
import typing
from pathlib import Path

from tests.edge_process import TOKEN, Api, EdgeProcess
from tests.peers.support import PeerCase
from tests.support import Curled

#: The name of the site.
HOST = "www.example.com"

__all__ = ["HOST", "TOKEN", "Edge", "EdgeCase"]


class Edge(EdgeProcess):
    """
    An edge in a process of its own, with both ways in.

    :ivar api: a client of its API, once it is ready.
    """

    api: Api

    def __init__(self, *options: str, db: Path | None = None) -> None:
        """Start it; :meth:`ready` waits."""
        super().__init__("--https", "127.0.0.1:0", *options, db=db)

    async def change(self, method: str, path: str, document: object = None) -> typing.Any:
        """Change something, which must go well; what the API says of it."""
        reply = await self.api.done(method, path, document)
        return json.loads(reply.text) if reply.text else None

    async def route(self, v_host: str, *backends: int | dict[str, object], **more: object) -> None:
        """Make a route. A backend is a port of this machine, or what the API is to be told."""
        members = [
            {"hostname": "127.0.0.1", "port": each} if isinstance(each, int) else each
            for each in backends
        ]
        await self.change("POST", "/routes", {"vHost": v_host, "backends": members, **more})

    async def members(self, v_host: str) -> list[dict[str, typing.Any]]:
        """How the backends of a route do."""
        return [*(await self.api.get(f"/routes/{v_host}"))["backends"]]

    async def since_start(self) -> dict[str, typing.Any]:
        """How all routes have done."""
        return {**(await self.api.get("/stats"))["sinceStart"]}


class EdgeCase(PeerCase):
    """A :class:`PeerCase` with edges; no token of theirs is in what they write."""

    async def edge(self, *options: str, db: Path | None = None) -> Edge:
        """Start one, and wait until it is ready."""
        process = Edge(*options, db=db)
        self._processes.append(process)
        await process.ready()
        process.api = Api(process.api_port, self.dial)
        return process

    def assert_no_secret(self, text: str | bytes) -> None:
        """Nor the token."""
        super().assert_no_secret(text)
        text = text.decode("latin-1") if isinstance(text, bytes) else text
        self.assertNotIn(TOKEN, text)

    async def certify(self, edge: Edge, domain: str, **more: typing.Any) -> None:
        """Upload a certificate of our authority's."""
        issued = self.certificates.authority.issue_cert(domain, **more)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems).decode()
        key = issued.private_key_pem.bytes().decode()
        document = {"domain": domain, "key": key, "cert": chain}
        await edge.change("POST", "/certificates", document)

    async def curl_site(
        self, edge: Edge, target: str, *options: str, host: str = HOST, tls: bool = False
    ) -> Curled:
        """Ask the edge for *target* of the site, by its name."""
        port = edge.https if tls else edge.port
        scheme = "https" if tls else "http"
        trust = ("--cacert", self.certificates.file()) if tls else ()
        return await self.curl(
            *("--resolve", f"{host}:{port}:127.0.0.1", *trust, *options),
            f"{scheme}://{host}:{port}{target}",
        )
