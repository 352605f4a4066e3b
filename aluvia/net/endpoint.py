"""
A dialer as Twisted's endpoint, for libraries that connect through those.

So a library's connections are made as all of ours are: with the same verification of TLS, the same
look-ups, the same deadline. (Stock ``HostnameEndpoint`` and ``optionsForClientTLS`` have neither;
:mod:`aluvia.net.tls` says what is wrong with the second.)
"""

from __future__ import annotations

import functools
import typing

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from aluvia.net.dial import Dialer, Dialers
from aluvia.net.errors import DialError
from aluvia.wire.target import canonical_host

__all__ = ["DialerEndpoint", "WebEndpoints"]


@implementer(IStreamClientEndpoint)
class DialerEndpoint:
    """
    One place, reached by one dialer.

    :param host: canonical (see :mod:`aluvia.wire.target`).
    """

    def __init__(self, dialer: Dialer, host: str, port: int) -> None:
        self._dialer = dialer
        self._host = host
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        """
        Connect a protocol of this factory.

        :return: fires with the protocol; fails with :class:`~aluvia.net.errors.DialError`.
        """
        protocol = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        assert protocol is not None  # no factory of ours refuses
        connecting = _Connecting(protocol)
        dialing = self._dialer.dial(self._host, self._port, connecting, connecting.failed)
        connecting.dialing = dialing
        return connecting.deferred


@implementer(IProtocol)
class _Connecting:
    """Stands for the protocol until the transport is there, and hands it over."""

    def __init__(self, protocol: IProtocol) -> None:
        self._protocol = protocol
        self.dialing: typing.Any = None
        self.deferred: Deferred[IProtocol] = Deferred(lambda _: self._cancelled())

    def makeConnection(self, transport: typing.Any) -> None:
        """Give the protocol its transport."""
        self._protocol.makeConnection(transport)
        self.deferred.callback(self._protocol)

    def connectionMade(self) -> None:
        """The protocol was told by :meth:`makeConnection`."""

    def dataReceived(self, data: bytes) -> None:
        """Hand on."""
        self._protocol.dataReceived(data)

    def connectionLost(self, reason: typing.Any) -> None:
        """Hand on."""
        self._protocol.connectionLost(reason)

    def failed(self, error: DialError) -> None:
        """The dial did not come about."""
        self.deferred.errback(error)

    def _cancelled(self) -> None:
        self.dialing.cancel()


@implementer(IAgentEndpointFactory)
class WebEndpoints:
    """
    What a :class:`twisted.web.client.Agent` connects by: ``tcp`` for http, ``tls`` for https.

    :param input_bytes: how much may come in between two writes of ours, which for a client of
        HTTP/1.1 bounds an answer with its head; a connection that exceeds it is aborted. (Twisted's
        client bounds a line of a head, and not the lines.) None for no bound.
    """

    def __init__(self, dialers: Dialers, input_bytes: int | None = None) -> None:
        self._dialers = dialers
        self._input_bytes = input_bytes

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802
        """
        Find the way to a URI's host.

        :raises aluvia.wire.target.InvalidHost: if that is none.
        """
        dialer = self._dialers["tls" if uri.scheme == b"https" else "tcp"]
        host = canonical_host(uri.host.decode("ascii").strip("[]"))
        endpoint = DialerEndpoint(dialer, host, uri.port)
        return endpoint if self._input_bytes is None else _Bounded(endpoint, self._input_bytes)


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _Bounded:
    """An endpoint whose connections take no more than so much between two writes."""

    endpoint: DialerEndpoint
    input_bytes: int

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        wrapping = WrappingFactory(protocolFactory)
        wrapping.protocol = functools.partial(_BoundedInput, self.input_bytes)
        connecting: Deferred[typing.Any] = self.endpoint.connect(wrapping)
        return connecting.addCallback(_wrapped)


def _wrapped(wrapper: ProtocolWrapper) -> IProtocol:
    # The agent wants its own protocol, not ours around it.
    return wrapper.wrappedProtocol


class _BoundedInput(ProtocolWrapper):
    """Counts what comes in since the last write."""

    def __init__(self, input_bytes: int, *wrapped: typing.Any) -> None:
        super().__init__(*wrapped)
        self._input_bytes = self._left = input_bytes

    def write(self, data: bytes) -> None:
        """Another question: its answer may be as long again."""
        self._left = self._input_bytes
        super().write(data)

    def writeSequence(self, data: typing.Iterable[bytes]) -> None:
        """The same."""
        self._left = self._input_bytes
        super().writeSequence(data)

    def dataReceived(self, data: bytes) -> None:
        """Hand on what is within the bound."""
        self._left -= len(data)
        if self._left < 0:
            typing.cast(ITCPTransport, self.transport).abortConnection()
        else:
            super().dataReceived(data)
