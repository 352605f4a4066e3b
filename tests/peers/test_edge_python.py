"""aiohttp and Twisted's own web server behind the edge; aiohttp, httpx and websockets in front."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import sys
import typing

from twisted.internet.defer import Deferred

from tests.aluvia_process import until
from tests.peers.edge import HOST, Edge, EdgeCase
from tests.peers.edge_nginx import WRITTEN, WRITTEN_AT
from tests.peers.support import HERE, free_port, in_thread, need_module

BODY = hashlib.shake_256(b"edge").digest(3_000_000)

#: Sizes of messages: each way to say a length, and more than any buffer on the way.
SIZES = (0, 1, 125, 126, 65_535, 65_536, 20_000_000)


class PythonCase(EdgeCase):
    """Clients that resolve every name to this machine."""

    def urls(self, edge: Edge, scheme: str = "http") -> list[tuple[str, typing.Any]]:
        """The site in the clear and inside TLS, each with what trusts our authority."""
        context = ssl.create_default_context(cafile=self.certificates.file())
        return [
            (f"{scheme}://{HOST}:{edge.port}", None),
            (f"{scheme}s://{HOST}:{edge.https}", context),
        ]


class EdgeAiohttpTests(PythonCase):
    """A site of aiohttp's."""

    async def start(self) -> Edge:
        """Start it, and an edge."""
        self.aiohttp = need_module("aiohttp")
        folder = self.folder()
        (folder / "file.bin").write_bytes(BODY)
        port = free_port()
        await self.daemon(
            port, sys.executable, str(HERE / "edge_aiohttp.py"), str(port), str(folder)
        )
        edge = await self.edge()
        await edge.route(HOST, port)
        await self.certify(edge, HOST)
        return edge

    def _session(self) -> typing.Any:
        aiohttp = self.aiohttp

        class ToThisMachine(aiohttp.abc.AbstractResolver):  # type: ignore[misc, name-defined]
            """Knows one address."""

            async def resolve(self, host: str, port: int = 0, family: int = 0) -> object:
                """It is this machine."""
                return [
                    {
                        **{"hostname": host, "host": "127.0.0.1", "port": port},
                        **{"family": 2, "proto": 0, "flags": 0},
                    }
                ]

            async def close(self) -> None:
                """Nothing is open."""

        connector = aiohttp.TCPConnector(resolver=ToThisMachine())
        return aiohttp.ClientSession(connector=connector)

    async def test_requests(self) -> None:
        """Files, ranges of them, uploads of known and unknown length; forty at once."""
        edge = await self.start()
        wanted = hashlib.sha256(BODY).hexdigest()

        async def pieces() -> typing.AsyncIterator[bytes]:
            for at in range(0, len(BODY), 50_000):
                yield BODY[at : at + 50_000]

        async def ask(session: typing.Any, base: str, context: object) -> None:
            more = {"ssl": context} if context is not None else {}
            async with session.get(f"{base}/files/file.bin", **more) as answer:
                self.assertEqual(await answer.read() == BODY, True)
                self.assertEqual(answer.content_length, len(BODY))
            ranged = {"Range": "bytes=1000-1999"}
            async with session.get(f"{base}/files/file.bin", headers=ranged, **more) as answer:
                self.assertEqual((answer.status, await answer.read()), (206, BODY[1000:2000]))
            for data in (BODY, pieces()):
                async with session.post(f"{base}/upload", data=data, **more) as answer:
                    self.assertEqual((await answer.json())["sha256"], wanted)

        async def talk() -> None:
            async with self._session() as session:
                for base, context in self.urls(edge):
                    await asyncio.gather(*(ask(session, base, context) for _ in range(10)))

        await in_thread(lambda: asyncio.run(talk()))
        self.assertEqual((await edge.since_start())["errors"]["count"], 0)

    async def test_websockets_of_aiohttp(self) -> None:
        """Messages of every size, in the clear and inside TLS, with and without compression."""
        edge = await self.start()

        async def talk() -> None:
            async with self._session() as session:
                for base, context in self.urls(edge):
                    for compress in (0, 15):
                        async with session.ws_connect(
                            f"{base}/ws", ssl=context or True, compress=compress, max_msg_size=0,
                            protocols=("one",),
                        ) as socket:  # fmt: skip
                            self.assertEqual(socket.protocol, "one")
                            for size in SIZES:
                                await socket.send_bytes(BODY[:1] * size)
                                self.assertEqual(len(await socket.receive_bytes()), size)

        await in_thread(lambda: asyncio.run(talk()))

    async def test_websockets(self) -> None:
        """``websockets``: large messages, fragments, many at once, pings, a close in order."""
        websockets = need_module("websockets.asyncio.client")
        edge = await self.start()

        async def talk(url: str, port: int, context: object) -> None:
            async with websockets.connect(
                url, host="127.0.0.1", port=port, ssl=context, max_size=None, proxy=None
            ) as socket:
                for size in SIZES:
                    await socket.send(BODY[:1] * size)
                    self.assertEqual(len(await socket.recv()), size)
                await socket.send(["frag", "ments: ", "grüße"])
                self.assertEqual(await socket.recv(), "fragments: grüße")
                await (await socket.ping())
            # What aiohttp says to any.
            self.assertEqual(socket.close_code, 1000)

        async def all_of_them() -> None:
            for base, context in self.urls(edge, "ws"):
                port = int(base.rpartition(":")[2])
                await asyncio.gather(*(talk(f"{base}/ws", port, context) for _ in range(4)))

        await in_thread(lambda: asyncio.run(all_of_them()))
        self.assertEqual((await edge.api.get("/stats"))["streams"], 0)

    async def test_a_socket_outlives_what_is_changed(self) -> None:
        """Other routes come and go, its own is changed, its backend drained: it goes on."""
        websockets = need_module("websockets.asyncio.client")
        edge = await self.start()
        base, _ = self.urls(edge, "ws")[0]
        asked, go_on = asyncio.Event(), asyncio.Event()
        loop: list[asyncio.AbstractEventLoop] = []

        async def talk() -> str:
            loop.append(asyncio.get_running_loop())
            async with websockets.connect(
                f"{base}/ws", host="127.0.0.1", port=edge.port, proxy=None
            ) as socket:
                await socket.send("before")
                said = [await socket.recv()]
                asked.set()
                await go_on.wait()
                await socket.send("after")
                return "".join([*said, await socket.recv()])

        speaking = Deferred.fromCoroutine(in_thread(lambda: asyncio.run(talk())))
        await until(asked.is_set, 20, "the socket speaks")
        await edge.route("other.example.com", 9)
        await edge.change("DELETE", "/routes/other.example.com")
        await edge.change("PATCH", f"/routes/{HOST}", {"reqActiveLength": 7})
        (member,) = await edge.members(HOST)
        backend = f"/routes/{HOST}/backends/{member['id']}"
        await edge.change("POST", f"{backend}/drain")
        loop[0].call_soon_threadsafe(go_on.set)
        self.assertEqual(await speaking, "beforeafter")

    async def test_httpx(self) -> None:
        """httpx streams a body both ways, on kept connections."""
        httpx = need_module("httpx")
        edge = await self.start()

        def work() -> None:
            for base, context in self.urls(edge):
                port = edge.port if context is None else edge.https
                url = base.replace(HOST, "127.0.0.1")
                more = {"headers": {"Host": f"{HOST}:{port}"}, "extensions": {"sni_hostname": HOST}}
                with httpx.Client(verify=context or True, trust_env=False) as client:
                    for _ in range(3):
                        answer = client.get(f"{url}/stream?bytes=1000000", **more)
                        self.assertEqual(len(answer.content), 1_000_000)
                        answer = client.put(f"{url}/upload", content=iter([BODY]), **more)
                        digest = hashlib.sha256(BODY).hexdigest()
                        self.assertEqual(answer.json()["sha256"], digest)

        await in_thread(work)


