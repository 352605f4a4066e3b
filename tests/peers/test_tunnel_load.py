"""Many streams of one agent, and many agents of one hub."""

from __future__ import annotations

import sys

from aluvia.testing.faults import Flood, Read, Send
from aluvia.testing.http import read_response
from tests.agent_process import agent_environment
from tests.aluvia_process import Child, reactor, until
from tests.checkout import CHECKOUT
from tests.edge_case import SECONDS, request
from tests.support import in_parallel
from tests.tunnel_case import TunnelCase

#: Streams at once, each of so many bytes.
STREAMS, BYTES = 200, 2_000_000

AGENTS = 50


class TunnelLoadTests(TunnelCase):
    """All of it over one carrier, and over many."""

    timeout = 300

    async def test_streams_and_one_slow_reader(self) -> None:
        """200 large answers at once are whole, while somebody reads nothing of his."""
        edge = await self.hub("--https", "127.0.0.1:0")
        # The peer answers once: a connection whose answer is through must not be kept.
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % BYTES
        flood = self.peer([Read(until=b"\r\n\r\n"), Send(head), Flood(BYTES)])
        agent = await self.publish(flood)
        await self.route(
            self.api(edge), "a.example", {"endpoint": "tunnel:app"}, reqActiveLength=STREAMS + 1
        )
        slow = await self.connect(edge, receive_buffer=4096)
        await slow.send(request("a.example"))
        slow.pause()
        before = agent.resident_bytes(), edge.resident_bytes()
        visitors = [await self.connect(edge) for _ in range(STREAMS)]
        for visitor in visitors:
            await visitor.send(request("a.example"))

        async def is_whole(number: int) -> None:
            answer = await read_response(visitors[number])
            self.assertEqual((answer.status, len(answer.body)), (200, BYTES))
            visitors[number].close()

        await in_parallel(STREAMS, is_whole)
        # Those who wait their turn are slow readers, too: two windows each, and no more.
        grown = agent.resident_bytes() - before[0], edge.resident_bytes() - before[1]
        self.assertLess(max(grown), STREAMS * 1_000_000)
        slow.resume()
        self.assertEqual(len((await read_response(slow)).body), BYTES)

    async def test_agents_that_come_back_at_once(self) -> None:
        """All are cut off at once, and all are back inside TLS; their visitors are served."""
        chain = self.pair("127.0.0.1")
        files = self.file("hub.pem", chain.cert), self.file("hub-key.pem", chain.key)
        await self.hub("--hub-cert", str(files[0]), "--hub-key", str(files[1]))
        line = self.line()
        many = Child(
            *(sys.executable, str(CHECKOUT / "tests" / "many_agents.py"), str(line.port)),
            *(self.certificates.file(), str(self.origin().port), str(AGENTS)),
            environment=agent_environment(ALUVIA_AGENT_KEY=self.key),
        )
        self.addCleanup(many.wait)
        self.addCleanup(many.kill)
        all_online = f"online {AGENTS}\n"
        await until(lambda: all_online in many.output, SECONDS, many.output)
        for _ in range(3):
            said = len(many.output)
            line.reset()
            began = reactor.seconds()
            await until(lambda n=said: all_online in many.output[n:], SECONDS, "all are back")  # type: ignore[misc]
            # The first rest is half a second, at random.
            self.assertLess(reactor.seconds() - began, 10)
            for number in range(AGENTS):
                self.assertEqual((await self.ask_tunnel(id=f"many{number}")).status, 200)
        self.assertEqual(many.stderr, b"")
        self.assertEqual((await self.ask_tunnel("/", id="none")).status, 404)
