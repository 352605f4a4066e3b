"""Tests of :mod:`aluvia.net.resolve`: real threads, names in memory, and no waiting."""

from __future__ import annotations

import errno
import socket

from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.addresses import Addresses
from aluvia.net.resolve import Resolver
from aluvia.net.test.dialling import FakeDeadlines, ThreadedClock, addresses
from aluvia.net.test.resolving import ResolverCase
from aluvia.wire.limits import DEFAULT_LIMITS


class AtOnce(ResolverCase):
    """What is answered before ``lookup`` returns."""

    def test_literals(self) -> None:
        """A literal is its own address."""
        self.assertEqual(self.ask("192.0.2.1").outcome(), ["192.0.2.1"])
        self.assertEqual(self.ask("2001:db8::1").outcome(), ["2001:db8::1"])

    def test_localhost(self) -> None:
        """``localhost`` and every name below it are loopback, without asking (RFC 6761)."""
        for host in ("localhost", "direct.localhost", "a.b.localhost"):
            self.assertEqual(self.ask(host).outcome(), ["127.0.0.1", "::1"])
        self.assertTrue(self.getaddrinfo.asked.empty())

    def test_not_localhost(self) -> None:
        """A name that only ends in these letters is a name like any other."""
        asker = self.ask("notlocalhost")
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["dns_error"])

    def test_no_thread(self) -> None:
        """A thread is started when a name has to be resolved, and not before."""
        self.ask("192.0.2.1")
        self.ask("localhost")
        self.assertEqual(self.new_threads(), set())
        self.ask("one.example")
        self.assertEqual(len(self.new_threads()), 1)

    def test_cancel(self) -> None:
        """There is nothing to cancel."""
        asker = self.ask("192.0.2.1")
        assert asker.lookup is not None
        asker.lookup.cancel()


class Names(ResolverCase):
    """What is asked for."""

    def test_found(self) -> None:
        """A name's addresses come in the order in which to try them."""
        asker = self.ask("two.example")
        self.assertEqual(asker.outcome(), [])
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["2001:db8::1", "192.0.2.2", "2001:db8::2"])
        self.assertEqual(self.deadlines.watched, set())

    def test_digit_at_its_end(self) -> None:
        """A name that ends in a digit is no literal."""
        self.names["r3"] = ["192.0.2.3"]
        asker = self.ask("r3")
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["192.0.2.3"])

    def test_dns_error(self) -> None:
        """A name that does not exist is ``dns_error`` with its response code."""
        asker = self.ask("nowhere.example")
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["dns_error"])
        self.assertEqual((asker.errors[0].status, asker.errors[0].rcode), (502, "NXDOMAIN"))

    def test_no_addresses(self) -> None:
        """A name without any address is an error, and not an empty answer."""
        self.names["empty.example"] = []
        asker = self.ask("empty.example")
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["dns_error"])

    def test_no_descriptor(self) -> None:
        """Want of descriptors is no fault of the name."""
        self.names["one.example"] = OSError(errno.EMFILE, "Too many open files")
        asker = self.ask("one.example")
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["connection_limit_reached"])

    def test_unexpected_exception(self) -> None:
        """Whatever is raised in a thread, who waits is told, and the thread serves the next."""
        self.resolver = self.make(resolver_threads=1)
        self.names["one.example"] = KeyError("s3cret")
        asker = self.ask("one.example")
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["dns_error"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        asker = self.ask("two.example")
        self.clock.hear()
        self.assertEqual(len(asker.outcome()), 3)

    def test_too_many_addresses(self) -> None:
        """A name with thousands of addresses does not make us connect to thousands."""
        self.names["many.example"] = [f"192.0.2.{n}" for n in range(256)] + ["2001:db8::1"]
        asker = self.ask("many.example")
        self.clock.hear()
        outcome = asker.outcome()
        self.assertEqual(len(outcome), DEFAULT_LIMITS.addresses_per_name)
        self.assertEqual(outcome[:3], ["192.0.2.0", "2001:db8::1", "192.0.2.1"])

    def test_bytes(self) -> None:
        """The name reaches the system as it is, and not through Python's old IDNA."""
        name = "a" * 64 + ".example"
        self.names[name] = ["192.0.2.1"]
        asker = self.ask(name)
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["192.0.2.1"])

    def test_error_in_found(self) -> None:
        """One who fails to use an answer does not keep it from the others."""

        def broken(addresses: Addresses) -> None:
            raise KeyError("found")

        self.resolver.lookup("one.example", broken, self.fail)
        asker = self.ask("one.example")
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["192.0.2.1"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)


class Memory(ResolverCase):
    """What is remembered."""

    def test_answer(self) -> None:
        """An answer is kept for ten seconds, and then asked for again."""
        self.ask("one.example")
        self.clock.hear()
        self.clock.advance(9.9)
        self.assertEqual(self.ask("one.example").outcome(), ["192.0.2.1"])
        self.names["one.example"] = ["192.0.2.111"]
        self.clock.advance(0.2)
        asker = self.ask("one.example")
        self.assertEqual(asker.outcome(), [])
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["192.0.2.111"])

    def test_failure(self) -> None:
        """A failure is kept for a second."""
        self.ask("late.example")
        self.clock.hear()
        self.names["late.example"] = ["192.0.2.1"]
        self.clock.advance(0.9)
        self.assertEqual(self.ask("late.example").outcome(), ["dns_error"])
        self.clock.advance(0.2)
        asker = self.ask("late.example")
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["192.0.2.1"])

    def test_bounded(self) -> None:
        """The oldest answer is forgotten where there are too many."""
        self.resolver = self.make(resolver_answers=2)
        for name in ("one.example", "two.example", "three.example"):
            self.ask(name)
            self.clock.hear()
        self.assertEqual(self.ask("three.example").outcome(), ["dns_error"])
        self.assertEqual(len(self.ask("two.example").outcome()), 3)
        self.assertEqual(self.ask("one.example").outcome(), [])


class System(SynchronousTestCase):
    """The system's own ``getaddrinfo``, for what needs no network."""

    def test_numbers(self) -> None:
        """What the system reads as an address is given as the address that it is."""
        clock = ThreadedClock()
        resolver = Resolver(clock, FakeDeadlines(clock))
        self.addCleanup(resolver.stop)
        found: list[Addresses] = []
        resolver.lookup("0x7f.1", found.append, self.fail)
        clock.hear()
        self.assertEqual(found, [addresses("127.0.0.1")])
        self.assertEqual(found[0][0].family, socket.AF_INET)
