"""The agent's demo, in this process: what it starts, and what is left when it has ended."""

from __future__ import annotations

import io
import os
import shlex
import signal
import socket
import typing

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from aluvia.agent.hub_url import HubURL
from aluvia.agent.settings import Settings
from aluvia.agent.tunnels import Published
from aluvia.demo import agent
from aluvia.demo.agent import AgentDemo
from aluvia.demo.quiet_site import ADDRESS
from aluvia.testing.dialling import dial
from aluvia.testing.http import Response, read_response

reactor: typing.Any = global_reactor

KEY = "canary-agent-key-27fe10"
TOKEN = "canary-visitor-token-88c3"

SETTINGS = Settings(
    hub=HubURL(tls=False, host=ADDRESS, port=80),
    key=KEY,
    id="box",
    publish=(
        Published("app", "http", False, ADDRESS, 80),
        Published("private", "http", False, ADDRESS, 80, TOKEN),
    ),
)


class Lines(io.StringIO):
    """What is printed, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.whole: Deferred[None] = Deferred()

    def flush(self) -> None:
        """All of it is there."""
        self.whole.callback(None)


class AgentDemoTests(TestCase):
    """Demos, and what they answer."""

    timeout = 60

    def setUp(self) -> None:
        """Free ports, and nothing written yet."""
        for name in ("HTTP_PORT", "API_PORT", "HUB_PORT"):
            self.patch(agent, name, 0)
        self.before = sorted(os.listdir())
        self.out = Lines()
        self.signals: dict[int, typing.Any] = {}

    def demo(self) -> AgentDemo:
        """One that is not started."""
        demo = AgentDemo(SETTINGS, reactor, {}, self.signals.__setitem__, self.out)
        self.addCleanup(demo.stopService)
        return demo

    async def start(self) -> AgentDemo:
        """One that has said what to type; :attr:`lines` are those."""
        demo = self.demo()
        self.where = await demo.begin()
        await self.out.whole
        said = self.out.getvalue().splitlines()
        self.lines = [shlex.split(line) for line in said if line.startswith("curl ")]
        return demo

    async def ask(self, words: typing.Sequence[str], *fields: str) -> Response:
        """Do what curl would."""
        authority, slash, path = words[-1].removeprefix("http://").partition("/")
        connection = await dial(reactor, ADDRESS, int(authority.rpartition(":")[2]))
        self.addCleanup(connection.close)
        if "-H" in words:
            fields = (*fields, words[words.index("-H") + 1])
        head = [f"GET {slash}{path} HTTP/1.1", f"Host: {authority}", *fields, "", ""]
        await connection.send("\r\n".join(head).encode())
        answer = await read_response(connection)
        connection.close()
        return answer

    async def test_lines(self) -> None:
        """The site is reached by a path, by a host and with a token; events come whole."""
        await self.start()
        by_path, by_host, private, events, tunnels = self.lines
        for words in (by_path, by_host, private):
            answer = await self.ask(words)
            self.assertEqual(answer.status, 200, answer)
            self.assertIn(f"site: GET {words[-1]}, asked by 127.0.0.1".encode(), answer.body)
        self.assertEqual((await self.ask(private[-1:])).status, 403)
        self.assertEqual((await self.ask(events)).body.count(b"data: event "), 3)
        self.assertIn(b'"agent": "box"', (await self.ask(tunnels)).body)
        self.assertEqual((await self.ask(tunnels[-1:])).status, 401)

    async def test_nothing_is_left(self) -> None:
        """Neither a file nor a port; a visitor who is still there is no obstacle."""
        demo = await self.start()
        tunnels: typing.Any = self.where["tunnels"]
        self.assertEqual((self.where["online"], [*tunnels]), (False, ["app", "private"]))
        ports = {int(words[-1].split(":")[2].partition("/")[0]) for words in self.lines}
        kept = await dial(reactor, ADDRESS, min(ports))
        await demo.stopService()
        await kept.read_away()
        kept.close()
        self.assertEqual(sorted(os.listdir()), self.before)
        for port in ports:
            with self.assertRaises(ConnectionRefusedError):
                await dial(reactor, ADDRESS, port)

    async def test_ports_that_are_taken(self) -> None:
        """Another one is used."""
        with socket.create_server((ADDRESS, 0)) as taken:
            for name in ("HTTP_PORT", "API_PORT", "HUB_PORT"):
                self.patch(agent, name, taken.getsockname()[1])
            await self.start()
        self.assertEqual((await self.ask(self.lines[0])).status, 200)

    async def test_stopped_while_it_starts(self) -> None:
        """Nothing goes on starting, and nothing is left."""
        demo = self.demo()
        beginning = Deferred.fromCoroutine(demo.begin())
        demo.running = True
        await demo.stopService()
        await self.assertFailure(beginning, CancelledError)
        self.assertEqual(self.out.getvalue(), "")
        self.assertEqual(sorted(os.listdir()), self.before)

    async def test_said_once(self) -> None:
        """What to type is said when it leads somewhere, and not again after a lost connection."""
        demo = await self.start()
        said = self.out.getvalue()
        demo.changed()
        self.assertEqual(self.out.getvalue(), said)
        self.assertIn(signal.SIGHUP, self.signals)
