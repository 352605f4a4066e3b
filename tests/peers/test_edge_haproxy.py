"""HAProxy behind the edge, as the judge of what the edge makes of odd messages."""

from __future__ import annotations

import re
import typing

from aluvia.testing.connection import FaultConnection
from aluvia.testing.ended import ConnectionEnded
from tests.aluvia_process import Child, until
from tests.peers.edge import HOST, Edge
from tests.peers.edge_node import NodeCase
from tests.peers.edge_odd_messages import mutated_requests, odd_requests
from tests.peers.support import free_port, need_program

#: What HAProxy writes of each request: its status, how it ended, and the request line.
_CONFIGURATION = """
global
    maxconn 200
    log stdout format raw local0
    tune.maxrewrite 4096
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    log global
    log-format "seen %ST %ts %HM %HU"
listen site
    bind 127.0.0.1:{port}
    http-after-response set-header X-Witness haproxy
    server node 127.0.0.1:{node}
"""

_PROBE = "/another"

_seen = re.compile(rb"seen (-?\d+) (\S\S) (\S+) ([^\n]*)\n")


class EdgeHaproxyTests(NodeCase):
    """A client that sends bytes, the edge, HAProxy, and Node."""

    haproxy: Child

    async def start(self) -> Edge:
        """Start all but the client."""
        program = need_program("haproxy", "haproxy")
        node, port = await self.start_node(), free_port()
        path = self.folder() / "haproxy.cfg"
        path.write_text(_CONFIGURATION.format(port=port, node=node))
        self.haproxy = await self.daemon(port, program, "-db", "-f", str(path))
        edge = await self.edge("--idle-timeout", "5")
        await edge.route("*", port)
        return edge

    async def say(self, edge: Edge, message: bytes) -> bytes:
        """What the edge answers to bytes behind which nothing comes any more."""
        connection = await self.dial(edge.port)
        try:
            await connection.send(message)
            await self.quiet(edge, connection)
            connection.finish()
            return await connection.read_to_end()
        except ConnectionEnded:
            # Cut: what came before that counts.
            return connection.received
        finally:
            connection.close()

    async def quiet(self, edge: Edge, connection: FaultConnection) -> None:
        """
        Wait until no more comes, while many others are answered by the same way: a client that
        closes its side before it has its answers has left.
        """
        asked, had = 0, -1
        while asked < (10 if had > 0 else 30):
            probe = await self.dial(edge.port)
            try:
                await probe.send(
                    f"GET {_PROBE} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
                )
                await probe.read_to_end()
            finally:
                probe.close()
            has = len(connection.received)
            asked, had = (asked + 1 if has == had else 0), has

    async def judge(
        self, edge: Edge, messages: typing.Iterable[bytes], *, hidden: bool = True
    ) -> tuple[int, int]:
        """
        Say them all, with a good one behind each, and compare what HAProxy saw with what came back.

        :param hidden: whether what is in their bodies is no request of its own.
        :return: how many requests passed, and how many answers were the edge's own.
        """
        passed = refused = 0
        for number, message in enumerate(messages):
            before = len(self.haproxy.stdout)
            last = f"GET /last-{number} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
            answers = await self.say(edge, message + last.encode())
            theirs = answers.lower().count(b"\r\nx-witness: haproxy\r\n")
            all_of_them = len(re.findall(rb"HTTP/1\.1 (?!100)[1-5]\d\d ", answers))

            def told(before: int = before) -> list[tuple[bytes, ...]]:
                every = _seen.findall(bytes(self.haproxy.stdout[before:]))
                return [each for each in every if each[3] != _PROBE.encode()]

            await until(
                lambda theirs=theirs, told=told: len(told()) >= theirs,  # type: ignore[misc]
                5,
                f"HAProxy has told of {theirs} for {message!r}",
            )
            log = bytes(self.haproxy.stdout[before:])
            # Whatever passes has one reading, also for HAProxy, and is as many requests there.
            self.assertNotIn(b"BADREQ", log, (message, answers))
            if hidden:
                self.assertNotIn(b"/smuggled", log, (message, answers))
            self.assertNotIn(b"<h1>400", answers, (message, log))
            # What the edge has cut short may have been answered by then, or not.
            whole = sum(state == b"--" for _, state, _, _ in told())
            begun = sum(status != b"-1" for status, _, _, _ in told())
            self.assertTrue(whole <= theirs <= begun, (message, answers, log))
            self.assertGreater(all_of_them, 0, message)
            passed += theirs
            refused += all_of_them - theirs
        return passed, refused

    async def test_odd_messages(self) -> None:
        """Those that are written by hand: what passes is what it was, and nothing is two things."""
        edge = await self.start()
        passed, refused = await self.judge(edge, odd_requests())
        self.assertGreater(passed, 100)
        self.assertGreater(refused, 100)

    async def test_mutated_messages(self) -> None:
        """And so it is with bytes that were put anywhere."""
        edge = await self.start()
        passed, refused = await self.judge(
            edge, mutated_requests(1500, seed=20261121), hidden=False
        )
        self.assertGreater(passed, 100)
        self.assertGreater(refused, 100)
