"""Tests for :mod:`aluvia.hub.dialer`: who is asked for a stream, and what comes of it."""

from __future__ import annotations

import typing

from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase

from aluvia.hub.dialer import TunnelDialer
from aluvia.hub.limits import HubLimits
from aluvia.hub.registration import WantedTunnel
from aluvia.hub.registry import Registry
from aluvia.hub.test.fake_session import FakeSession
from aluvia.net.dial import Dialer, Dialing
from aluvia.net.errors import DialError


class DialerTests(SynchronousTestCase):
    """A tunnel, and its members."""

    def setUp(self) -> None:
        """Nobody is there."""
        self.registry = Registry(HubLimits(), lambda: 0.0)
        self.errors: list[DialError] = []
        self.protocol: typing.Any = Protocol()

    def members(self, *refuse: str) -> list[FakeSession]:
        """One session for each, of one group, which refuses with that error; ``""`` waits."""
        sessions = [
            FakeSession(f"instance{number}", group="g", refuses=error)
            for number, error in enumerate(refuse)
        ]
        for each in sessions:
            self.registry.register(each, [WantedTunnel("web")])
        return sessions

    def dial(self, id: str = "web") -> Dialing:
        """Dial a tunnel."""
        dialer: Dialer = TunnelDialer(self.registry)
        return dialer.dial(id, 0, self.protocol, self.errors.append)

    def failed(self) -> list[tuple[str, int]]:
        """How it failed."""
        return [(each.error, each.status) for each in self.errors]

    def asked(self, sessions: list[FakeSession]) -> list[int]:
        """How often each was."""
        return [len(each.asked) for each in sessions]

    def test_asked(self) -> None:
        """The agent is asked for a stream to the id, and connects the protocol."""
        (session,) = self.members("")
        self.dial()
        (stream,) = session.asked
        self.assertEqual((stream.tunnel_id, stream.protocol), ("web", self.protocol))
        self.assertEqual(self.errors, [])

    def test_unknown(self) -> None:
        """There is no such tunnel."""
        self.dial("other")
        self.assertEqual(self.failed(), [("destination_not_found", 502)])

    def test_offline(self) -> None:
        """There is, and no agent has it now; or the one that has it drains."""
        (session,) = self.members("")
        session.drain()
        self.dial()
        self.registry.withdraw(session)
        self.dial()
        self.assertEqual(self.failed(), [("destination_unavailable", 502)] * 2)
        self.assertEqual(session.asked, [])

    def test_failed(self) -> None:
        """What the only agent fails with is what is told, once."""
        for error in ("connection_refused", "connection_timeout", "connection_limit_reached"):
            (session,) = self.members("")
            self.errors.clear()
            self.dial()
            session.asked.pop().fail(error, 504)
            self.assertEqual(self.failed(), [(error, 504)])

    def test_in_turn(self) -> None:
        """Members are asked in turn."""
        sessions = self.members("", "", "")
        for _ in range(7):
            self.dial()
        self.assertEqual(self.asked(sessions), [3, 2, 2])

    def test_another_member(self) -> None:
        """Where one has no connection to give another is asked, at once or later."""
        for error in ("connection_refused", "connection_limit_reached", "destination_unavailable"):
            one, other = self.members("", "")
            self.dial()
            one.asked[0].fail(error)
            self.assertEqual(self.asked([one, other]), [1, 1])
            self.assertEqual(self.errors, [])
        sessions = self.members("connection_refused", "connection_refused", "")
        for _ in range(3):
            self.dial()
        self.assertEqual(self.errors, [])
        self.assertEqual(len(sessions[2].asked), 3)

    def test_no_other_member(self) -> None:
        """Not where it was tried for long, or may have been: it would be asked twice."""
        one, other = self.members("", "")
        self.dial()
        one.asked[0].fail("connection_timeout", 504)
        self.assertEqual(self.failed(), [("connection_timeout", 504)])
        self.assertEqual(other.asked, [])

    def test_all_members(self) -> None:
        """Where none has one the last error is told, once."""
        sessions = self.members("", "connection_refused", "connection_limit_reached")
        self.dial()
        sessions[0].asked[0].fail("destination_unavailable")
        self.assertEqual(self.failed(), [("connection_limit_reached", 502)])
        self.assertEqual(self.asked(sessions), [1, 1, 1])

    def test_many_members(self) -> None:
        """However many have none: the last one is asked too."""
        sessions = self.members(*["connection_limit_reached"] * 2_000, "")
        self.dial()
        self.assertEqual(self.asked(sessions), [1] * 2_001)
        self.assertEqual(self.errors, [])

    def test_cancelled(self) -> None:
        """Nothing is left of a dial that was cancelled, whoever is asked; and nobody else is."""
        one, other, third = self.members("", "", "")
        dialing = self.dial()
        one.asked[0].fail("connection_refused")
        dialing.cancel()
        self.assertEqual((one.asked[0].cancelled, other.asked[0].cancelled), (0, 1))
        other.asked[0].fail("connection_refused")
        self.assertEqual((third.asked, self.errors), ([], []))

    def test_cancelled_while_another_is_asked(self) -> None:
        """Nor where it is cancelled by what follows from asking."""
        one, other = self.members("", "")
        dialing = self.dial()
        opened = other.open

        def cancelling(*asked: typing.Any) -> Dialing:
            dialing.cancel()
            return opened(*asked)

        self.patch(other, "open", cancelling)
        one.asked[0].fail("connection_refused")
        self.assertEqual((other.asked[0].cancelled, self.errors), (1, []))

    def test_cancelled_when_it_has_failed(self) -> None:
        """That does nothing."""
        self.dial("other").cancel()
        self.members("connection_refused")
        self.dial().cancel()
        self.assertEqual(len(self.errors), 2)
