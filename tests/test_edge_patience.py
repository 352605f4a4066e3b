"""Clients of the edge that take their time, and many that do nothing."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from aluvia.testing.connection import FaultConnection
from aluvia.testing.ended import ConnectionEnded
from aluvia.testing.faults import Drip, FaultPeer, Script, Send
from aluvia.testing.http import Response
from tests.aluvia_process import reactor
from tests.edge_case import EdgeCase, backend, request
from tests.edge_process import EdgeProcess
from tests.test_ten_thousand import Answer

#: What an idle client may cost, on average.
MOST_BYTES = 6_000

#: Descriptors besides those of clients.
SPARE = 500


class IdleTests(EdgeCase):
    """Clients between two requests."""

    timeout = 240
    count = 10_000

    async def test_must_not_happen_10_000_idle_keep_alives_over_6_kb_each(self) -> None:
        """Ten thousand clients that were answered and stay: less than 6 KB for each of them."""
        self.let_open(self.count + SPARE)
        edge = await self.edge("--max-connections-per-address", "none")
        api = self.api(edge)
        peer = FaultPeer(reactor, [Answer(close=False)])
        self._stopping.append(peer)
        await self.route(api, "a.example", backend(peer))
        opened: list[socket.socket] = []
        self.addCleanup(self.close, opened)
        await self.come(edge, opened, 200)
        before = edge.resident_bytes()
        each = self.count // 4
        await gatherResults([self.come(edge, opened, each) for _ in range(4)])
        cost = (edge.resident_bytes() - before) / self.count
        self.assertLess(cost, MOST_BYTES)
        self.assertGreaterEqual(edge.sockets(), self.count)
        self.assertEqual((await self.visit(edge, "a.example")).body, b"ok")
        self.close(opened)

    def let_open(self, count: int) -> None:
        """Let this process and its children have so many descriptors."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Of which the edge keeps a tenth for itself.
        wanted = count * 10 // 9
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise SkipTest(f"a process may have {hard} descriptors here, and {wanted} are wanted")
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def come(self, edge: EdgeProcess, opened: list[socket.socket], count: int) -> Deferred[None]:
        """So many clients, who ask once each and stay; in a thread, since that is quicker."""
        address, asked = ("127.0.0.1", edge.port), request("a.example")

        def work() -> None:
            for _ in range(count):
                client = socket.create_connection(address, timeout=30)
                opened.append(client)
                client.sendall(asked)
                answer = b""
                while not answer.endswith(b"\r\n\r\nok"):
                    part = client.recv(4096)
                    assert part, answer
                    answer += part

        return deferToThread(work)

    def close(self, opened: list[socket.socket]) -> None:
        """Close them, without leaving their ports in TIME_WAIT."""
        for client in opened:
            with contextlib.suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        opened.clear()


class SlowTests(EdgeCase):
    """Clients that send little, now and then."""

    async def test_must_not_happen_a_slow_header_holding_a_slot_past_the_deadline(self) -> None:
        """
        A head that drips has no slot, which are free for others all the while; and after 30
        seconds and a little it is over, however it drips. A TLS handshake has 10, and a header of
        the PROXY protocol 5.
        """
        edge, api, _ = await self.start(
            *("--https", "127.0.0.1:0,proxy_protocol"), reqActiveLength=1, reqQueueLength=0
        )
        head = b"GET / HTTP/1.1\r\nHost: a.example\r\nX: " + b"x" * 100
        lines = b"GET / HTTP/1.1\r\nHost: a.example\r\n" + b"X-Long-Header: yes\r\n" * 50
        announced = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 80\r\n"
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500
        drips: dict[str, tuple[int, Script, float]] = {
            "a byte a second": (edge.port, [Drip(head, every=1)], 30),
            "a line every four": (edge.port, [Drip(lines, every=4, size=20)], 30),
            "a begin": (edge.port, [Send(head)], 30),
            "nothing": (edge.port, [], 30),
            "a slow handshake": (edge.https, [Send(announced), Drip(hello, every=1)], 10),
            "no handshake": (edge.https, [Send(announced)], 10),
            "a slow PROXY header": (edge.https, [Drip(announced, every=1)], 5),
        }
        ended: dict[str, float] = {}
        said: dict[str, bytes] = {}
        began = reactor.seconds()

        async def drip(name: str) -> None:
            port, script, _ = drips[name]
            connection = await self.dial(port)
            playing = [Deferred.fromCoroutine(self.play(connection, script))]
            try:
                said[name] = await connection.read_to_end()
            except ConnectionEnded:
                said[name] = b""
            ended[name] = reactor.seconds() - began
            connection.close()
            await gatherResults(playing)

        waiting = [Deferred.fromCoroutine(drip(name)) for name in drips]
        answers: list[Response] = []
        served = await self.connect(edge)
        while not all(each.called for each in waiting):
            answers.append(await self.say(served, "a.example"))
            self.assertEqual(answers[-1].status, 200)
            self.assertEqual((await api.get("/stats/a"))["inFlight"], 0)
            await served.sleep(0.5)
        await gatherResults(waiting)
        for name, (_, _, seconds) in drips.items():
            self.assertGreater(ended[name], seconds - 1.5, (name, ended))
            self.assertLess(ended[name], seconds + 5, (name, ended))
        for name in ("a byte a second", "a line every four", "a begin"):
            self.assertTrue(said[name].startswith(b"HTTP/1.1 408 "), said)

    async def play(self, connection: FaultConnection, script: Script) -> None:
        """Do it, until the other side has enough."""
        try:
            for step in script:
                await step.play(connection)
        except ConnectionEnded:
            pass
