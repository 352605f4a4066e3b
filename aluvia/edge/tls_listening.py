"""
TLS on a listening port: the certificate is chosen by the name that the client asks for.

OpenSSL has a callback for that, and it is not used: it can refuse only by an exception, which
pyOpenSSL prints for every scanner that comes along; and a context that is put in place there comes
too late for sessions (:mod:`aluvia.net.tls_server`). So the first message is read before OpenSSL is
there at all (:mod:`aluvia.wire.client_hello`). A client that sends none costs no more than a
plain connection.

.. code-block:: text

    state      leaves on
    ---------  -------------------------------------------------------------------------------
    HELLO      read, and there is a certificate -> HANDSHAKE;  there is none -> OVER, behind the
               alert ``unrecognized_name``;  unreadable -> HANDSHAKE, with the default certificate
               if there is one: OpenSSL knows what to answer
    HANDSHAKE  done -> DONE: the protocol inside is made, and the wire is its transport from now on;
               it fails -> OVER
    both       the deadline, a drain -> OVER, the connection is reset;  it is lost -> OVER
    DONE       nothing here is called any more
    OVER       it is counted why, but for a drain

The deadline is absolute, and one for both. What is inside learns of a connection when there is
something to say to it: its own deadlines begin there.

A handshake that fails is counted by its reason and not logged: whoever scans the internet would
write the log. These are the reasons:

=========================== ==================================================================
``unrecognized_name``       there is no certificate for that name, and no default
``no_application_protocol`` the client offers protocols, and HTTP/1 is not among them
``unsupported``             no version or no cipher in common
``client_refused``          the client sent an alert: it does not trust the certificate, most often
``not_tls``                 what came is something else, such as plain HTTP
``protocol_error``          what came breaks the rules of TLS
``timeout``                 it was not done within ``Limits.handshake_seconds``
``client_gone``             the client closed, or the connection was lost
=========================== ==================================================================
"""

from __future__ import annotations

import typing

import attrs
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.edge.certificates import Certificates, Presented
from aluvia.net.accept import Sweep
from aluvia.net.tls_server import NO_PROTOCOL_IN_COMMON, server_context
from aluvia.net.tls_wire import TLSWire
from aluvia.wire.client_hello import ClientHello, ClientHelloReader
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.target import canonical_host

__all__ = ["SNIWire", "TLSCounters", "TLSListening"]

#: A fatal alert, in the clear, as it is before there are keys (RFC 8446 section 6, RFC 6066
#: section 3): unrecognized_name.
UNRECOGNIZED_NAME = bytes([21, 3, 3, 0, 2, 2, 112])

#: What OpenSSL's reasons mean. An alert of the client's has the word in it; what is not here is a
#: ``protocol_error``.
_REASONS = {
    NO_PROTOCOL_IN_COMMON: "no_application_protocol",
    "http request": "not_tls",
    "https proxy request": "not_tls",
    "wrong version number": "not_tls",
    "no shared cipher": "unsupported",
    "unsupported protocol": "unsupported",
}


@attrs.define
class TLSCounters:
    """
    What came of handshakes.

    :ivar handshakes: how many were done.
    :ivar tls_failures: how many were not, by reason.
    """

    handshakes: int = 0
    tls_failures: dict[str, int] = attrs.field(factory=dict)

    def failed(self, reason: str) -> None:
        """Count one."""
        self.tls_failures[reason] = self.tls_failures.get(reason, 0) + 1


