"""Long-lived conversations of other people's libraries: WebSocket, server-sent events."""

from __future__ import annotations

import asyncio
import ssl
import time
import typing

from tests.peers.support import PeerCase, in_thread, need_module

HOSTS = ("localhost", "www.example.com")


class WebSocketTests(PeerCase):
    """``websockets``, whose client asks for a CONNECT also for ws://."""

    async def test_echo(self) -> None:
        """Messages of every size come back, in the clear and through TLS, by both ways."""
        need_module("websockets")
        from websockets.asyncio.client import connect  # noqa: PLC0415
        from websockets.asyncio.server import serve  # noqa: PLC0415

        proxy = await self.plain_proxy()
        server_context = self.certificates.server(*HOSTS)
        client_context = ssl.create_default_context(cafile=self.certificates.file())

        async def echo(websocket: typing.Any) -> None:
            async for message in websocket:
                await websocket.send(message)

        async def talk(url: str, context: ssl.SSLContext | None) -> None:
            async with connect(url, proxy=proxy.url, ssl=context, max_size=None) as websocket:
                for size in (0, 1, 125, 126, 65535, 65536, 1_000_000):
                    message = b"x" * size
                    await websocket.send(message)
                    assert await websocket.recv() == message
                await websocket.send("text: grüße")
                assert await websocket.recv() == "text: grüße"
                await (await websocket.ping())

        async def both() -> None:
            async with (
                serve(echo, "127.0.0.1", 0, max_size=None) as plain,
                serve(echo, "127.0.0.1", 0, max_size=None, ssl=server_context) as secure,
            ):
                for host in HOSTS:
                    await talk(f"ws://{host}:{_port(plain)}/", None)
                    await talk(f"wss://{host}:{_port(secure)}/", client_context)

        await in_thread(lambda: asyncio.run(both()))
        self.assertEqual([asked.method for asked in self.parent.asked], [b"CONNECT"] * 2)

    async def test_upgrade_of_a_plain_request(self) -> None:
        """aiohttp asks for ``http://`` in absolute-form with an Upgrade: that passes too."""
        aiohttp = need_module("aiohttp")
        need_module("websockets")
        from websockets.asyncio.server import serve  # noqa: PLC0415

        proxy = await self.plain_proxy()

        async def echo(websocket: typing.Any) -> None:
            async for message in websocket:
                await websocket.send(message)

        async def talk() -> None:
            async with (
                serve(echo, "127.0.0.1", 0) as server,
                aiohttp.ClientSession() as session,
            ):
                for host in HOSTS:
                    url = f"http://{host}:{_port(server)}/"
                    async with session.ws_connect(url, proxy=proxy.url) as websocket:
                        for number in range(50):
                            await websocket.send_str("x" * number * 100)
                            assert await websocket.receive_str() == "x" * number * 100

        await in_thread(lambda: asyncio.run(talk()))
        self.assertEqual([asked.method for asked in self.parent.asked], [b"GET"])


class EventTests(PeerCase):
    """Server-sent events from an aiohttp server to an httpx client."""

    async def test_events_are_prompt(self) -> None:
        """Twenty events, 50 ms apart, arrive as they are sent, not in lumps."""
        httpx = need_module("httpx")
        web = need_module("aiohttp.web")
        proxy = await self.plain_proxy()
        delays: list[float] = []

        async def stream(request: typing.Any) -> typing.Any:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            for _ in range(20):
                await response.write(b"data: %r\n\n" % time.monotonic())
                await asyncio.sleep(0.05)
            return response

        async def listen() -> None:
            application = web.Application()
            application.router.add_get("/", stream)
            runner = web.AppRunner(application)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            async with httpx.AsyncClient(proxy=proxy.url, trust_env=False) as client:
                for host in HOSTS:
                    async with client.stream("GET", f"http://{host}:{port}/") as response:
                        async for line in response.aiter_lines():
                            if line:
                                sent = float(line.removeprefix("data: "))
                                delays.append(time.monotonic() - sent)
            await runner.cleanup()

        await in_thread(lambda: asyncio.run(listen()))
        self.assertEqual(len(delays), 40)
        self.assertLess(sorted(delays)[20], 0.04)


def _port(server: typing.Any) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])
