"""The body of an answer to Twisted's HTTP client, within a bound."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse

__all__ = ["BodyCutShortError", "BodyTooLongError", "drop_body", "read_bounded_body"]


class BodyTooLongError(Exception):
    """There is more of it than the bound; its connection ends."""


class BodyCutShortError(Exception):
    """Its connection ended in its middle."""


async def read_bounded_body(response: IResponse, most: int, *, until_close: bool = False) -> bytes:
    """
    Read it to its end; cancelled, its connection ends.

    :param most: bytes of it.
    :param until_close: whether one is whole that ends with its connection, by which a server of
        HTTP/1.0 says so.
    :raises BodyTooLongError: there is more.
    :raises BodyCutShortError: the connection ended before it did.
    """
    reading: Deferred[bytes] = Deferred(lambda _: body.give_up())
    body = _Body(reading, most, until_close=until_close)
    response.deliverBody(body)
    return await reading


def drop_body(response: IResponse) -> None:
    """Read nothing of it, and end its connection."""
    body = _Body(None, 0)
    response.deliverBody(body)
    body.give_up()


class _Body(Protocol):
    """
    Takes a body up to the bound.

    :param done: gets it; None where it is not wanted.
    """

    def __init__(
        self, done: Deferred[bytes] | None, most: int, *, until_close: bool = False
    ) -> None:
        self._done = done
        self._most = most
        self._ends = (ResponseDone, PotentialDataLoss) if until_close else (ResponseDone,)
        self._parts: list[bytes] = []
        self._length = 0

    def dataReceived(self, data: bytes) -> None:
        """Keep it, or give up."""
        done = self._done
        if done is None:
            return
        self._length += len(data)
        if self._length <= self._most:
            self._parts.append(data)
        else:
            self.give_up()
            done.errback(BodyTooLongError())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end of the body, or of the connection within it."""
        done, self._done = self._done, None
        if done is None:
            return
        if reason.check(*self._ends) is not None:
            done.callback(b"".join(self._parts))
        else:
            done.errback(BodyCutShortError())

    def give_up(self) -> None:
        """Close the connection: what is still to come is not wanted."""
        self._done = None
        self._parts.clear()
        if self.transport is not None:
            # Nothing of ours is queued, so it closes at once.
            self.transport.loseConnection()
