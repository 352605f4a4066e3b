"""
A dial on top of another: what lies beneath is connected first, and then something is agreed on.

.. code-block:: text

    state     leaves on
    --------  -------------------------------------------------------------------------------
    BENEATH   connected -> AGREEING;  failed -> OVER
    AGREEING  agreed -> OVER, the transport is the protocol's from now on;  refused, a lost
              connection, the deadline -> OVER, the connection is closed
    OVER      nothing is called any more, nothing is held

TLS over TCP and a CONNECT over either are such dials. The dialer beneath has a deadline of its own;
ours, which bounds the whole, is watched while we agree.
"""

from __future__ import annotations

import abc
import typing

from twisted.internet.interfaces import IProtocol

from aluvia.net.deadlines import Deadlines
from aluvia.net.dial import Dialer, Dialing
from aluvia.net.errors import DialError
from aluvia.net.resolve import Failed

__all__ = ["LayeredDialing"]


class LayeredDialing(abc.ABC):
    """
    One such dial; the protocol of the connection until it is agreed on.

    What is said to agree is a subclass's, which ends it by :meth:`_agreed`, :meth:`_refuse` or
    :meth:`_fail`.
    """

    __slots__ = (
        "_deadlines",
        "_dialing",
        "_failed",
        "_over",
        "_protocol",
        "_transport",
        "deadline",
        "factory",
    )

    def __init__(
        self, deadlines: Deadlines, protocol: IProtocol, failed: Failed, deadline: float
    ) -> None:
        self._deadlines = deadlines
        self._protocol = protocol
        self._failed = failed
        self._dialing: Dialing | None = None
        self._transport: typing.Any = None
        self._over = False
        self.deadline = deadline
        self.factory: typing.Any = None

    def begin(self, dialer: Dialer, host: str, port: int, beneath: IProtocol) -> None:
        """
        Dial what lies beneath.

        :param beneath: what is connected to it, and then gives us our transport.
        """
        dialing = dialer.dial(host, port, beneath, self._fail)
        # It may have failed already.
        if not self._over:
            self._dialing = dialing

    def cancel(self) -> None:
        """Leave nothing; see :meth:`aluvia.net.dial.Dialing.cancel`."""
        if not self._over:
            dialing = self._dialing
            self._end()
            if self._transport is not None:
                self._transport.abortConnection()
            elif dialing is not None:
                dialing.cancel()

    def makeConnection(self, transport: typing.Any) -> None:
        """What lies beneath is connected."""
        self._transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """Begin to agree."""
        self._deadlines.watch(self)

    @abc.abstractmethod
    def deadline_passed(self, now: float) -> None:
        """The other side has connected, and then said nothing, or not enough: refuse."""

    def _agreed(self) -> None:
        """Leave the transport to the protocol."""
        self._end()
        transport, protocol = self._transport, self._protocol
        transport.switch_protocol(protocol)
        protocol.makeConnection(transport)

    def _refuse(self, error: DialError) -> None:
        if not self._over:
            self._end()
            self._transport.abortConnection()
            self._failed(error)

    def _fail(self, error: DialError) -> None:
        self._end()
        self._failed(error)

    def _end(self) -> None:
        self._over = True
        # It holds us: kept, the two would be a cycle.
        self._dialing = None
        self._deadlines.forget(self)
