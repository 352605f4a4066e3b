"""
One TCP connection under full control, for tests.

Twisted's own transports are built to be kind: they buffer, they close in order, they hide what the
other side did. A test of failures needs the opposite. :class:`FaultConnection` owns its socket, and
registers it with the reactor by itself, so that

* a byte that :meth:`FaultConnection.send` returned for is in the kernel, not in a buffer of ours: a
  :meth:`FaultConnection.reset` that follows comes after it on the wire;
* FIN, RST, "does not read" and "reads but does not answer" are five different things
  (:meth:`~FaultConnection.finish`, :meth:`~FaultConnection.close`, :meth:`~FaultConnection.reset`,
  :meth:`~FaultConnection.pause`, and doing nothing);
* the other side's FIN and RST are told apart, in :attr:`FaultConnection.ended`.

Everything that takes time is awaited, under Twisted (:func:`aluvia.testing.dialling.dial`)::

    connection = await dial(reactor, "127.0.0.1", 8080)
    await connection.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    head = await connection.read_until(b"\\r\\n\\r\\n")
    connection.reset()

What comes in is read at once, whether a script asks for it or not, up to :data:`UNREAD_BYTES`; then
the kernel's window closes, as with any slow reader.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import ssl
import struct

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.testing.ended import ConnectionEnded, Ended
from aluvia.testing.reactors import Clock, DescriptorReactor

#: What a connection holds of bytes that nobody has asked for yet. Then it stops reading.
UNREAD_BYTES = 1_048_576

#: One read of the socket.
READ_BYTES = 65_536

_ABORTIVE = struct.pack("ii", 1, 0)
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _Wait(enum.Enum):
    """What a script can be waiting for; one of each at a time."""

    READ = 0
    WRITE = 1
    TIME = 2
    CLOSED = 3


@implementer(IReadDescriptor, IWriteDescriptor)
class FaultConnection:
    """
    One connection, ours or accepted.

    :ivar number: 0 for the first that its peer accepted, and so on; -1 for one that we dialled.
    :ivar ended: how the other side ended, or ``None`` while it has not.
    :ivar closed: whether our own socket is closed.
    :ivar bytes_received: all that came, also what was not kept.
    :ivar bytes_sent: all that the kernel took.
    :ivar local_port: the port of our own end.
    """

    def __init__(
        self,
        reactor: DescriptorReactor,
        sock: socket.socket,
        *,
        number: int = -1,
        keep: int = 65_536,
        clock: Clock | None = None,
    ) -> None:
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Else a small piece waits for an ACK of the one before it, and a reset overtakes it.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = number
        self.ended: Ended | None = None
        self.closed = False
        self.bytes_received = 0
        self.bytes_sent = 0
        self._reactor = reactor
        self._clock: Clock = reactor if clock is None else clock
        self._socket = sock
        self._keep = keep
        self._kept = bytearray()
        self._unread = bytearray()
        self._paused = False
        self._waits: dict[_Wait, Deferred[None]] = {}
        self._handshaking = False
        self.local_port = int(sock.getsockname()[1])
        self._reactor.addReader(self)

    @property
    def received(self) -> bytes:
        """What came, in the clear, from its first byte on; at most ``keep`` bytes of it."""
        return bytes(self._kept)

    # Reading

    async def read_some(self) -> bytes:
        """Whatever is there, at least one byte; ``b""`` after the other side's FIN."""
        while not self._unread:
            if self.ended is Ended.FIN:
                return b""
            await self._wait(_Wait.READ)
        return self._take(len(self._unread))

    async def read_exactly(self, count: int) -> bytes:
        """*count* bytes; what follows them stays for the next read."""
        got = bytearray()
        while len(got) < count:
            if not self._unread:
                await self._more()
            got += self._take(min(count - len(got), len(self._unread)))
        return bytes(got)

    async def read_until(self, marker: bytes) -> bytes:
        """
        Everything up to and with *marker*; what follows it stays for the next read.

        :raises ValueError: it is not within the first :data:`UNREAD_BYTES`.
        """
        while (at := self._unread.find(marker)) < 0:
            if len(self._unread) >= UNREAD_BYTES:
                raise ValueError(f"no {marker!r} within {UNREAD_BYTES} bytes")
            await self._more()
        return self._take(at + len(marker))

    async def read_to_end(self) -> bytes:
        """Everything up to the other side's FIN. A reset raises :exc:`ConnectionEnded`."""
        parts = []
        while part := await self.read_some():
            parts.append(part)
        return b"".join(parts)

    def give_back(self, data: bytes) -> None:
        """Put *data*, which was read too far, in front of what comes next."""
        self._unread[:0] = data

    async def read_away(self) -> None:
        """Read and forget until the other side ends, either way."""
        with contextlib.suppress(ConnectionEnded):
            while await self.read_some():
                pass

    def pause(self) -> None:
        """Stop reading: the kernel's window fills, and neither FIN nor RST is seen."""
        self._paused = True
        self._reactor.removeReader(self)

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._read_on()

    # Writing

    async def send(self, data: bytes) -> None:
        """Return when the kernel has all of *data*."""
        view = memoryview(data)
        while view:
            if self.ended is Ended.RESET or self.closed:
                raise ConnectionEnded(Ended.RESET)
            try:
                sent = self._socket.send(view)
            except _NOT_YET:
                await self._wait(_Wait.WRITE)
            except OSError:
                self._reset_by_other_side()
            else:
                self.bytes_sent += sent
                view = view[sent:]

    def finish(self, *, close_notify: bool = True) -> None:
        """
        Send a FIN and go on reading: a half-close.

        :param close_notify: over TLS, whether to say so first. ``False`` is a truncation.
        """
        if self.closed:
            return
        if close_notify and isinstance(self._socket, ssl.SSLSocket):
            # Ours goes out, and then OpenSSL looks for theirs: whatever else it found there would
            # be lost, so it is read before.
            self.doRead()
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap()
        # Not SSLSocket's own, which forgets the TLS: what is read on would be ciphertext.
        with contextlib.suppress(OSError):  # Gone already.
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def close(self, *, close_notify: bool = True) -> None:
        """
        Send a FIN and be gone: whatever comes later is answered with an RST by the kernel.

        Bytes that already came are read away first, since Linux sends an RST in place of the FIN
        when a socket is closed with unread ones.

        :param close_notify: over TLS, whether to end it in order before.
        """
        if self.closed:
            return
        if close_notify and isinstance(self._socket, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):  # Ours is out; theirs need not come.
                self._socket.unwrap()
        with contextlib.suppress(OSError):  # Gone already, or nothing more to read.
            self._socket.shutdown(socket.SHUT_WR)
            while socket.socket.recv(self._socket, READ_BYTES):
                pass
        self._shut()

    def reset(self) -> None:
        """Send an RST (``SO_LINGER`` 0) and be gone."""
        if not self.closed:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTIVE)
            self._shut()

    # Time and TLS

    async def sleep(self, seconds: float) -> None:
        """Wait by the clock. The other side's reset cuts it short; its FIN does not."""
        call = self._clock.callLater(seconds, self._fire, _Wait.TIME)
        try:
            await self._wait(_Wait.TIME)
        finally:
            if call.active():
                call.cancel()

    async def stall(self) -> None:
        """Do nothing until the other side resets, or until we are closed from outside."""
        await self._wait(_Wait.TIME)

    async def until_closed(self) -> None:
        """Return when our own socket is closed, whoever asked for it."""
        if not self.closed:
            await self._wait(_Wait.CLOSED)

    async def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = True,
        server_hostname: str | None = None,
    ) -> None:
        """
        Shake hands from here on; what was read of it before (by a step) must not be lost.

        :raises ssl.SSLError: the other side refused us, or we it.
        :raises ConnectionEnded: it went away meanwhile.
        """
        if self._unread:
            raise RuntimeError("bytes of the handshake were read already: use read_some() later")
        self._reactor.removeReader(self)
        try:
            self._socket = context.wrap_socket(
                self._socket,
                server_side=server_side,
                server_hostname=server_hostname,
                do_handshake_on_connect=False,
            )
        except ConnectionError:
            self._reset_by_other_side()
            raise ConnectionEnded(Ended.RESET) from None
        while True:
            try:
                self._socket.do_handshake()
            except ssl.SSLWantReadError:
                self._handshaking = True
                self._reactor.addReader(self)
                try:
                    await self._wait(_Wait.READ)
                finally:
                    self._handshaking = False
                    self._reactor.removeReader(self)
            except ssl.SSLWantWriteError:
                await self._wait(_Wait.WRITE)
            except ssl.SSLError:
                raise
            except OSError:
                self._reset_by_other_side()
                raise ConnectionEnded(Ended.RESET) from None
            else:
                break
        self._read_on()

    # What the reactor calls

    def fileno(self) -> int:
        """Our descriptor; -1 when closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Our name in logs."""
        return "FaultConnection"

    def doRead(self) -> None:
        """Bytes, a FIN or an RST came."""
        if self._handshaking:
            self._fire(_Wait.READ)
            return
        # The ssl module tells of an RST as of an end of file: the socket is asked before it is.
        tls = self._socket if isinstance(self._socket, ssl.SSLSocket) else None
        reset = tls is not None and tls.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
        while True:
            try:
                data = self._socket.recv(READ_BYTES)
                if not data and reset:
                    raise ConnectionResetError
            except _NOT_YET:
                break
            except ssl.SSLZeroReturnError:
                data = b""  # Their close_notify, behind ours.
            except OSError:
                self._reset_by_other_side()
                return
            if not data:
                self.ended = Ended.FIN
                self._reactor.removeReader(self)
                break
            self.bytes_received += len(data)
            self._kept += data[: self._keep - len(self._kept)]
            self._unread += data
            # What TLS holds in the clear the reactor would not tell of.
            if len(self._unread) >= UNREAD_BYTES and (tls is None or not tls.pending()):
                self._reactor.removeReader(self)
                break
        self._fire(_Wait.READ)

    def doWrite(self) -> None:
        """The kernel takes bytes again."""
        self._reactor.removeWriter(self)
        self._fire(_Wait.WRITE)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw the connection die."""
        if not self.closed:
            self._reset_by_other_side()

    # Within

    async def _more(self) -> None:
        if self.ended is not None:
            raise ConnectionEnded(self.ended)
        await self._wait(_Wait.READ)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        self._read_on()
        return taken

    def _read_on(self) -> None:
        open_for_more = self.ended is None and not self.closed and not self._paused
        if open_for_more and len(self._unread) < UNREAD_BYTES:
            self._reactor.addReader(self)

    def _wait(self, what: _Wait) -> Deferred[None]:
        if what is not _Wait.CLOSED and (self.closed or self.ended is Ended.RESET):
            raise ConnectionEnded(self.ended or Ended.RESET)
        if what in self._waits:
            raise RuntimeError(f"two scripts wait for {what} of one connection")
        waiting: Deferred[None] = Deferred(lambda _: self._forget_wait(what))
        self._waits[what] = waiting
        if what is _Wait.WRITE:
            self._reactor.addWriter(self)
        return waiting

    def _forget_wait(self, what: _Wait) -> None:
        self._waits.pop(what, None)

    def _fire(self, what: _Wait) -> None:
        waiting = self._waits.pop(what, None)
        if waiting is not None:
            waiting.callback(None)

    def _reset_by_other_side(self) -> None:
        self.ended = Ended.RESET
        self._shut()

    def _shut(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        self._socket.close()
        for what in (_Wait.READ, _Wait.WRITE, _Wait.TIME):
            waiting = self._waits.pop(what, None)
            if waiting is not None:
                waiting.errback(ConnectionEnded(self.ended or Ended.RESET))
        self._fire(_Wait.CLOSED)
