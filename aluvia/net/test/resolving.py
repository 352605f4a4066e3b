"""A resolver over names in memory, for the tests of it."""

from __future__ import annotations

import threading
import typing

import attrs
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.addresses import Addresses
from aluvia.net.errors import DialError
from aluvia.net.resolve import Lookup, Resolver
from aluvia.net.test.dialling import FakeDeadlines, FakeGetAddrInfo, ThreadedClock
from aluvia.wire.limits import DEFAULT_LIMITS


class Asker:
    """What one look-up was told."""

    def __init__(self) -> None:
        self.found: list[Addresses] = []
        self.errors: list[DialError] = []
        self.lookup: Lookup | None = None

    def outcome(self) -> list[str]:
        """Return the addresses that it was told, or the name of its error."""
        assert len(self.found) + len(self.errors) <= 1, "told twice"
        if self.errors:
            return [self.errors[0].error]
        return [address.host for address in self.found[0]] if self.found else []


class ResolverCase(SynchronousTestCase):
    """A resolver over names in a dictionary."""

    def setUp(self) -> None:
        """Make the resolver, and see that nothing of it stays."""
        # Other tests' threads may still be about to end.
        self._threads_before = set(threading.enumerate())
        self.clock = ThreadedClock()
        self.deadlines = FakeDeadlines(self.clock)
        self.names: dict[str, typing.Any] = {
            "one.example": ["192.0.2.1"],
            "two.example": ["2001:db8::1", "2001:db8::2", "192.0.2.2"],
        }
        self.getaddrinfo = FakeGetAddrInfo(self.names)
        self.release = threading.Event()
        self.addCleanup(self.release.set)
        self.resolver = self.make()

    def make(self, **limits: int) -> Resolver:
        """Make a resolver with some limits changed."""
        resolver = Resolver(
            self.clock,
            self.deadlines,
            getaddrinfo=self.getaddrinfo,
            limits=attrs.evolve(DEFAULT_LIMITS, **limits),
        )
        self.addCleanup(resolver.stop)
        return resolver

    def ask(self, host: str) -> Asker:
        """Look a host up."""
        asker = Asker()
        asker.lookup = self.resolver.lookup(host, asker.found.append, asker.errors.append)
        return asker

    def new_threads(self) -> set[threading.Thread]:
        """Return the threads that this test has started and that are alive."""
        return set(threading.enumerate()) - self._threads_before

    def hang(self) -> list[str]:
        """Answer when the test ends; to be used as a name's answer."""
        self.release.wait(timeout=30)
        return ["192.0.2.99"]

    def asked(self) -> str:
        """Wait for a question to reach a thread, and return its name."""
        return self.getaddrinfo.asked.get(timeout=10)
