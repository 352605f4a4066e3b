"""
TLS over one of our transports: Twisted's, but with a half-close, and a reset that is one.

Twisted's TLS ends both directions with the first ``close_notify`` of either side, and closes the
socket below with what the peer has sent meanwhile unread. The kernel answers that with an RST,
which destroys what was sent last on its way: an early refusal of a request whose body is still
coming, the end of a tunnel's stream. So a wire ends its directions one by one, as TCP does.
"""

from __future__ import annotations

import typing

from OpenSSL import SSL
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.transport import DONE

__all__ = ["TLSWire"]

#: The most that one call decrypts: two records.
_MOST_AT_ONCE = 32_768


def _dropped(data: bytes) -> None:
    """What stands in for ``write`` and ``dataReceived`` of a direction that has ended."""


@implementer(IPushProducer)
class _Writer:
    """
    Who writes to a TLS wire, as the wire and the transport below it see it.

    Each pause is passed on, as plain transports do it. Twisted's own stand-in tells of one and no
    more until it is over, and who writes on a connection changes in the meantime: the next one
    would never be paused.
    """

    __slots__ = ("_paused", "_producer")

    def __init__(self, producer: IPushProducer) -> None:
        self._producer = producer
        self._paused = False

    def pauseProducing(self) -> None:
        self._paused = True
        self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        # The wire says so whenever it has written what waited for the peer.
        if self._paused:
            self._paused = False
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        self._producer.stopProducing()


@implementer(IHalfCloseableProtocol)
class TLSWire(TLSMemoryBIOProtocol):
    """
    A TLS transport over one of ours, which ends as plain ones in ``net.ports`` do.

    .. code-block:: text

        loseConnection()       close_notify, and the socket closes. The peer's is not waited for, as
                               stock ones do: a silent peer would keep the socket for ever (RFC 8446
                               section 6.1 asks for no more than our own)
        loseWriteConnection()  close_notify and a FIN behind what is queued; the peer is read on
        abortConnection()      an RST and no close_notify, by which what is cut would look whole
        its close_notify       ``readConnectionLost`` of a protocol that has it; else as
                               ``loseConnection``, and ``connectionLost`` with ConnectionDone
        a FIN without one      ``connectionLost`` with ConnectionLost: what it sent was cut off.
                               Behind our own close_notify it is taken for its close_notify, which
                               many peers leave out then; what it had not sent by then is missed by
                               nobody but its own

    One direction can end and the other go on in every version of TLS; in TLS 1.3 by the standard.
    A peer that keeps to that of TLS 1.2 (RFC 5246 section 7.2.1) drops what it has yet to send when
    it hears our close_notify, and waits for ours, as long as the other direction takes, when it
    has sent its own. It gets whatever was queued for it in either case.

    :ivar host: the host that was dialled.
    :ivar bad_chain: OpenSSL's reason for refusing the chain, 0 if it did not.
    """

    host = ""
    bad_chain = 0
    _read_ended = False
    _write_ending = False
    _write_ended = False
    # Twisted's own, and as little typed there.
    _tlsConnection: typing.Any  # noqa: N815
    transport: typing.Any
    wrappedProtocol: typing.Any  # noqa: N815

    def switch_protocol(self, protocol: IProtocol) -> None:
        """Give what comes from now on to this protocol. It is not told of the connection."""
        self.wrappedProtocol = protocol

    def registerProducer(self, producer: typing.Any, streaming: bool) -> None:
        """Tell it when to pause, again and again, and when to resume."""
        if streaming and not self._lostTLSConnection:
            writer = _Writer(producer)
            self.transport.registerProducer(writer, True)
            self._producer = writer
        else:
            super().registerProducer(producer, streaming)

    # Our side ends.

    def loseWriteConnection(self) -> None:
        """End what we send, behind what is queued. Whoever produces has unregistered."""
        if not self._handshakeDone:
            self.loseConnection()
        elif self.connected and not (
            self.disconnecting or self._write_ending or self._lostTLSConnection
        ):
            self._write_ending = True
            if not self._appSendBuffer:
                self._end_writing()

    def _unbufferPendingWrites(self) -> None:  # noqa: N802
        super()._unbufferPendingWrites()
        if self._write_ending and not (self._write_ended or self._appSendBuffer):
            self._end_writing()

    def _end_writing(self) -> None:
        self._write_ended = True
        # OpenSSL makes an error of what is written behind the close_notify, and that an end of all.
        self.write = _dropped  # type: ignore[method-assign]
        self._tlsConnection.shutdown()
        self._flushSendBIO()
        self.transport.loseWriteConnection()

    def abortConnection(self) -> None:
        """Reset the connection below; nothing more is delivered."""
        self._aborted = True
        self.disconnecting = True
        self.transport.abortConnection()

    def _shutdownTLS(self) -> None:  # noqa: N802
        if not self._write_ended:
            super()._shutdownTLS()
        self.transport.loseConnection()

    # The peer's side ends.

    def _flushReceiveBIO(self) -> None:  # noqa: N802
        """Deliver what can be decrypted. As the stock one, but for the peer's close_notify."""
        while not (self._lostTLSConnection or self._read_ended):
            try:
                data = self._tlsConnection.recv(_MOST_AT_ONCE)
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self._peer_ended()
            except SSL.Error:
                self._tlsShutdownFinished(Failure())
            else:
                if not self._aborted:
                    self.wrappedProtocol.dataReceived(data)
        self._flushSendBIO()

    def readConnectionLost(self) -> None:
        """The peer's FIN. Behind its close_notify it says nothing new."""
        if self._write_ended and not self._read_ended:
            self._peer_ended()
        elif not self._read_ended:
            self.transport.connectionLost(DONE)

    def writeConnectionLost(self) -> None:
        """Our FIN is out, and the close_notify before it."""
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.writeConnectionLost()

    def _peer_ended(self) -> None:
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol) and not self.disconnecting:
            self._read_ended = True
            # RFC 8446 section 6.1: whatever comes now is ignored. It is read, so that the end of
            # the connection below is seen.
            self.dataReceived = _dropped  # type: ignore[method-assign]
            self.wrappedProtocol.readConnectionLost()
        else:
            self._shutdownTLS()
            self._tlsShutdownFinished(None)

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:  # noqa: N802
        if reason is not None:
            # Its traceback holds the frame that made it, which holds it, and us: a cycle, and we
            # would be left to the collector with what OpenSSL has for us.
            reason.cleanFailure()
        super()._tlsShutdownFinished(reason)
