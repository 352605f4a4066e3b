"""Backends by name, whose name leads elsewhere or nowhere after a while."""

from __future__ import annotations

import socket
import typing

from aluvia.edge.model import Backend
from aluvia.edge.passage import FOLLOW_SECONDS
from aluvia.edge.test.edge_case import EdgeCase
from aluvia.net.addresses import Address
from aluvia.net.errors import DialError
from aluvia.testing.origin import FakeOrigin

NAME = "moves.test"


class FollowingTests(EdgeCase):
    """A backend, and a resolver that says what a test wants."""

    def setUp(self) -> None:
        """The name leads to loopback."""
        self.open()
        self.known = True
        self.patch(self.edge.resolver, "lookup", self.lookup)

    def lookup(self, host: str, found: typing.Any, failed: typing.Any) -> typing.Any:
        """In place of the resolver's."""
        if self.known or host != NAME:
            found([Address(socket.AF_INET, "127.0.0.1")])
        else:
            failed(DialError("dns_error", 502, "There is no such name."))
        return typing.cast(typing.Any, self)

    def cancel(self) -> None:
        """It was answered."""

    def serve(self, host: str) -> FakeOrigin:
        """Serve by this host."""
        origin = self.origin()
        self.route(Backend(id="b", hostname=host, port=origin.port))
        return origin

    def grow_older(self) -> None:
        """Have the connection that is kept be as old as one that is not kept any more."""
        (member,) = self.live.members
        connection = self.edge.proxy.upstreams.take_idle(member)
        assert connection is not None
        connection.opened -= FOLLOW_SECONDS + 1
        self.edge.idle.put(member, connection)

    async def test_a_name_that_leads_nowhere_any_more(self) -> None:
        """Its connection serves on for so long, and is then given up; then it is a bad gateway."""
        origin = self.serve(NAME)
        client = await self.connect()
        self.assertEqual((await self.echo("/", client=client))["connection"], 0)
        self.known = False
        self.assertEqual((await self.echo("/", client=client))["connection"], 0)
        self.assertEqual(len(self.edge.idle), 1)
        self.grow_older()
        # One request more, and it is not kept.
        self.assertEqual((await self.echo("/", client=client))["connection"], 0)
        self.assertEqual(len(self.edge.idle), 0)
        answer = await self.ask("/", client=client)
        self.assertEqual(answer.status, 502)
        self.assertIn(b"error=dns_error", answer.header(b"proxy-status") or b"")
        self.assertEqual(origin.peer.accepted, 1)

    async def test_a_name_is_looked_up_again(self) -> None:
        """Where it still leads somewhere there is a new connection."""
        self.serve(NAME)
        seen = [(await self.echo("/"))["connection"]]
        self.grow_older()
        seen += [(await self.echo("/"))["connection"] for _ in range(3)]
        self.assertEqual(seen, [0, 0, 1, 1])

    async def test_an_address_leads_nowhere_else(self) -> None:
        """A connection to one is kept on."""
        self.serve("127.0.0.1")
        seen = [(await self.echo("/"))["connection"]]
        self.grow_older()
        seen += [(await self.echo("/"))["connection"] for _ in range(3)]
        self.assertEqual(seen, [0, 0, 0, 0])
