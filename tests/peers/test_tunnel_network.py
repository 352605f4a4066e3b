"""
A network that drops packets, and neither ends nor resets anything: an agent behind a router that
stops forwarding. It is made of network namespaces, so it needs root, and iproute2.
"""

from __future__ import annotations

import os
import sys

from aluvia.testing.http import read_response
from tests.aluvia_process import Child, pause, reactor, until
from tests.edge_case import SECONDS, request
from tests.peers.support import HERE, missing, need_program
from tests.tunnel_case import HOST, SILENCE_SECONDS, TunnelCase

#: Of the networks for documentation: nobody has them (RFC 5737).
HUB, ROUTER = "198.51.100.1", "198.51.100.2"
INSIDE, BOX = "203.0.113.1", "203.0.113.2"

#: In the agent's namespace there is no other.
APP_PORT = 8000


class TunnelNetworkTests(TunnelCase):
    """An agent in a network of its own."""

    async def in_order(self, *command: str) -> bool:
        """Run a command; whether it went well."""
        return (await self.run_command(*command)).status == 0

    async def make_network(self) -> None:
        """The hub is here, the agent in ``box``, and ``router`` is between."""
        self.ip = need_program("ip", "iproute2")
        self.sysctl = need_program("sysctl", "procps")
        self.router, self.box = f"alvr{os.getpid()}", f"alvb{os.getpid()}"
        for name in (self.router, self.box):
            if not await self.in_order(self.ip, "netns", "add", name):
                missing("a network namespace", "as root, where they may be made")
            # What is in it goes with it.
            self.addCleanup(self.in_order, self.ip, "netns", "del", name)
        outer, inner = f"alvo{os.getpid()}", f"alvi{os.getpid()}"
        router, box = ("-n", self.router), ("-n", self.box)
        made = [
            ("link", "add", outer, "type", "veth", "peer", "name", "out", "netns", self.router),
            (*router, "link", "add", "in", "type", "veth", "peer", "name", inner),
            (*router, "link", "set", inner, "netns", self.box),
            ("addr", "add", f"{HUB}/30", "dev", outer),
            (*router, "addr", "add", f"{ROUTER}/30", "dev", "out"),
            (*router, "addr", "add", f"{INSIDE}/30", "dev", "in"),
            (*box, "addr", "add", f"{BOX}/30", "dev", inner),
            ("link", "set", outer, "up"),
            *((*router, "link", "set", each, "up") for each in ("lo", "out", "in")),
            *((*box, "link", "set", each, "up") for each in ("lo", inner)),
            ("route", "add", f"{BOX}/32", "via", ROUTER),
            (*box, "route", "add", "default", "via", INSIDE),
        ]
        for command in made:
            self.assertTrue(await self.in_order(self.ip, *command), command)
        await self.forward(True)

    async def forward(self, forwards: bool) -> None:
        """Let the router pass packets on, or drop all of them."""
        setting = f"net.ipv4.ip_forward={int(forwards)}"
        inside = (self.ip, "netns", "exec", self.router)
        self.assertTrue(await self.in_order(*inside, self.sysctl, "-w", setting))

    async def test_must_not_happen_a_half_open_tcp_going_unnoticed_past_25_seconds(self) -> None:
        """
        Packets are dropped without a FIN: both sides see it, whoever waits is answered with the
        cause, and the agent is back when the network is.
        """
        await self.make_network()
        await self.hub("--hub", "0.0.0.0:0")
        inside = (self.ip, "netns", "exec", self.box)
        app = Child(*inside, sys.executable, str(HERE / "silent_app.py"), str(APP_PORT))
        self.addCleanup(app.wait)
        self.addCleanup(app.kill)
        agent = await self.agent(
            *("--hub", f"ws://{HUB}:{self.hub_port}", "--insecure"),
            *("--publish", f"app=http://127.0.0.1:{APP_PORT}"),
            before=inside,
        )

        async def is_there() -> bool:
            return (await self.ask_tunnel()).status == 200

        await self.until_true(is_there, "the app is there")
        waiting = await self.connect(self.edge_process)
        await waiting.send(request(HOST, "/t/app/silent"))

        await pause(1)
        await self.forward(False)
        began = reactor.seconds()
        later = await self.connect(self.edge_process)
        await later.send(request(HOST, "/t/app/"))
        for visitor in (waiting, later):
            answer = await read_response(visitor)
            self.assertIn(answer.status, (502, 504))
            self.assertTrue(answer.header(b"proxy-status"))
        self.assertLess(reactor.seconds() - began, SILENCE_SECONDS + 2)
        await until(lambda: not agent.online, SECONDS, "the agent has seen it")
        self.assertLess(reactor.seconds() - began, SILENCE_SECONDS + 5)
        self.assert_cause(await self.ask_tunnel(), 502, "destination_unavailable")
        await self.forward(True)
        # It was trying to connect meanwhile: up to ten seconds, and a rest.
        await until(lambda: agent.online, 3 * SECONDS, "the agent is back")
        self.assertEqual((await self.ask_tunnel()).body, b"there\n")
        # While there is a way for its leave-taking.
        await agent.stop()
