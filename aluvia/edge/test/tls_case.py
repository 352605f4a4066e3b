"""A port inside TLS, in memory, and clients of it."""

from __future__ import annotations

import contextlib
import functools
import typing

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from aluvia.edge.certificates import Certificates
from aluvia.edge.model import Certificate, KeyPair, Snapshot
from aluvia.edge.test.issuing import NOW, issue
from aluvia.edge.tls_listening import SNIWire, TLSListening
from aluvia.net.accept import Sweep
from aluvia.net.test.dialling import FakeWire, Recorder
from aluvia.net.test.handshaking import Peer
from aluvia.wire.limits import Limits

pair = functools.cache(issue)


@implementer(IProtocolFactory)
class Inside:
    """Makes recorders, and keeps them; or what a test wants."""

    def __init__(self) -> None:
        self.made: list[Recorder] = []
        self.running = 0
        self.make: typing.Callable[[], IProtocol | None] = self.recorder

    def recorder(self) -> Recorder:
        """One more."""
        self.made.append(Recorder())
        return self.made[-1]

    def buildProtocol(self, addr: object) -> IProtocol | None:
        """Make what is wanted."""
        return self.make()

    def doStart(self) -> None:
        """Count it."""
        self.running += 1

    def doStop(self) -> None:
        """Count it."""
        self.running -= 1


def client_context() -> SSL.Context:
    """A client's; it takes any certificate, and looks at it."""
    return SSL.Context(SSL.TLS_CLIENT_METHOD)


class Client(Peer):
    """
    A client of the port, over a connection in memory.

    :ivar error: what its TLS ended with, if it did.
    """

    def __init__(
        self, listening: TLSListening, name: bytes | None, context: SSL.Context | None = None
    ) -> None:
        super().__init__(context or client_context(), FakeWire(), server=False)
        self.error: SSL.Error | None = None
        if name is not None:
            self.tls.set_tlsext_host_name(name)
        self.wire.start(listening.buildProtocol(typing.cast(typing.Any, None)))

    @property
    def theirs(self) -> SNIWire:
        """The other end."""
        return typing.cast(SNIWire, self.wire.protocol)

    def hello(self) -> bytes:
        """Its first message; it is not sent."""
        with contextlib.suppress(SSL.WantReadError):
            self.tls.do_handshake()
        return self.tls.bio_read(1_000_000)

    def shown(self) -> set[str]:
        """The names in the certificate that it was shown."""
        found = self.tls.get_peer_certificate(as_cryptography=True)
        assert found is not None
        alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return set(alternative.value.get_values_for_type(x509.DNSName))

    def leave(self) -> None:
        """Send a FIN."""
        self.wire.fin()

    def vanish(self) -> None:
        """Send a reset."""
        self.wire.lose(ConnectionLost())

    def talk(self) -> None:
        """Carry bytes between the two until neither has any left, or TLS fails."""
        try:
            super().talk()
        except SSL.Error as error:
            self.error = error
            with contextlib.suppress(SSL.WantReadError):
                self.wire.deliver(self.tls.bio_read(1_000_000))


class TLSCase(SynchronousTestCase):
    """A port with these certificates."""

    limits = Limits()

    def setUp(self) -> None:
        """Make it, without any."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.sweep = Sweep(self.clock)
        self.inside = Inside()
        self.certificates = Certificates(self.clock)
        self.listening = TLSListening(
            self.inside,
            self.certificates,
            self.sweep,
            typing.cast(typing.Any, self.clock),
            limits=self.limits,
        )
        self.failures = self.listening.counters.tls_failures

    def use(self, **pairs: KeyPair) -> None:
        """Put these in force, in this order; ``_`` stands for the dot in a name."""
        self.certificates.prepare(
            Snapshot(
                certificates={
                    name.replace("_", "."): Certificate(domain=name.replace("_", "."), pair=each)
                    for name, each in pairs.items()
                }
            )
        )()

    def connect(self, name: bytes | None = None, context: SSL.Context | None = None) -> Client:
        """A client that has sent nothing yet."""
        return Client(self.listening, name, context)

    def meet(self, name: bytes | None = None, context: SSL.Context | None = None) -> Client:
        """A client, and a handshake."""
        client = self.connect(name, context)
        client.talk()
        return client

    def assert_over(self, client: Client, **failures: int) -> None:
        """Assert that our side has closed, that nothing is left, and what was counted."""
        self.assertTrue(client.wire.closing)
        client.wire.lose()
        self.assertEqual(self.failures, failures)
        self.assertEqual(len(self.sweep), 0)
