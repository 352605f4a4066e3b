"""
Each adapter of a session, given to the library that it is for.

Every library asks for both sites by both ways. Then the proxy is stopped, and the library must fail
even where the way was direct: so it was the proxy that took it.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import typing
from unittest import mock

from aluvia.client import AluviaClient
from tests.peers.launched import LaunchedCase
from tests.peers.support import in_thread, need_module, need_program

#: What curl ends with then.
CONNECTION_REFUSED = 7


class SynchronousTests(LaunchedCase):
    """requests, and httpx's synchronous client."""

    async def test_requests(self) -> None:
        """``as_requests``."""
        requests = need_module("requests")
        session = await self.launch()

        def work() -> None:
            with requests.Session() as client:
                client.trust_env = False
                client.proxies = session.as_requests()
                client.verify = self.authority
                for url in self.urls():
                    self.assertEqual(client.get(url, timeout=20).json()["target"], "/get")
            session.stop()
            for url in self.urls():
                with self.assertRaises(requests.exceptions.ProxyError):
                    requests.get(url, proxies=session.as_requests(), timeout=20)

        await in_thread(work)
        self.assert_both_ways()

    async def test_httpx(self) -> None:
        """``as_httpx``, for ``Client``."""
        httpx = need_module("httpx")
        session = await self.launch()
        context = ssl.create_default_context(cafile=self.authority)

        def work() -> None:
            with httpx.Client(
                **session.as_httpx(), verify=context, trust_env=False, timeout=20
            ) as client:
                for url in self.urls():
                    self.assertEqual(client.get(url).json()["target"], "/get")
                session.stop()
                for url in self.urls():
                    with self.assertRaises(httpx.TransportError):
                        client.get(url)

        await in_thread(work)
        self.assert_both_ways()


class AsynchronousTests(LaunchedCase):
    """httpx and aiohttp in an asyncio loop, which knows nothing of Twisted."""

    async def test_httpx(self) -> None:
        """``as_httpx``, for ``AsyncClient``."""
        httpx = need_module("httpx")
        session = await self.launch()
        context = ssl.create_default_context(cafile=self.authority)

        async def work() -> None:
            async with httpx.AsyncClient(
                **session.as_httpx(), verify=context, trust_env=False, timeout=20
            ) as client:
                for url in self.urls():
                    self.assertEqual((await client.get(url)).json()["target"], "/get")
                await asyncio.to_thread(session.stop)
                for url in self.urls():
                    with self.assertRaises(httpx.TransportError):
                        await client.get(url)

        await in_thread(lambda: asyncio.run(work()))
        self.assert_both_ways()

    async def test_aiohttp(self) -> None:
        """``as_aiohttp``, for each request."""
        aiohttp = need_module("aiohttp")
        session = await self.launch()
        context = ssl.create_default_context(cafile=self.authority)

        async def get(client: typing.Any, url: str) -> typing.Any:
            async with client.get(url, ssl=context, **session.as_aiohttp()) as answer:
                return await answer.json()

        async def work() -> None:
            async with aiohttp.ClientSession() as client:
                for url in self.urls():
                    self.assertEqual((await get(client, url))["target"], "/get")
                await asyncio.to_thread(session.stop)
                for url in self.urls():
                    with self.assertRaises(aiohttp.ClientError):
                        await get(client, url)

        await in_thread(lambda: asyncio.run(work()))
        self.assert_both_ways()


class AgentTests(LaunchedCase):
    """treq, in the reactor that the client runs in."""

    async def test_treq(self) -> None:
        """``as_agent``."""
        treq = need_module("treq.client")
        self.start_sites()
        # The agent trusts whom OpenSSL does, which this names.
        trusting = mock.patch.dict(os.environ, {"SSL_CERT_FILE": self.authority})
        with trusting:
            session = await AluviaClient(**self.options()).start()
        client = treq.HTTPClient(session.as_agent())
        try:
            for url in self.urls():
                self.assertEqual((await (await client.get(url)).json())["target"], "/get")
        finally:
            await session.stop()
        for url in self.urls():
            with self.assertRaisesRegex(Exception, "refused"):
                await client.get(url)
        self.assert_both_ways()


class EnvironmentTests(LaunchedCase):
    """A program of its own."""

    async def test_curl(self) -> None:
        """``as_env``. It excludes loopback, so that curl is told to include it."""
        need_program("curl", "curl")
        session = await self.launch()
        options = ("--noproxy", "", "--cacert", self.authority)
        ran = await self.curl(*options, *self.urls(), **session.as_env())
        self.assertEqual((0, ""), (ran.status, ran.stderr))
        targets = [json.loads(line)["target"] for line in ran.stdout.splitlines()]
        self.assertEqual(["/get"] * 4, targets)
        self.assert_both_ways()
        await in_thread(session.stop)
        for url in self.urls():
            ran = await self.curl(*options, url, **session.as_env())
            self.assertEqual(CONNECTION_REFUSED, ran.status, ran)
        ran = await self.curl(self.urls()[0], **session.as_env())
        self.assertEqual(0, ran.status, ran)
