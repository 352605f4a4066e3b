"""What is a pipe: CONNECT and upgraded connections, their ends, and what flows before them."""

from __future__ import annotations

import hashlib

from aluvia.testing.faults import (
    Close,
    Echo,
    Ended,
    Finish,
    Flood,
    Read,
    Reset,
    Script,
    Send,
    Stall,
)
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit
from tests.aluvia_process import AluviaProcess, pause, reactor, until
from tests.support import ProxyCase

OPEN = (Read(until=b"\r\n\r\n"), Send(b"HTTP/1.1 200 OK\r\n\r\n"))


class TunnelTests(ProxyCase):
    """Each is tried direct and through the gateway."""

    async def ways(self) -> tuple[AluviaProcess, tuple[str, str]]:
        """A proxy, and the two hosts that stand for the two ways."""
        proxy = await self.aluvia(gateway=self.gateway())
        return proxy, ("127.0.0.1", "www.example.com")

    async def test_half_close_from_the_client(self) -> None:
        """The client's FIN reaches the other side, whose answer still comes back."""
        proxy, hosts = await self.ways()
        for host in hosts:
            peer = self.peer([Read(to_end=True), Send(b"all read"), Close()])
            connection, _ = await self.tunnel(proxy, f"{host}:{peer.port}")
            await connection.send(b"question")
            connection.finish()
            self.assertEqual(await connection.read_to_end(), b"all read")
            self.assertEqual(peer.connections[0].received, b"question")

    async def test_half_close_from_the_other_side(self) -> None:
        """The other side's FIN reaches the client, which can still send."""
        proxy, hosts = await self.ways()
        for host in hosts:
            peer = self.peer([Send(b"bye"), Finish(), Read(until=b"last words")])
            connection, _ = await self.tunnel(proxy, f"{host}:{peer.port}")
            self.assertEqual(await connection.read_to_end(), b"bye")
            await connection.send(b"last ")
            await pause(0.1)
            await connection.send(b"words")
            connection.finish()
            await until(lambda peer=peer: not peer.open, 5, "it ended")  # type: ignore[misc]
            self.assertEqual(peer.connections[0].received, b"last words")

    async def test_fin_while_dialling(self) -> None:
        """A client's FIN behind its CONNECT, and bytes before it, are passed on after the 2xx."""
        peer = self.peer(
            [*OPEN, Read(to_end=True), Send(b"answer"), Close()],
        )
        slow = self.peer(
            [
                Read(until=b"\r\n\r\n"),
                Stall(0.5),
                Send(b"HTTP/1.1 200 OK\r\n\r\n"),
                Read(to_end=True),
                Send(b"answer"),
                Close(),
            ]
        )
        for gateway in (peer, slow):
            proxy = await self.aluvia(gateway=gateway)
            connection = await self.connect(proxy)
            await connection.send(b"CONNECT a.example.com:443 HTTP/1.1\r\nHost: a\r\n\r\nearly")
            connection.finish()
            self.assertEqual((await read_response(connection, b"CONNECT")).status, 200)
            self.assertEqual(await connection.read_to_end(), b"answer")
            self.assertTrue(gateway.connections[0].received.endswith(b"\r\n\r\nearly"))
            self.assertIs(gateway.connections[0].ended, Ended.FIN)

    async def test_early_bytes_wait_and_are_bounded(self) -> None:
        """
        Bytes behind a CONNECT wait for the 2xx, at most 64 KiB of them; nothing is lost, nothing
        goes out before, and the gateway does not get them with its CONNECT.
        """
        data = bytes(range(256)) * 8192
        peer = self.peer(
            [
                Read(until=b"\r\n\r\n"),
                Stall(0.5),
                Send(b"HTTP/1.1 200 OK\r\n\r\n"),
                Read(count=len(data)),
                Send(b"thanks"),
            ],
            keep=4_000_000,
        )
        proxy = await self.aluvia(gateway=peer)
        before = proxy.resident_bytes()
        connection = await self.connect(proxy)
        await connection.send(b"CONNECT a.example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n" + data)
        self.assertEqual((await read_response(connection, b"CONNECT")).status, 200)
        self.assertEqual(await connection.read_exactly(6), b"thanks")
        self.assertTrue(peer.connections[0].received.endswith(data))
        self.assertLess(proxy.resident_bytes() - before, 16_000_000)

    async def test_every_byte_arrives(self) -> None:
        """20 MB each way at once, compared by their hash."""
        proxy, hosts = await self.ways()
        for host in hosts:
            peer = self.peer([Echo()])
            connection, _ = await self.tunnel(proxy, f"{host}:{peer.port}")
            block = hashlib.sha256(b"seed").digest() * 2000
            sent = hashlib.sha256()
            got = hashlib.sha256()
            for _ in range(320):
                sent.update(block)
                await connection.send(block)
                got.update(await connection.read_exactly(len(block)))
            connection.finish()
            self.assertEqual(await connection.read_to_end(), b"")
            self.assertEqual(got.digest(), sent.digest())

    async def test_slow_reader_pauses_the_writer(self) -> None:
        """A client that does not read stops the other side; the proxy's memory stays bounded."""
        proxy, hosts = await self.ways()
        for host in hosts:
            peer = self.peer([Flood()])
            before = proxy.resident_bytes()
            connection, _ = await self.tunnel(proxy, f"{host}:{peer.port}")
            connection.pause()
            last = -1
            while last != peer.connections[0].bytes_sent:
                last = peer.connections[0].bytes_sent
                await pause(0.5)
            self.assertLess(proxy.resident_bytes() - before, 8_000_000)
            connection.resume()
            await connection.read_exactly(last + 1_000_000)
            connection.reset()
            await until(lambda peer=peer: not peer.open, 5, "it ended")  # type: ignore[misc]

    async def test_slow_reader_of_a_plain_answer(self) -> None:
        """The same for a plain http answer, of known length and chunked."""
        proxy = await self.aluvia()
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for framing, block in (
            (b"Content-Length: 10000000000", b"x" * 65536),
            (b"Transfer-Encoding: chunked", chunk),
        ):
            peer = self.peer(
                [
                    Read(until=b"\r\n\r\n"),
                    Send(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing),
                    Flood(block=block),
                ]
            )
            before = proxy.resident_bytes()
            connection = await self.connect(proxy)
            await connection.send(
                b"GET http://%b/ HTTP/1.1\r\nHost: a\r\n\r\n" % peer.authority.encode()
            )
            await connection.read_exactly(100_000)
            connection.pause()
            last = -1
            while last != peer.connections[0].bytes_sent:
                last = peer.connections[0].bytes_sent
                await pause(0.5)
            self.assertLess(proxy.resident_bytes() - before, 8_000_000)
            connection.reset()
            await until(lambda peer=peer: not peer.open, 5, "it ended")  # type: ignore[misc]

    async def test_resets_pass_through(self) -> None:
        """An RST of either side reaches the other one as the end of its connection, at once."""
        proxy, hosts = await self.ways()
        for host in hosts:
            peer = self.peer([Read(), Reset()])
            connection, _ = await self.tunnel(proxy, f"{host}:{peer.port}")
            await connection.send(b"x")
            await connection.read_away()
            peer = self.peer([Stall()])
            connection, _ = await self.tunnel(proxy, f"{host}:{peer.port}")
            await until(lambda peer=peer: peer.accepted, 5, "accepted")  # type: ignore[misc]
            connection.reset()
            await until(lambda peer=peer: peer.connections[0].ended, 5, "it ended")  # type: ignore[misc]

    async def test_idle_tunnels_end(self) -> None:
        """A tunnel in which nothing moves ends after the idle timeout; one that moves does not."""
        peer = self.peer([Echo()])
        proxy = await self.aluvia("--idle-timeout", "2")
        idle, _ = await self.tunnel(proxy, peer.authority)
        busy, _ = await self.tunnel(proxy, peer.authority)
        began = reactor.seconds()
        while not idle.ended and reactor.seconds() - began < 10:
            await busy.send(b"x")
            await busy.read_exactly(1)
            await pause(0.2)
        self.assertIsNotNone(idle.ended)
        self.assertGreater(reactor.seconds() - began, 1.5)
        await pause(2.5 - min(2, reactor.seconds() - began))
        await busy.send(b"y")
        self.assertEqual(await busy.read_exactly(1), b"y")


