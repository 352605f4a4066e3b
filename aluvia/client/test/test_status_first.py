"""
What a control plane's status says holds, whatever is wrong with the body behind it: asked over real
connections, when it starts and while it polls.
"""

from __future__ import annotations

import gzip
import json
import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger

from aluvia.client.answer_body import BODY_BYTES
from aluvia.client.config import Snapshot
from aluvia.client.control import ControlPlane
from aluvia.client.state_file import StateFile
from aluvia.client.test.control_case import PLACE, KeptState
from aluvia.client.test.user_api_case import HEAD_END, Hurried, UserAPICase, reactor
from aluvia.client.user_api import UserAPI
from aluvia.errors import AluviaError, ApiError, InvalidUserTokenError
from aluvia.testing.control_plane import always
from aluvia.testing.faults import Close, Drip, FaultPeer, Read, Send
from aluvia.testing.steps import Step

GOOD = json.dumps({"proxy_username": "u", "proxy_password": "p", "rules": ["*"]}).encode()

#: Fields and bodies of which no configuration is read, and one that only looks like it.
BODIES: list[tuple[str, bytes | None, bytes]] = [
    ("gzip", b"gzip", gzip.compress(GOOD)),
    ("long", None, GOOD + b" " * (BODY_BYTES + 1 - len(GOOD))),
    ("identity", b"identity", GOOD),
]

#: Whether there is something to start from.
STATES = [None, typing.cast(StateFile, KeptState())]

#: How a body may fail to come to its end.
UNENDED: list[list[Step]] = [
    [Close()],
    [Send(b"{"), Close()],
    [Send(b"{")],
    [Drip(b"x" * 100, every=0.2)],
]


class StatusFirstTests(UserAPICase):
    """A control plane that is followed by whoever asks one that lies."""

    def setUp(self) -> None:
        """What is followed, and the clock of the polls."""
        super().setUp()
        self.clock = Clock()
        self.followed: list[Snapshot] = []

    def control(self, api: UserAPI, state: StateFile | None = None) -> ControlPlane:
        """One that follows it."""
        ignored: list[LogEvent] = []
        control = ControlPlane(
            api,
            PLACE,
            self.clock,
            interval=3600.0,
            follow=self.followed.append,
            state=state,
            log=Logger(observer=typing.cast(ILogObserver, ignored.append)),
        )
        self.addCleanup(control.stop)
        return control

    def lie(self, status: int, coding: bytes | None, body: bytes) -> None:
        """Answer everything with that."""
        fields = [] if coding is None else [(b"Content-Encoding", coding)]
        self.plane.lie = always(status, fields, body)

    async def start_fails(self, control: ControlPlane) -> AluviaError:
        """Why it does not start."""
        try:
            await control.start()
        except AluviaError as error:
            self.assertEqual(self.followed, [])
            await control.stop()
            return error
        self.fail("It started.")

    async def test_start(self) -> None:
        """A refused token ends it, and so does a 200 without a configuration: state file or not."""
        for name, coding, body in BODIES:
            for state in STATES:
                for status in (401, 403):
                    self.lie(status, coding, body)
                    error = await self.start_fails(self.control(self.api(), state))
                    self.assertIsInstance(error, InvalidUserTokenError, name)
                self.lie(200, coding, body)
                if name != "identity":
                    error = await self.start_fails(self.control(self.api(), state))
                    assert isinstance(error, ApiError)
                    self.assertEqual(error.status_code, 200, name)
                    self.assertRegex(str(error), "coding|longer")
                    continue
                control = self.control(self.api(), state)
                await control.start()
                self.assertEqual([each.text for each in self.followed[-1].rules.rules], ["*"])
                await control.stop()
                self.followed.clear()

    async def test_polling(self) -> None:
        """While it polls, a refusal is ``token_refused``, a 200 without a configuration bad."""
        control = self.control(self.api())
        await control.start()
        for name, coding, body in BODIES:
            of_200 = None if name == "identity" else "bad_answer"
            for status, outcome in ((401, "token_refused"), (403, "token_refused"), (200, of_200)):
                self.lie(status, coding, body)
                asking = control.poll_soon()
                self.clock.advance(1)
                await asking
                problem = control.problem
                self.assertEqual(None if problem is None else problem.outcome, outcome, name)
                self.assertEqual(control.token_refused, outcome == "token_refused")

    async def test_body_that_does_not_end(self) -> None:
        """
        A refusal needs no whole body, nor one in time. A success does: without it there was no
        answer, and a state file will do.
        """
        for script in UNENDED:
            for status in (401, 403, 200):
                head = b"HTTP/1.1 %d Status\r\nContent-Length: 100\r\n\r\n" % status
                peer = FaultPeer(reactor, [Read(until=HEAD_END), Send(head), *script])
                self.addCleanup(peer.stop)
                api = self.api(f"http://{peer.authority}/v1", Hurried())
                control = self.control(api, typing.cast(StateFile, KeptState()))
                if status == 200:
                    await control.start()
                    self.assertEqual(self.followed.pop().etag, '"kept"')
                    await control.stop()
                else:
                    error = await self.start_fails(control)
                    self.assertIsInstance(error, InvalidUserTokenError, str(script))
                await self.closed(peer)

    async def test_given_up_in_the_body(self) -> None:
        """Who gives up while a refusal's body comes gets just that."""
        head = b"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\n{"
        for cancelled in (True, False):
            peer = FaultPeer(reactor, [Read(until=HEAD_END), Send(head)])
            self.addCleanup(peer.stop)
            api = self.api(f"http://{peer.authority}/v1")
            asking = Deferred.fromCoroutine(api.get())
            await self.said(peer, len(head))
            if cancelled:
                asking.cancel()
                self.failureResultOf(asking, CancelledError)
            else:
                await api.close()
                self.assertIn("stopped", str(self.failureResultOf(asking, ApiError).value))
            await self.closed(peer)
