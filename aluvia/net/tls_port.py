"""A port inside TLS with one certificate, and the same connections inside."""

from __future__ import annotations

import typing
from pathlib import Path

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from aluvia.net.tls import TLSWire
from aluvia.net.tls_server import server_context

__all__ = ["Certificate", "tls_connections"]


@implementer(IOpenSSLServerConnectionCreator)
class Certificate:
    """
    A certificate and its key, which may be renewed while we run.

    :param certificate: a PEM file, its chain behind it.
    :param key: a PEM file.
    :raises ValueError: they cannot be read, or do not belong together.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._context = _server_context(certificate, key)

    def read_again(self) -> None:
        """
        Use what the files have now, for new connections.

        :raises ValueError: they are no good now; what was used before stays in use.
        """
        self._context = _server_context(*self._files)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """Make OpenSSL's connection for a client."""
        return SSL.Connection(self._context, None)


def tls_connections(
    certificate: Certificate, connections: IProtocolFactory, clock: IReactorTime
) -> TLSMemoryBIOFactory:
    """The same connections inside TLS."""
    factory: typing.Any = TLSMemoryBIOFactory(certificate, False, connections, clock=clock)
    factory.protocol = TLSWire
    factory.noisy = False
    return typing.cast(TLSMemoryBIOFactory, factory)


def _server_context(certificate: Path, key: Path) -> SSL.Context:
    context = server_context()
    try:
        context.use_certificate_chain_file(str(certificate))
    except SSL.Error:
        raise ValueError(f"{certificate} has no good certificate in PEM") from None
    # An encrypted key would be asked for on the terminal.
    context.set_passwd_cb(lambda *asked: b"")
    try:
        context.use_privatekey_file(str(key))
        context.check_privatekey()
    except SSL.Error:
        raise ValueError(f"{key} has no good key in PEM for {certificate}") from None
    return context
