"""nginx, Node and Python behind a tunnel; curl, Node, Python and Chromium before it."""

from __future__ import annotations

import asyncio
import typing

from tests.peers.edge_nginx import start_site
from tests.peers.support import in_thread, need_module
from tests.peers.test_edge_browser import PATIENCE
from tests.peers.test_edge_nginx import QUESTIONS, TEXT, parted
from tests.peers.tunnels import APP, ROUTE, PeerTunnelCase

#: Sizes of messages: each way to say a length, and more than any window on the way.
SIZES = (0, 1, 125, 126, 65_535, 65_536, 5_000_000)


class TunnelPeerTests(PeerTunnelCase):
    """Whatever they say arrives as if there were no tunnel."""

    async def test_nginx(self) -> None:
        """Status, fields and body are nginx's own, for each question; by name, also inside TLS."""
        site = await start_site(self, {"text.txt": TEXT})
        edge = await self.publish_app(site.port)
        by_path, *others = self.bases(edge)
        for options, target in QUESTIONS:
            asking = ("--include", *options)
            direct = ("--header", f"Host: {APP}:{edge.port}", *asking)
            wanted = parted(await self.curl(*direct, f"http://127.0.0.1:{site.port}{target}"))
            for base in others:
                got = parted(await self.curl_app(base, target, *asking))
                self.assertEqual(self.kept(got[1]), self.kept(wanted[1]), (options, target, base))
                self.assertEqual((got[0], got[2]), (wanted[0], wanted[2]), (options, target, base))
            # By path a Location has the prefix, and a path that was resolved may lead out.
            got = parted(await self.curl_app(by_path, target, *asking))
            self.assertEqual((got[0], got[2]), (wanted[0], wanted[2]), (options, target))
        moved = await self.curl_app(by_path, "/old", "--location")
        self.assertEqual(moved.stdout.encode(), TEXT)

    def kept(self, fields: list[str]) -> list[str]:
        """Those that are nginx's and do not say which host and scheme it was asked by."""
        return [
            field
            for field in fields
            if not field.lower().startswith(("location:", "x-proxer-request-id:"))
        ]

    async def test_node(self) -> None:
        """Chunks, trailers, streamed uploads, events, WebSockets: by path, by name and route."""
        edge = await self.publish_app(await self.start_node())
        await self.ask_by_node(*self.bases(edge))
        for base in self.bases(edge):
            got = await self.curl_app(base, "/early", "--upload-file", "/bin/sh")
            self.assertEqual(got.stdout, "early\n", base)
            got = await self.curl_app(base, "/reset", "--include")
            self.assertIn(" 502 ", got.stdout)
            for target in ("/short", "/cut"):
                got = await self.curl_app(base, target)
                self.assertIn(got.status, (18, 56, 52), (base, target))

    async def test_websockets_of_python(self) -> None:
        """Large messages, fragments, many at once, pings, and a close in order."""
        websockets = need_module("websockets.asyncio.client")
        edge = await self.publish_app(await self.start_node())

        async def talk(url: str) -> None:
            async with websockets.connect(
                url, host="127.0.0.1", port=edge.port, max_size=None, proxy=None
            ) as socket:
                for size in SIZES:
                    await socket.send(b"x" * size)
                    self.assertEqual(len(await socket.recv()), size)
                await socket.send(["frag", "ments: ", "grüße"])
                self.assertEqual(await socket.recv(), "fragments: grüße")
                await (await socket.ping())
                await socket.send("leave")
                await socket.wait_closed()
            self.assertEqual((socket.close_code, socket.close_reason), (4321, "as you wish"))

        async def all_of_them() -> None:
            for base in self.bases(edge)[:2]:
                url = base.replace("http", "ws", 1)
                await asyncio.gather(*(talk(f"{url}/ws") for _ in range(8)))

        await in_thread(lambda: asyncio.run(all_of_them()))
        self.assertEqual((await self.tunnels())["app"]["streams_open"], 0)

    async def test_chromium(self) -> None:
        """A page that posts, streams, speaks and listens; by name and by a route."""
        await self.start_chromium()
        edge = await self.publish_app(await self.start_node())

        def result(page: typing.Any, answer: typing.Any) -> typing.Any:
            page.wait_for_function("window.result", timeout=PATIENCE)
            return page.evaluate("window.result")

        for host in (APP, ROUTE):
            seen = await self.see(f"https://{host}:{edge.https}/page", result)
            self.assertEqual((seen.complaints, seen.error), ([], ""))
            self.assertTrue(seen.facts["posted"])
            self.assertEqual(seen.facts["spoken"], ["two", 250_000])
            self.assertEqual([each[0] for each in seen.facts["events"]], [*"123456"])
