"""Tests of :mod:`aluvia.net.addresses`."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.addresses import (
    Address,
    canonical_address,
    client_place,
    from_sockaddr,
    interleaved,
    is_loopback,
    literal,
)
from aluvia.net.test.dialling import addresses


class Clients(SynchronousTestCase):
    """As what a client is known."""

    def test_canonical(self) -> None:
        """One spelling, without what is not the client's; what is no address stays."""
        for address, expected in {
            "192.0.2.1": "192.0.2.1",
            "::ffff:192.0.2.1": "192.0.2.1",
            "2001:DB8:0::1": "2001:db8::1",
            "fe80::1%eth0": "fe80::1",
            "/run/socket": "/run/socket",
        }.items():
            self.assertEqual(canonical_address(address), expected)
        self.assertRaises(ValueError, canonical_address, "1::2::3")

    def test_places(self) -> None:
        """A machine has one IPv4 address, or the /64 that its IPv6 address is in."""
        for one, other, same in (
            ("192.0.2.1", "192.0.2.2", False),
            ("192.0.2.1", "::ffff:192.0.2.1", True),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
            ("2001:db8::1", "2001:db8::ffff:0:0:1", True),
            ("2001:db8::1", "2001:db8:0:1::1", False),
            ("fe80::1%1", "fe80::2%2", True),
            ("/run/one", "/run/other", False),
            ("1::2::3", "1::2::4", False),
        ):
            self.assertEqual(client_place(one) == client_place(other), same, (one, other))


class Loopback(SynchronousTestCase):
    """What is this machine by its spelling alone."""

    def test_hosts(self) -> None:
        """The reserved names, and all of both families' space."""
        for host in (
            "localhost",
            "a.localhost",
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
        ):
            self.assertTrue(is_loopback(host), host)
        for host in ("localhost.example", "notlocalhost", "128.0.0.1", "::2", "::", "0.0.0.0", ""):
            self.assertFalse(is_loopback(host), host)


class Literals(SynchronousTestCase):
    """What is an address already."""

    def test_addresses(self) -> None:
        """Canonical IPv4 and IPv6 are read."""
        self.assertEqual(literal("192.0.2.1"), (Address(socket.AF_INET, "192.0.2.1"),))
        self.assertEqual(literal("2001:db8::1"), (Address(socket.AF_INET6, "2001:db8::1"),))

    def test_names(self) -> None:
        """A name, and what only looks like an address, are none."""
        for name in ("example.com", "a1", "1.2.3", "256.1.1.1", "[::1]", "::1%lo", "1::2::3", ""):
            self.assertIsNone(literal(name))

    def test_nul(self) -> None:
        """Neither is what no name can have."""
        self.assertIsNone(literal("127.0.0.1\0"))


class Order(SynchronousTestCase):
    """RFC 8305 §4."""

    def test_families_take_turns(self) -> None:
        """The first address stays first, and then the families take turns."""
        given = addresses("2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1")
        expected = addresses("2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3")
        self.assertEqual(tuple(interleaved(given)), expected)

    def test_repeated(self) -> None:
        """An address is tried once."""
        given = addresses("192.0.2.1", "192.0.2.2", "192.0.2.1")
        self.assertEqual(tuple(interleaved(given)), addresses("192.0.2.1", "192.0.2.2"))

    def test_nothing(self) -> None:
        """No addresses, no order."""
        self.assertEqual(interleaved(()), [])


class SocketAddresses(SynchronousTestCase):
    """What ``getaddrinfo`` gives."""

    def test_zone(self) -> None:
        """The zone of a link-local address is kept: without it, it leads nowhere."""
        self.assertEqual(
            from_sockaddr(socket.AF_INET6, ("fe80::1", 0, 0, 2)),
            Address(socket.AF_INET6, "fe80::1%2"),
        )
        self.assertEqual(
            from_sockaddr(socket.AF_INET6, ("fe80::1%2", 0, 0, 2)),
            Address(socket.AF_INET6, "fe80::1%2"),
        )

    def test_no_zone(self) -> None:
        """Others have none."""
        self.assertEqual(
            from_sockaddr(socket.AF_INET6, ("2001:db8::1", 0, 0, 0)),
            Address(socket.AF_INET6, "2001:db8::1"),
        )
        self.assertEqual(
            from_sockaddr(socket.AF_INET, ("192.0.2.1", 0)), Address(socket.AF_INET, "192.0.2.1")
        )
