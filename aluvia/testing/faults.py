"""
A peer that fails on purpose.

:class:`FaultPeer` listens on loopback with real sockets and plays a *script* on each connection
that it accepts: a list of steps, done one after the other. Put it where your program expects a
proxy, an origin or an API, and look at what your program makes of it::

    from aluvia.testing.faults import FaultPeer, Read, Reset, Send

    peer = FaultPeer(reactor, [
        Read(until=b"\\r\\n\\r\\n"),
        Send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 1000\\r\\n\\r\\nonly this"),
        Reset(),
    ])
    ...                                   # the program is told to use peer.port
    await peer.stop()
    assert peer.accepted == 1
    assert peer.connections[0].received.startswith(b"CONNECT ")

What fails, and when, is said by the steps and where they stand:

==================  ===============================================================================
phase               script
==================  ===============================================================================
connect             ``FaultPeer(..., accepting=Accepting.REFUSE)`` refuses (RST to the SYN);
                    ``Accepting.IGNORE`` never answers (a full backlog), so that a connect times out
accept              ``[Reset()]``, ``[Close()]``, ``[Stall()]``
after n bytes       ``[Read(count=n), Reset()]``
answering           ``[Read(until=b"\\r\\n\\r\\n"), Drip(b"HTTP/1.1 200 OK...", every=0.1)]``, or a
                    ``Send`` of any of :data:`aluvia.testing.lies.LIES`
TLS handshake       ``[HalfHandshake(context), Reset()]``, ``[Read(), Send(b"garbage")]``
transfer            ``[Read(until=...), Send(head), Flood(1_000_000), Reset()]``,
                    ``[..., Stall(reading=False)]`` for a peer that does not read
shutdown            ``[..., Finish(), Stall()]`` half-closes and then says nothing;
                    ``[..., Read(to_end=True), Reset()]`` answers a FIN with an RST
==================  ===============================================================================

A connection whose script is over stays open, reads and forgets, and closes when the other side
does.

Different connections can have different scripts: :func:`in_turn`, or any function from a
connection's number to a script. :func:`~aluvia.testing.dialling.dial` is the other direction: a
client that drips, stalls, half-closes and resets.
"""

from __future__ import annotations

import collections
import collections.abc
import enum
import socket

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.door import Door
from aluvia.testing.ended import ConnectionEnded, Ended
from aluvia.testing.reactors import Clock, DescriptorReactor
from aluvia.testing.steps import (
    Close,
    Drip,
    Echo,
    Finish,
    Flood,
    HalfHandshake,
    Read,
    Reset,
    Script,
    Send,
    Stall,
    StartTLS,
    Step,
)

_log = Logger()

#: How many connections a peer remembers, the latest ones.
REMEMBERED_CONNECTIONS = 1024


class Accepting(enum.Enum):
    """What becomes of a connect."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    IGNORE = "ignore"


def in_turn(*scripts: Script) -> collections.abc.Callable[[int], Script]:
    """The first script for the first connection, and so on; the last one for all that follow."""
    return lambda number: scripts[min(number, len(scripts) - 1)]


class FaultPeer:
    """
    A listening socket and the scripts that are played on what it accepts.

    :ivar accepted: how many connections were accepted.
    :ivar connections: the latest :data:`REMEMBERED_CONNECTIONS` of them, with the first *keep*
        bytes that each received.
    :ivar open: those that are open now.
    """

    def __init__(
        self,
        reactor: DescriptorReactor,
        script: Script | collections.abc.Callable[[int], Script] = (),
        *,
        accepting: Accepting = Accepting.ACCEPT,
        address: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
        keep: int = 65_536,
    ) -> None:
        """
        Bind at once, so that :attr:`port` is known.

        :param script: the steps for each connection, or a function from its number to them.
        :param address: a loopback address, IPv4 or IPv6.
        :param port: 0 for any free one.
        :param clock: what :class:`Drip` and :class:`Stall` wait by, if not the reactor.
        :param keep: how many bytes of each connection's input are kept for looking at.
        """
        self.address = address
        self.accepted = 0
        self.connections: collections.deque[FaultConnection] = collections.deque(
            maxlen=REMEMBERED_CONNECTIONS
        )
        self.open: set[FaultConnection] = set()
        self._reactor = reactor
        self._clock = clock
        self._keep = keep
        if callable(script):
            self._script_of = script
        else:
            self._script_of = in_turn(script)
        self._playing: set[Deferred[None]] = set()
        self._accepting = accepting
        self._fillers: list[socket.socket] = []
        self._door: Door | None = None
        self._open_door(port)

    @property
    def port(self) -> int:
        """The port that we are bound to."""
        assert self._door is not None, "stopped"
        return self._door.port

    @property
    def authority(self) -> str:
        """``host:port``, as it stands in a URL."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    def set_accepting(self, accepting: Accepting) -> None:
        """Change what becomes of a connect, on the same port, from now on."""
        port = self.port
        self._close_door()
        self._accepting = accepting
        self._open_door(port)

    async def when(self, condition: collections.abc.Callable[[], bool]) -> None:
        """Return when *condition* holds; it is asked again every few milliseconds."""
        while not condition():
            turn: Deferred[None] = Deferred()
            self._reactor.callLater(0.005, turn.callback, None)
            await turn

    async def stop(self) -> None:
        """Stop listening, end every script, close every connection."""
        self._close_door()
        for playing in tuple(self._playing):
            playing.cancel()
        for connection in tuple(self.open):
            connection.close(close_notify=False)

    def _open_door(self, port: int) -> None:
        self._door = Door(self._reactor, self._accepted, self.address, port)
        if self._accepting is Accepting.ACCEPT:
            self._door.listen()
        elif self._accepting is Accepting.IGNORE:
            self._fillers = self._door.fill()

    def _close_door(self) -> None:
        if self._door is not None:
            self._door.close()
            self._door = None
        while self._fillers:
            self._fillers.pop().close()

    def _accepted(self, sock: socket.socket) -> None:
        connection = FaultConnection(
            self._reactor, sock, number=self.accepted, keep=self._keep, clock=self._clock
        )
        self.accepted += 1
        self.connections.append(connection)
        self.open.add(connection)
        playing = Deferred.fromCoroutine(self._play(connection))
        self._playing.add(playing)
        playing.addErrback(_report, connection.number)
        playing.addBoth(lambda _: self._playing.discard(playing))

    async def _play(self, connection: FaultConnection) -> None:
        try:
            for step in self._script_of(connection.number):
                if connection.closed:
                    break
                await step.play(connection)
            if not connection.closed:
                await connection.read_away()
        except ConnectionEnded:
            pass  # What the other side did is in connection.ended, for the test to look at.
        finally:
            connection.close()
            self.open.discard(connection)


def _report(failure: Failure, number: int) -> None:
    """A step failed by itself: an error of the script, which a test must not miss."""
    if not isinstance(failure.value, CancelledError):
        _log.failure("The script of connection {number} failed", failure=failure, number=number)


__all__ = [
    "Accepting",
    "Close",
    "ConnectionEnded",
    "Drip",
    "Echo",
    "Ended",
    "FaultConnection",
    "FaultPeer",
    "Finish",
    "Flood",
    "HalfHandshake",
    "Read",
    "Reset",
    "Script",
    "Send",
    "Stall",
    "StartTLS",
    "Step",
    "dial",
    "in_turn",
]
