"""Bodies of answers, within a bound."""

from __future__ import annotations

import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from aluvia.net.bounded_body import (
    BodyCutShortError,
    BodyTooLongError,
    drop_body,
    read_bounded_body,
)


class _Answer:
    """One whose body comes as a test says."""

    def __init__(self) -> None:
        self.transport = StringTransport()

    def deliverBody(self, protocol: IProtocol) -> None:  # noqa: N802
        """Begin."""
        self.body = protocol
        protocol.makeConnection(self.transport)


class BodyTests(SynchronousTestCase):
    """Of three bytes at the most."""

    def begin(self, **more: bool) -> tuple[_Answer, Deferred[bytes]]:
        """Read one."""
        answer: typing.Any = _Answer()
        return answer, Deferred.fromCoroutine(read_bounded_body(answer, 3, **more))

    def end(self, answer: _Answer, error: type[Exception]) -> None:
        """It ends so."""
        answer.body.connectionLost(Failure(error()))

    def test_whole(self) -> None:
        """In pieces, and empty."""
        for pieces in ((), (b"a", b"bc")):
            answer, read = self.begin()
            for piece in pieces:
                answer.body.dataReceived(piece)
            self.assertNoResult(read)
            self.end(answer, ResponseDone)
            self.assertEqual(self.successResultOf(read), b"".join(pieces))
            self.assertFalse(answer.transport.disconnecting)

    def test_too_long(self) -> None:
        """Its connection ends, and what comes still is dropped."""
        answer, read = self.begin()
        answer.body.dataReceived(b"abc")
        answer.body.dataReceived(b"d")
        self.failureResultOf(read, BodyTooLongError)
        self.assertTrue(answer.transport.disconnecting)
        answer.body.dataReceived(b"e")
        self.end(answer, ConnectionLost)

    def test_cut_short(self) -> None:
        """And so is one that ends with its connection, but where that is how bodies end."""
        for error in (ConnectionLost, PotentialDataLoss):
            answer, read = self.begin()
            answer.body.dataReceived(b"a")
            self.end(answer, error)
            self.failureResultOf(read, BodyCutShortError)
        answer, read = self.begin(until_close=True)
        answer.body.dataReceived(b"a")
        self.end(answer, PotentialDataLoss)
        self.assertEqual(self.successResultOf(read), b"a")

    def test_not_wanted(self) -> None:
        """Whoever wants none, or no more, ends its connection."""
        answer: typing.Any = _Answer()
        drop_body(answer)
        self.assertTrue(answer.transport.disconnecting)
        answer.body.dataReceived(b"abcd")
        self.end(answer, ConnectionLost)
        answer, read = self.begin()
        read.cancel()
        self.failureResultOf(read, CancelledError)
        self.assertTrue(answer.transport.disconnecting)
