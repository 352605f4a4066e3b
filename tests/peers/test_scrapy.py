"""Scrapy: whole crawls through the extension and the middleware."""

from __future__ import annotations

import json
import sys
import typing

from tests.checkout import CHECKOUT
from tests.peers.launched import DIRECT, PROXIED, TOKEN, LaunchedCase
from tests.peers.support import free_port, need_module

SELECT = "twisted.internet.selectreactor.SelectReactor"

Asked = typing.Sequence[tuple[str, typing.Mapping[str, object]]]


class ScrapyCase(LaunchedCase):
    """A crawl of both sites."""

    #: What the crawl wrote on its standard error.
    log = ""

    def setUp(self) -> None:
        """Start what is around it."""
        super().setUp()
        need_module("scrapy")
        self.start_sites()

    async def crawl(self, asked: Asked, **more: object) -> typing.Any:
        """What it tells. No secret is in what it writes, and nothing is left to complain of."""
        settings = {
            "ALUVIA_TOKEN": TOKEN,
            "ALUVIA_API_BASE_URL": self.plane.base_url,
            "ALUVIA_GATEWAY_HOST": "127.0.0.1",
            # As ``scrapy crawl -s`` gives it.
            "ALUVIA_GATEWAY_PORT": str(self.parent.port),
            **more,
        }
        given = {name: value for name, value in settings.items() if value is not None}
        ran = await self.run_command(
            *(sys.executable, "-m", "tests.peers.crawl", json.dumps(given), json.dumps(asked)),
            PYTHONPATH=str(CHECKOUT),
        )
        self.log = ran.stderr
        self.assertEqual(0, ran.status, ran.stderr)
        self.assertNotIn("Traceback", ran.stderr)
        self.assertNotIn(TOKEN, ran.stderr)
        self.assert_no_secret(ran.stderr)
        return json.loads(ran.stdout)

    def all_urls(self) -> Asked:
        """Each URL, as it is."""
        return [(url, {}) for url in self.urls()]


class CrawlTests(ScrapyCase):
    """Crawls that go well."""

    async def test_both_ways(self) -> None:
        """Rules hold for each request, under Scrapy's own reactor and under another one."""
        direct, direct_secure, proxied, proxied_secure = self.urls()
        for more in ({}, {"TWISTED_REACTOR": SELECT}):
            told = await self.crawl(self.all_urls(), **more)
            self.assertEqual(["finished"], told["reasons"])
            expected = {
                direct: [200, "/get", False],
                direct_secure: [200, "/get", False],
                proxied: [200, "/get", True],
                # The mark cannot be in what is encrypted.
                proxied_secure: [200, "/get", False],
            }
            self.assertEqual(expected, told["outcomes"])
            self.assert_both_ways()

    async def test_other_proxies(self) -> None:
        """A request keeps a proxy that it has, also if that is none; and what we gave is ours."""
        nobody = f"http://127.0.0.1:{free_port()}"
        url = f"http://{PROXIED}:{self.plain.port}"
        here = f"http://{DIRECT}:{self.plain.port}"
        gone = {"proxy": nobody, "aluvia_proxy": nobody}
        # Whatever comes to the proxy goes through the gateway.
        self.plane.change(rules=["*"])
        told = await self.crawl(
            [
                (f"{url}/another", {"proxy": nobody}),
                (f"{url}/again", gone),
                (f"{here}/none", {"proxy": None}),
                (f"{here}/untouched", {"aluvia": False}),
            ]
        )
        outcomes = told["outcomes"]
        self.assertIn("Connection", outcomes[f"{url}/another"])
        self.assertEqual([200, "/again", True], outcomes[f"{url}/again"])
        self.assertEqual([200, "/none", False], outcomes[f"{here}/none"])
        self.assertEqual([200, "/untouched", False], outcomes[f"{here}/untouched"])

    async def test_disabled(self) -> None:
        """``ALUVIA_ENABLED`` off: Scrapy as it is without us."""
        url = self.urls()[0]
        told = await self.crawl([(url, {})], ALUVIA_ENABLED="0", ALUVIA_TOKEN=None)
        self.assertEqual({url: [200, "/get", False]}, told["outcomes"])
        self.assertEqual(0, len(self.plane.asked))


class FailureTests(ScrapyCase):
    """Crawls that must not begin."""

    async def assert_closed(self, why: str, **more: object) -> None:
        """One line says why, the reason is ours, and no site was asked by any way."""
        told = await self.crawl(self.all_urls(), **more)
        self.assertEqual(["aluvia_failed"], told["reasons"])
        lines = [line for line in self.log.splitlines() if " ERROR: aluvia did not start" in line]
        self.assertEqual(1, len(lines), self.log)
        self.assertIn(why, lines[0])
        self.assertEqual(0, len(self.plain.visits) + len(self.secure.visits))
        self.assertEqual(0, len(self.parent.asked))

    async def test_refused_token(self) -> None:
        """A token that is none."""
        self.plane.token = "another"
        await self.assert_closed("refused the token")

    async def test_no_token(self) -> None:
        """No token at all."""
        await self.assert_closed("no user API token", ALUVIA_TOKEN=None)

    async def test_no_control_plane(self) -> None:
        """Nobody to ask."""
        self.plane.go_down()
        await self.assert_closed("cannot be reached")

    async def test_bad_value(self) -> None:
        """A setting that makes no sense."""
        await self.assert_closed("poll_interval", ALUVIA_POLL_INTERVAL=0)

    async def test_no_middleware(self) -> None:
        """An extension that nobody would use."""
        await self.assert_closed("DOWNLOADER_MIDDLEWARES", DOWNLOADER_MIDDLEWARES={})

    async def test_no_reactor(self) -> None:
        """Scrapy without Twisted's reactor."""
        await self.assert_closed("aluvia.launch", TWISTED_REACTOR_ENABLED=False)