class UpgradeTests(ProxyCase):
    """WebSocket and server-sent events over plain http."""

    async def test_websocket(self) -> None:
        """The upgrade passes with its fields; frames flow both ways, the first ones too."""

        async def accept(visit: Visit) -> None:
            key = visit.header(b"sec-websocket-key") or b""
            headers = [
                (b"Upgrade", b"websocket"),
                (b"Connection", b"Upgrade"),
                (b"Sec-WebSocket-Accept", key[::-1]),
            ]
            await visit.begin(101, headers)
            connection = visit.conversation.connection
            await connection.send(b"\x81\x05first")
            connection.give_back(visit.conversation.codec.trailing_data[0])
            await Echo().play(connection)

        origin = self.origin()
        origin.routes["/ws"] = accept
        proxy = await self.aluvia(gateway=self.gateway())
        for host in ("127.0.0.1", "www.example.com"):
            connection = await self.connect(proxy)
            await connection.send(
                f"GET http://{host}:{origin.port}/ws HTTP/1.1\r\nHost: a\r\n"
                "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: abcd\r\n\r\n".encode()
            )
            answer = await read_response(connection)
            self.assertEqual(answer.status, 101, answer)
            self.assertEqual(answer.header(b"upgrade"), b"websocket")
            self.assertEqual(answer.header(b"sec-websocket-accept"), b"dcba")
            self.assertEqual(await connection.read_exactly(7), b"\x81\x05first")
            for number in range(20):
                frame = b"\x82\x7e\x40\x00" + bytes([number]) * 16384
                await connection.send(frame)
                self.assertEqual(await connection.read_exactly(len(frame)), frame)
            connection.finish()
            self.assertEqual(await connection.read_to_end(), b"")

    async def test_refused_upgrade(self) -> None:
        """An origin that does not want to upgrade answers, and the connection goes on."""
        origin = self.origin()
        proxy = await self.aluvia()
        connection = await self.connect(proxy)
        for _ in range(2):
            await connection.send(
                b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                b"Upgrade: websocket\r\n\r\n" % origin.port
            )
            self.assertEqual((await read_response(connection)).status, 200)

    async def test_101_that_nobody_asked_for(self) -> None:
        """An upgrade without the client's wish is a protocol error."""
        peer = self.peer(
            [
                Read(until=b"\r\n\r\n"),
                Send(b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
            ]
        )
        proxy = await self.aluvia()
        answer = await self.get(proxy, f"http://{peer.authority}/")
        self.assert_failed(answer, 502, "http_protocol_error")

    async def test_events_are_prompt(self) -> None:
        """Each event reaches the client when it is sent, in every framing, not when more comes."""
        for framing in (b"Transfer-Encoding: chunked", b"Connection: close"):
            chunked = framing.startswith(b"Transfer")
            event = b"data: 1\n\n"
            wire = b"9\r\ndata: 1\n\n\r\n" if chunked else event
            steps: Script = [Read(until=b"ack"), Send(wire)] * 5
            peer = self.peer(
                [
                    Read(until=b"\r\n\r\n"),
                    Send(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing),
                    *steps,
                ]
            )
            proxy = await self.aluvia(gateway=self.gateway())
            connection = await self.connect(proxy)
            await connection.send(
                b"POST http://%b/ HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\n"
                % peer.authority.encode()
            )
            await connection.read_until(b"\r\n\r\n")
            for _ in range(5):
                # The origin sends the next event only after we have had the one before it.
                await connection.send(b"ack")
                self.assertTrue((await connection.read_until(event)).endswith(event))