@implementer(IProtocolFactory)
class TLSListening:
    """
    What a port inside TLS makes of a connection.

    :param inside: makes the protocol of a client whose handshake is done; its transport is an
        :class:`SNIWire`.
    :param certificates: asked for each client.
    :param counters: shared by all ports that are counted together.
    """

    def __init__(
        self,
        inside: IProtocolFactory,
        certificates: Certificates,
        sweep: Sweep,
        clock: IReactorTime,
        *,
        counters: TLSCounters | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.inside = inside
        self.certificates = certificates
        self.sweep = sweep
        self.counters = TLSCounters() if counters is None else counters
        self.limits = limits
        # For what OpenSSL is to refuse.
        self._bare = server_context()
        # The clock is for stock TLS transports, which aggregate; ours does not.
        self._wires = TLSMemoryBIOFactory(_Connections(), False, inside, clock=clock)

    def buildProtocol(self, addr: IAddress) -> IProtocol:
        """Make the wire of a client."""
        return typing.cast(IProtocol, SNIWire(self._wires, _Handshake(self, addr), self))

    def doStart(self) -> None:
        """Prepare what is inside."""
        self.inside.doStart()

    def doStop(self) -> None:
        """Undo it."""
        self.inside.doStop()

    def context(self, wire: SNIWire, hello: ClientHello) -> SSL.Context | None:
        """Note what a client asks for; return the context for it, None to refuse."""
        if hello.server_name is not None:
            wire.server_name = _canonical(hello.server_name)
        presented = self.certificates.map.find(wire.server_name)
        if presented is None:
            return None if hello.readable else self._bare
        wire.presented = presented
        return presented.context


class SNIWire(TLSWire):
    """
    A client's connection inside TLS.

    :ivar server_name: the host that it asked for in its handshake, canonical; empty if it did not.
    :ivar presented: what it was shown.
    :ivar context: the context that goes with it.
    :ivar held: what came of the client before that was known.
    """

    server_name = ""
    presented: Presented | None = None
    held = b""
    _begun = False
    _hello: ClientHelloReader | None = None

    def __init__(
        self, factory: TLSMemoryBIOFactory, handshake: _Handshake, listening: TLSListening
    ) -> None:
        super().__init__(factory, typing.cast(typing.Any, handshake))
        self._listening = listening
        self.context: SSL.Context | None = None

    def makeConnection(self, transport: typing.Any) -> None:
        """The client is connected: read what it asks for."""
        self.transport = transport
        self.connected = 1
        self._hello = ClientHelloReader(self._listening.limits.client_hello_bytes)
        # In place of the method, so that it costs nothing later.
        self.dataReceived = self._hello_received  # type: ignore[method-assign]
        self.wrappedProtocol.begin(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """It is over; there may have been no TLS yet."""
        if self._begun:
            super().connectionLost(reason)
            return
        self.connected = 0
        self._forget_hello()
        handshake, self.wrappedProtocol = self.wrappedProtocol, None
        handshake.connectionLost(reason)

    def _hello_received(self, data: bytes) -> None:
        reader = self._hello
        assert reader is not None  # until it is known
        hello = reader.feed(data)
        if hello is None:
            return
        self._forget_hello()
        self.context = self._listening.context(self, hello)
        if self.context is None:
            self.wrappedProtocol.reason = "unrecognized_name"
            self.dataReceived = _unread  # type: ignore[method-assign]
            self.transport.write(UNRECOGNIZED_NAME)
            self.transport.loseConnection()
            return
        self.held = bytes(reader.held)
        self._begun = True
        # OpenSSL is given it in here, and answers.
        super().makeConnection(self.transport)
        del self.held

    def _forget_hello(self) -> None:
        # The method that stands in holds us: kept, the two would be a cycle.
        del self.dataReceived
        self._hello = None


def _unread(data: bytes) -> None:
    """What stands in for ``dataReceived`` of a client that was refused."""


@implementer(IOpenSSLServerConnectionCreator)
class _Connections:
    """Makes OpenSSL's connection for a wire."""

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        wire = typing.cast(SNIWire, tlsProtocol)
        assert wire.context is not None  # since it was not refused
        connection = SSL.Connection(wire.context, None)
        # Before its first step, which would find nothing without.
        connection.bio_write(wire.held)
        return connection


@implementer(IProtocol, IHandshakeListener)
class _Handshake:
    """
    The protocol of a wire until its handshake is done.

    :ivar reason: why it fails, where we end it.
    """

    __slots__ = ("__weakref__", "_address", "_listening", "_wire", "deadline", "factory", "reason")

    def __init__(self, listening: TLSListening, address: IAddress) -> None:
        self._listening = listening
        self._address = address
        self._wire: typing.Any = None
        self.deadline = 0.0
        self.factory: typing.Any = None
        self.reason: str | None = None

    def begin(self, wire: SNIWire) -> None:
        """The client is connected."""
        self._wire = wire
        sweep = self._listening.sweep
        self.deadline = sweep.now + self._listening.limits.handshake_seconds
        sweep.watch(self)

    def makeConnection(self, transport: typing.Any) -> None:
        """Its ClientHello was read."""

    def connectionMade(self) -> None:
        """As little happens here."""

    def dataReceived(self, data: bytes) -> None:
        """Nothing comes before the handshake is done, and then it comes to the protocol inside."""

    def handshakeCompleted(self) -> None:  # noqa: N802
        """Leave the wire to the protocol inside."""
        listening, wire = self._listening, self._wire
        listening.sweep.forget(self)
        listening.counters.handshakes += 1
        protocol = listening.inside.buildProtocol(self._address)
        if protocol is None:
            self.reason = ""
            wire.loseConnection()
            return
        wire.switch_protocol(protocol)
        protocol.makeConnection(wire)

    def connectionLost(self, reason: Failure) -> None:
        """It has failed, in one way or another."""
        self._listening.sweep.forget(self)
        cause = _cause(reason.value) if self.reason is None else self.reason
        if cause:
            self._listening.counters.failed(cause)
        self._wire = None

    def deadline_passed(self, now: float) -> None:
        """It takes too long."""
        self._end("timeout")

    def drain(self) -> None:
        """The door closes, and nothing was asked for yet."""
        self._end("")

    def _end(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
        self._listening.sweep.forget(self)
        self._wire.abortConnection()


def _canonical(name: bytes) -> str:
    try:
        return canonical_host(name.decode("ascii"))
    except ValueError:
        # What is no host is no certificate's name.
        return ""


def _cause(error: BaseException | None) -> str:
    if not isinstance(error, SSL.Error):
        return "client_gone"
    # OpenSSL's errors are a list of three texts each; a lost connection's are none of these.
    errors = error.args[0] if error.args else ()
    reason = errors[-1][2] if isinstance(errors, list) and errors else ""
    if " alert " in reason:
        return "client_refused"
    return _REASONS.get(reason, "protocol_error")
