"""
The steps of which a fault-injecting peer's script is made.

A step is anything with ``async def play(connection)``; these are the ones that tests of failures
need, frozen values that can be listed, compared and printed. Write your own where they end::

    @attrs.frozen
    class Backwards:
        async def play(self, connection: FaultConnection) -> None:
            await connection.send((await connection.read_some())[::-1])
"""

from __future__ import annotations

import contextlib
import ssl
import typing

import attrs

from aluvia.testing.connection import FaultConnection

_FLOOD_BLOCK = 65_536


class Step(typing.Protocol):
    """One thing that a peer does on a connection."""

    async def play(self, connection: FaultConnection) -> None:
        """Do it; return when the next step may begin."""


Script = typing.Sequence[Step]


@attrs.frozen
class Read:
    """
    Wait for what the other side sends, and consume it.

    ``Read()`` waits for anything at all, ``Read(count=n)`` for *n* bytes,
    ``Read(until=marker)`` for everything up to and with *marker*, ``Read(to_end=True)`` for a FIN.
    """

    until: bytes | None = None
    count: int | None = None
    to_end: bool = False

    async def play(self, connection: FaultConnection) -> None:
        """Read."""
        if self.until is not None:
            await connection.read_until(self.until)
        elif self.count is not None:
            await connection.read_exactly(self.count)
        elif self.to_end:
            await connection.read_to_end()
        else:
            await connection.read_some()


@attrs.frozen
class Send:
    """Send *data* whole; it is in the kernel when the next step begins."""

    data: bytes

    async def play(self, connection: FaultConnection) -> None:
        """Send."""
        await connection.send(self.data)


@attrs.frozen
class Drip:
    """Send *data* in pieces of *size* bytes, one each *every* seconds of the peer's clock."""

    data: bytes
    every: float = 0.0
    size: int = 1

    async def play(self, connection: FaultConnection) -> None:
        """Send the first piece at once, then wait before each of the others."""
        for at in range(0, len(self.data), self.size):
            if at:
                await connection.sleep(self.every)
            await connection.send(self.data[at : at + self.size])


@attrs.frozen
class Flood:
    """Send *count* bytes (``None``: without end), as fast as they are taken, made of *block*."""

    count: int | None = None
    block: bytes = b"\0" * _FLOOD_BLOCK

    async def play(self, connection: FaultConnection) -> None:
        """Send; every block gives the reactor a turn."""
        left = self.count
        while left is None or left > 0:
            piece = self.block if left is None else self.block[:left]
            await connection.send(piece)
            left = None if left is None else left - len(piece)
            await connection.sleep(0)


@attrs.frozen
class Echo:
    """Send back whatever comes, until the other side's FIN, and then one of our own."""

    async def play(self, connection: FaultConnection) -> None:
        """Echo."""
        while data := await connection.read_some():
            await connection.send(data)
        connection.finish()


@attrs.frozen
class Stall:
    """
    Do nothing for *seconds*, or (``None``) until the connection is reset or the peer stopped.

    A FIN of the other side is not answered meanwhile.

    :ivar reading: whether what comes is read. If not, the kernel's window fills, and an RST is not
        noticed.
    """

    seconds: float | None = None
    reading: bool = True

    async def play(self, connection: FaultConnection) -> None:
        """Wait."""
        if not self.reading:
            connection.pause()
        if self.seconds is None:
            await connection.stall()
        else:
            await connection.sleep(self.seconds)
        connection.resume()


@attrs.frozen
class Finish:
    """Send a FIN, and go on reading with the next step (a half-close)."""

    async def play(self, connection: FaultConnection) -> None:
        """Half-close."""
        connection.finish()


@attrs.frozen
class Close:
    """
    Send a FIN and be gone: what the other side sends later is answered with an RST.

    :ivar close_notify: over TLS, whether to say so first. ``False`` is a truncation.
    """

    close_notify: bool = True

    async def play(self, connection: FaultConnection) -> None:
        """Close."""
        connection.close(close_notify=self.close_notify)


@attrs.frozen
class Reset:
    """Send an RST (``SO_LINGER`` 0) and be gone."""

    async def play(self, connection: FaultConnection) -> None:
        """Reset."""
        connection.reset()


@attrs.frozen
class StartTLS:
    """Shake hands as the TLS server; the steps that follow speak through it."""

    context: ssl.SSLContext

    async def play(self, connection: FaultConnection) -> None:
        """Shake hands. A client that refuses our certificate ends the connection."""
        try:
            await connection.start_tls(self.context)
        except ssl.SSLError:
            connection.close(close_notify=False)


@attrs.frozen
class HalfHandshake:
    """
    Read a ClientHello and send only the first part of what a TLS server says to it.

    What follows (:class:`Reset`, :class:`Close`, :class:`Stall`, :class:`Send` of garbage) happens
    in the middle of the handshake.

    :ivar share: how much of the server's first flight to send, between 0 and 1.
    """

    context: ssl.SSLContext
    share: float = 0.5

    async def play(self, connection: FaultConnection) -> None:
        """Send the part."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self.context.wrap_bio(incoming, outgoing, server_side=True)
        while not outgoing.pending:
            incoming.write(await connection.read_some())
            with contextlib.suppress(ssl.SSLWantReadError):
                server.do_handshake()
        flight = outgoing.read()
        await connection.send(flight[: int(len(flight) * self.share)])
