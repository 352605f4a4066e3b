"""Tests of :mod:`aluvia.net.guard`. Nothing here is connected to."""

from __future__ import annotations

import errno
import socket

from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.errors import DialError
from aluvia.net.guard import Guard, is_own_address

#: 169.254.169.254 and 127.0.0.1 as IPv6 addresses carry them.
METADATA_TRICKS = (
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::169.254.169.254",
    "2002:a9fe:a9fe::",
    "2002:a9fe:a9fe::1",
)
LOOPBACK_TRICKS = (
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
)


class GuardCase(SynchronousTestCase):
    """Assertions about a guard."""

    def assert_refused(self, guard: Guard, address: str, port: int, name: str, status: int) -> None:
        """Assert that an address is refused under this name."""
        error = self.refusal(guard, address, port)
        self.assertEqual((error.error, error.status), (name, status), address)

    def refusal(self, guard: Guard, address: str, port: int) -> DialError:
        """Return the refusal."""
        error = self.assertRaises(DialError, guard.check, address, port)
        assert isinstance(error, DialError)
        return error


class LinkLocal(GuardCase):
    """Where clouds keep their credentials."""

    def test_refused(self) -> None:
        """The whole of both networks is refused, to its ends."""
        guard = Guard(lambda: ())
        for address in (
            "169.254.0.0",
            "169.254.169.254",
            "169.254.255.255",
            "fe80::",
            "fe80::1",
            "fe80::1%2",
            "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ):
            self.assert_refused(guard, address, 80, "destination_ip_prohibited", 403)

    def test_carried(self) -> None:
        """So is every IPv6 address that carries one of them."""
        guard = Guard(lambda: ())
        for address in METADATA_TRICKS:
            self.assert_refused(guard, address, 80, "destination_ip_prohibited", 403)

    def test_neighbours(self) -> None:
        """What lies beside them is open, and so are loopback and private space."""
        guard = Guard(lambda: ())
        for address in (
            "169.253.255.255",
            "169.255.0.0",
            "fec0::1",
            "fe7f::1",
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "192.168.0.1",
            "fd00::1",
            "203.0.113.1",
            "2001:db8::1",
            "64:ff9b::203.0.113.1",
            "2002:cb00:7101::",
            *LOOPBACK_TRICKS,
        ):
            guard.check(address, 80)

    def test_allowed(self) -> None:
        """``allow_link_local`` opens them."""
        guard = Guard(lambda: (), allow_link_local=True)
        for address in ("169.254.169.254", "fe80::1%2", *METADATA_TRICKS):
            guard.check(address, 80)


class Groups(GuardCase):
    """Where no TCP connection leads."""

    def test_multicast_and_broadcast(self) -> None:
        """They are unroutable, carried too."""
        guard = Guard(lambda: ())
        for address in (
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "ff02::1",
            "::ffff:224.0.0.1",
            "64:ff9b::255.255.255.255",
        ):
            self.assert_refused(guard, address, 80, "destination_ip_unroutable", 502)


class Loops(GuardCase):
    """Our own listeners."""

    def test_exact_listener(self) -> None:
        """The address and the port of a listener are a loop, in every spelling."""
        guard = Guard(lambda: [("127.0.0.1", 18787)])
        for address in ("127.0.0.1", "0.0.0.0", "::ffff:0.0.0.0", *LOOPBACK_TRICKS):
            self.assert_refused(guard, address, 18787, "proxy_loop_detected", 502)

    def test_exact_ipv6_listener(self) -> None:
        """The unspecified address leads to the loopback one."""
        guard = Guard(lambda: [("::1", 18787)])
        for address in ("::1", "::"):
            self.assert_refused(guard, address, 18787, "proxy_loop_detected", 502)
        guard.check("127.0.0.1", 18787)

    def test_other_ports_and_addresses(self) -> None:
        """Other servers of this machine are open, as they are without a proxy."""
        guard = Guard(lambda: [("127.0.0.1", 18787)])
        guard.check("127.0.0.1", 18788)
        guard.check("127.0.0.2", 18787)
        guard.check("192.0.2.1", 18787)
        guard.check("0.0.0.0", 80)

    def test_listener_on_every_address(self) -> None:
        """A listener on every address is met at any address of this machine."""
        ours = {"192.0.2.7", "2001:db8::7"}
        for everywhere in ("0.0.0.0", "::"):
            guard = Guard(
                lambda everywhere=everywhere: [(everywhere, 18787)],  # type: ignore[misc]
                own_address=ours.__contains__,
            )
            for address in (
                "127.0.0.1",
                "127.200.3.4",
                "::1",
                "0.0.0.0",
                "::",
                "192.0.2.7",
                "2001:db8::7",
                "::ffff:192.0.2.7",
                "64:ff9b::192.0.2.7",
                *LOOPBACK_TRICKS,
            ):
                self.assert_refused(guard, address, 18787, "proxy_loop_detected", 502)
            guard.check("192.0.2.8", 18787)

    def test_own_addresses_are_asked_for_our_ports_alone(self) -> None:
        """Whether an address is ours is not asked about a port that we do not have."""
        asked: list[str] = []

        def own_address(address: str) -> bool:
            asked.append(address)
            return False

        guard = Guard(lambda: [("0.0.0.0", 18787)], own_address=own_address)
        guard.check("192.0.2.7", 80)
        self.assertEqual(asked, [])
        guard.check("192.0.2.7", 18787)
        self.assertEqual(asked, ["192.0.2.7"])

    def test_listeners_are_asked_each_time(self) -> None:
        """A port that is bound later is known."""
        listeners: list[tuple[str, int]] = []
        guard = Guard(lambda: listeners)
        guard.check("127.0.0.1", 18787)
        listeners.append(("127.0.0.1", 18787))
        self.assert_refused(guard, "127.0.0.1", 18787, "proxy_loop_detected", 502)

    def test_no_descriptor_to_find_out(self) -> None:
        """If it cannot be found out whether an address is ours, it is not dialled."""

        def own_address(address: str) -> bool:
            raise OSError(errno.EMFILE, "Too many open files")

        guard = Guard(lambda: [("0.0.0.0", 18787)], own_address=own_address)
        self.assert_refused(guard, "192.0.2.7", 18787, "connection_limit_reached", 503)


class Private(GuardCase):
    """A door that reaches public addresses alone."""

    def guard(self, *ours: str) -> Guard:
        """A guard on a machine with these addresses."""
        return Guard(lambda: (), allow_private=False, own_address=ours.__contains__)

    def test_refused(self) -> None:
        """Every network that is not public is refused, to its ends."""
        guard = self.guard()
        for address in (
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fe80::1%2",
            "fec0::1",
            "ff02::1",
        ):
            self.assert_refused(guard, address, 80, "destination_ip_prohibited", 403)

    def test_carried(self) -> None:
        """So is every IPv6 address that carries one of them."""
        guard = self.guard()
        for address in (
            *METADATA_TRICKS,
            *LOOPBACK_TRICKS,
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::192.168.0.1",
            "2002:c0a8:1::1",
            "2002:a00:1::",
        ):
            self.assert_refused(guard, address, 80, "destination_ip_prohibited", 403)

    def test_a_network_s_own_nat64(self) -> None:
        """Which bits are the IPv4 address is that network's secret: all of it is refused."""
        guard = self.guard()
        for address in (
            "64:ff9b:1::",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:1:a00:0:100:808:808",
            "64:ff9b:1:ffff:a:0:100:808",
            "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        ):
            self.assert_refused(guard, address, 80, "destination_ip_prohibited", 403)
        self.assert_refused(guard, "64:ff9b:2::8.8.8.8", 80, "destination_ip_prohibited", 403)

    def test_neighbours(self) -> None:
        """What lies beside them is open."""
        guard = self.guard()
        for address in (
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::1",
            "2606:4700::1111",
            "3ffe::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ):
            guard.check(address, 80)

    def test_own_addresses(self) -> None:
        """This machine's own addresses are refused, public as they may be."""
        guard = self.guard("8.8.8.8", "2606:4700::7")
        for address in ("8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::7"):
            self.assert_refused(guard, address, 80, "destination_ip_prohibited", 403)
        guard.check("8.8.4.4", 80)

    def test_own_listeners(self) -> None:
        """A door that opens private space still does not open its own listeners."""
        guard = Guard(lambda: [("127.0.0.1", 8080)], allow_private=True)
        self.assert_refused(guard, "127.0.0.1", 8080, "proxy_loop_detected", 502)

    def test_no_descriptor_to_find_out(self) -> None:
        """If it cannot be found out whether an address is ours, it is not dialled."""

        def own_address(address: str) -> bool:
            raise OSError(errno.EMFILE, "Too many open files")

        guard = Guard(lambda: (), allow_private=False, own_address=own_address)
        self.assert_refused(guard, "8.8.8.8", 80, "connection_limit_reached", 503)


class Ports(GuardCase):
    """Ports that a door closes."""

    def test_closed(self) -> None:
        """They are refused at every address, and others are open."""
        guard = Guard(lambda: (), closed_ports=[25])
        for address in ("8.8.8.8", "127.0.0.1", "2606:4700::1111"):
            self.assert_refused(guard, address, 25, "destination_ip_prohibited", 403)
            guard.check(address, 26)
        Guard(lambda: ()).check("8.8.8.8", 25)


class OwnAddresses(SynchronousTestCase):
    """Whether an address is this machine's."""

    def test_loopback(self) -> None:
        """Loopback is."""
        self.assertTrue(is_own_address("127.0.0.1"))
        self.assertTrue(is_own_address("127.1.2.3"))

    def test_strangers(self) -> None:
        """Documentation addresses are not, and one that cannot be bound for its zone is not."""
        for address in ("192.0.2.1", "2001:db8::1", "fe80::1"):
            self.assertFalse(is_own_address(address))

    def test_no_descriptor(self) -> None:
        """What could not be found out is not a no."""
        self.patch(socket, "socket", _no_socket)
        self.assertRaises(OSError, is_own_address, "192.0.2.1")


def _no_socket(*args: object) -> None:
    raise OSError(errno.EMFILE, "Too many open files")