class EdgeTwistedTests(PythonCase):
    """``twist web``."""

    async def test_files(self) -> None:
        """Twisted's web server: files, ranges and several ranges, HEAD, 304, 416, 501."""
        folder = self.folder()
        (folder / "file.txt").write_bytes(BODY.hex().encode())
        os.utime(folder / "file.txt", (WRITTEN_AT, WRITTEN_AT))
        port = free_port()
        await self.daemon(
            port, sys.executable, "-m", "twisted", "web", "--path", str(folder),
            f"--listen=tcp:{port}:interface=127.0.0.1",
        )  # fmt: skip
        edge = await self.edge()
        await edge.route(HOST, port)
        await self.certify(edge, HOST)
        direct = ("--resolve", f"{HOST}:{port}:127.0.0.1")
        for options, code in (
            ((), "200"),
            (("--head",), "200"),
            (("--range", "5-9"), "206"),
            (("--range", "0-4,10-14"), "206"),
            (("--range", "99999999-"), "416"),
            (("--header", f"If-Modified-Since: {WRITTEN}"), "304"),
            (("--request", "DELETE"), "501"),
            (("--http1.0",), "200"),
        ):
            asking = (*options, "--write-out", "%{http_code} %{size_download}", "--output")
            wanted = await self.curl(
                *asking, os.path.abspath("wanted"), *direct, f"http://{HOST}:{port}/file.txt"
            )
            self.assertIn(code, wanted.stdout, (options, wanted))
            for tls in (False, True):
                got = await self.curl_site(
                    edge, "/file.txt", *asking, os.path.abspath("got"), tls=tls
                )
                self.assertEqual(got.stdout, wanted.stdout, (options, tls, got))
