"""A session of ``aluvia.launch``, two sites, and one host for each way."""

from __future__ import annotations

import typing
from pathlib import Path

import aluvia
from aluvia.integrations.launch import Launched
from aluvia.testing.control_plane import FakeControlPlane
from aluvia.testing.fixtures import AluviaFixtures
from aluvia.testing.origin import Visit
from tests.peers.support import PeerCase, in_thread
from tests.support import PASSWORD, USERNAME

#: Names that lead to the sites, direct and through the gateway.
DIRECT = "127.0.0.1"
PROXIED = "www.proxied.example"

TOKEN = "canary-token"

#: What Chromium needs to run as root and in a container, without asking anybody of its own. It
#: takes loopback past every proxy unless it is told not to.
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--proxy-bypass-list=<-loopback>",
    "--ignore-certificate-errors",
)


async def page(visit: Visit) -> None:
    """A page that a browser asks no more for than itself."""
    head = b'<!doctype html><link rel="icon" href="data:,"><title>%b</title>'
    text = head % visit.path.encode() + b"<p>" + (visit.header(b"host") or b"")
    await visit.answer(200, [(b"Content-Type", b"text/html")], text)


class LaunchedCase(AluviaFixtures, PeerCase):
    """All that an adapter's test needs."""

    plane: FakeControlPlane

    def start_sites(self) -> None:
        """Both sites, the gateway, and the control plane."""
        self.plain = self.origin()
        self.secure = self.origin(context=self.certificates.server(DIRECT, PROXIED))
        for site in (self.plain, self.secure):
            site.routes["/page"] = site.routes["/after"] = page
        self.parent = self.gateway()
        self.plane = self.fake_control_plane(
            TOKEN, username=USERNAME, password=PASSWORD, rules=["*.proxied.example"]
        )
        self.authority = self.certificates.file()

    def options(self) -> dict[str, typing.Any]:
        """The arguments of a client."""
        return {
            "token": TOKEN,
            "api_base_url": self.plane.base_url,
            "gateway_host": "127.0.0.1",
            "gateway_port": self.parent.port,
            "poll_interval": 1,
        }

    async def launch(self, **more: typing.Any) -> Launched:
        """Start all, and a session that ends with the test."""
        self.start_sites()
        return await self.launch_only(**more)

    async def launch_only(self, **more: typing.Any) -> Launched:
        """Start a session; the rest is there."""
        session = await in_thread(lambda: aluvia.launch(**self.options() | more))
        self.addCleanup(in_thread, session.stop)
        return session

    def urls(self, path: str = "/get") -> list[str]:
        """That path of each site, by each way; direct ones first."""
        return [
            f"{scheme}://{host}:{site.port}{path}"
            for host in (DIRECT, PROXIED)
            for scheme, site in (("http", self.plain), ("https", self.secure))
        ]

    def assert_both_ways(self, *, tunnelled: bool = False) -> None:
        """
        Each URL was asked for: those of one host at the gateway, and those of the other not.

        :param tunnelled: whether the library makes a CONNECT for ``http://`` as well.
        """
        for site in (self.plain, self.secure):
            hosts = [(visit.header(b"host") or b"").partition(b":")[0] for visit in site.visits]
            self.assertEqual({DIRECT.encode(), PROXIED.encode()}, set(hosts))
        plain, secure = (f"{PROXIED}:{site.port}".encode() for site in (self.plain, self.secure))
        asked = {
            (each.method, each.target.removeprefix(b"http://").partition(b"/")[0])
            for each in self.parent.asked
        }
        method = b"CONNECT" if tunnelled else b"GET"
        self.assertEqual({(b"CONNECT", secure), (method, plain)}, asked)
        self.assertTrue(all(each.authorized for each in self.parent.asked))
