"""
Two probes: whether something accepts a connection, and whether it gives a good answer.

.. code-block:: text

    state     leaves on
    --------  --------------------------------------------------------------------------------
    DIALLING  connected -> OVER (TCP), or the request is sent -> ASKING (HTTP);
              failed, the deadline, cancelled -> OVER
    ASKING    the head of the answer, a failure, the deadline, cancelled -> OVER
    OVER      the connection is closed, no timer is left, nothing is told any more

A probe is over with the head of the answer: what may follow is not read. It never keeps its
connection, for one that was kept would prove nothing of those to come. Its deadline is its own, a
single one for all of it, and exact: a probe every few seconds is worth a timer.
"""

from __future__ import annotations

import abc
import typing

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.accept import Clock
from aluvia.net.dial import Dialer, Dialing
from aluvia.net.errors import DialError
from aluvia.net.http_client import ClientConnection
from aluvia.wire.exchange import Event
from aluvia.wire.head import ResponseHead
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

__all__ = ["PROBE_SECONDS", "ProbeFailed", "ProbeInconclusive", "http_probe", "tcp_probe"]

#: How long a probe may take, where its owner does not say.
PROBE_SECONDS = 5.0


class ProbeFailed(Exception):
    """A probe has not found what it is to find. Its text is one line of why, for people."""


class ProbeInconclusive(ProbeFailed):
    """Nothing was found out, for want of something of our own, such as a descriptor."""


def tcp_probe(
    dialer: Dialer, host: str, port: int, clock: Clock, *, seconds: float = PROBE_SECONDS
) -> Deferred[None]:
    """
    See whether a connection comes about; with a dialer for TLS, whether TLS does.

    :param seconds: how long it may take.
    :return: fires when it is connected; fails with :exc:`ProbeFailed`. Cancelled, it leaves
        nothing.
    """
    probe = _TCPProbe(clock, seconds)
    probe.dial(dialer, host, port, probe)
    return probe.done


def http_probe(
    dialer: Dialer,
    host: str,
    port: int,
    target: bytes,
    host_header: bytes,
    expect: typing.Collection[int],
    clock: Clock,
    *,
    limits: Limits = DEFAULT_LIMITS,
    seconds: float = PROBE_SECONDS,
) -> Deferred[None]:
    """
    Ask with GET, and see whether the status is a good one.

    :param target: in origin-form, such as ``/health``.
    :param host_header: the value of Host.
    :param expect: the statuses that are good; empty for 200–399.
    :param seconds: how long all of it may take, to the end of the answer's head.
    :return: fires when there is such an answer; fails with :exc:`ProbeFailed`. Cancelled, it leaves
        nothing.
    :raises aluvia.wire.errors.LocalProtocolError: no request can be made of this.
    """
    connection = ClientConnection((host, port), limits, clock.seconds(), lambda connection: None)
    request = connection.exchange.request(b"GET", target, [(b"Host", host_header), *_FIELDS], 0)
    probe = _HTTPProbe(clock, seconds, connection, request, expect)
    probe.dial(dialer, host, port, connection)
    return probe.done


_FIELDS = ((b"User-Agent", b"aluvia-probe"), (b"Accept", b"*/*"))


class _Probe(abc.ABC):
    """
    What both do alike.

    :ivar done: fires when it is over.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.done: Deferred[None] = Deferred(self._cancelled)
        self._over = False
        self._connected = False
        self._dialing: Dialing | None = None
        self._timer: IDelayedCall | None = clock.callLater(seconds, self._timed_out)

    def dial(self, dialer: Dialer, host: str, port: int, protocol: IProtocol) -> None:
        """Connect; that, and all the rest, may be over before this returns."""
        dialing = dialer.dial(host, port, protocol, self._dial_failed)
        if not (self._over or self._connected):
            self._dialing = dialing

    @abc.abstractmethod
    def _close(self) -> None:
        """Close the connection, if there is one."""

    def _succeed(self) -> None:
        if not self._over:
            self._end()
            self.done.callback(None)

    def _fail(self, why: str, kind: type[ProbeFailed] = ProbeFailed) -> None:
        if not self._over:
            self._end()
            self.done.errback(kind(why))

    def _dial_failed(self, error: DialError) -> None:
        self._dialing = None
        ours = error.error == "connection_limit_reached"
        self._fail(str(error), ProbeInconclusive if ours else ProbeFailed)

    def _timed_out(self) -> None:
        self._timer = None
        if self._connected:
            self._fail("http_response_timeout: No answer came in time.")
        else:
            self._fail("connection_timeout: It was not connected in time.")

    def _cancelled(self, done: Deferred[None]) -> None:
        # Whoever cancels is told so by the Deferred.
        if not self._over:
            self._end()

    def _end(self) -> None:
        self._over = True
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        dialing, self._dialing = self._dialing, None
        if dialing is not None:
            dialing.cancel()
        self._close()


@implementer(IProtocol)
class _TCPProbe(_Probe):
    """The protocol of a connection that has done its work when it is made."""

    factory: typing.Any = None
    _transport: typing.Any = None

    def makeConnection(self, transport: typing.Any) -> None:
        """It is connected."""
        self._transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """That is all."""
        self._connected = True
        self._dialing = None
        self._succeed()

    def dataReceived(self, data: bytes) -> None:
        """A greeting that nobody wants."""

    def connectionLost(self, reason: Failure) -> None:
        """By ourselves, or not."""

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.loseConnection()


class _HTTPProbe(_Probe):
    """Who waits for the answer; a :class:`~aluvia.net.http_client.Requester`."""

    def __init__(
        self,
        clock: Clock,
        seconds: float,
        connection: ClientConnection,
        request: bytes,
        expect: typing.Collection[int],
    ) -> None:
        super().__init__(clock, seconds)
        self._connection = connection
        self._request = request
        self._expect = expect
        connection.requester = self

    def upstream_connected(self) -> None:
        """Ask."""
        self._connected = True
        self._dialing = None
        self._connection.transport.write(self._request)

    def response_events(self, events: list[Event]) -> None:
        """Look for the final head, and at nothing behind it."""
        for event in events:
            if isinstance(event, ResponseHead) and not event.informational:
                self._judge(event.status)
                return

    def upstream_failed(self, error: DialError) -> None:
        """No answer, or one that nobody can read."""
        self._fail(str(error))

    def pause_request(self) -> None:
        """All that there is to say has been said."""

    def resume_request(self) -> None:
        """It has been written."""

    def _judge(self, status: int) -> None:
        good = status in self._expect if self._expect else 200 <= status < 400
        if good:
            self._succeed()
        else:
            self._fail(f"The status of the answer is {status}.")

    def _close(self) -> None:
        if self._connected:
            self._connection.close()
