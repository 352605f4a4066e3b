"""Tests of :mod:`aluvia.net.dial` in memory; see test_dial_loopback for real sockets."""

from __future__ import annotations

import errno
import socket

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.dial import Dialers, Dialing, TCPDialer
from aluvia.net.errors import DialError
from aluvia.net.guard import Guard
from aluvia.net.test.dialling import (
    FakeConnect,
    FakeDeadlines,
    FakeDialer,
    NamedAddresses,
    Recorder,
    addresses,
)


def os_error(number: int) -> OSError:
    """Return an error as ``connect`` gives it."""
    return OSError(number, "x")


class DialCase(SynchronousTestCase):
    """A dialer over fake names and connects."""

    def setUp(self) -> None:
        """Make the dialer."""
        self.clock = Clock()
        self.deadlines = FakeDeadlines(self.clock)
        self.names = NamedAddresses(
            {
                "one.example": addresses("192.0.2.1"),
                "two.example": addresses("2001:db8::1", "192.0.2.2", "2001:db8::3"),
                "rebound.example": addresses("169.254.169.254", "192.0.2.3"),
                "metadata.example": addresses("169.254.169.254", "fe80::1%2"),
                "loop.example": addresses("127.0.0.1", "169.254.169.254"),
                "nowhere.example": DialError("dns_error", 502, "x", rcode="NXDOMAIN"),
            }
        )
        self.connect = FakeConnect()
        self.dialer = TCPDialer(
            self.clock,
            self.names,
            Guard(lambda: [("127.0.0.1", 18787)]),
            self.deadlines,
            connect=self.connect,
        )
        self.protocol = Recorder()

    def dial(self, host: str, port: int = 443) -> Dialing:
        """Dial for the recorder."""
        return self.dialer.dial(host, port, self.protocol, self.protocol.failed)

    def assert_nothing_left(self) -> None:
        """Assert that no timer, deadline, attempt or look-up is left."""
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.deadlines.watched, set())
        self.assertEqual(self.connect.open(), [])
        self.assertEqual([each for each in self.names.pending if not each.cancelled], [])


class OneAddress(DialCase):
    """A literal, or a name with one address: no timer, and all at once."""

    def test_literal(self) -> None:
        """A literal is connected to before ``dial`` returns, and the protocol when it is."""
        self.dial("192.0.2.1", 8443)
        (attempt,) = self.connect.attempts
        self.assertEqual((attempt.family, attempt.sockaddr), (socket.AF_INET, ("192.0.2.1", 8443)))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        wire = attempt.connect()
        self.assertIs(self.protocol.transport, wire)
        self.assertEqual(self.protocol.outcome(), (1, []))
        self.assert_nothing_left()

    def test_ipv6_literal(self) -> None:
        """IPv6 is dialled as such."""
        self.dial("2001:db8::1", 80)
        (attempt,) = self.connect.attempts
        self.assertEqual((attempt.family, attempt.sockaddr), (socket.AF_INET6, ("2001:db8::1", 80)))

    def test_connected_at_once(self) -> None:
        """A connect that is through at once connects the protocol before ``dial`` returns."""
        self.connect.at_once["192.0.2.1"] = None
        dialing = self.dial("one.example")
        self.assertEqual(self.protocol.outcome(), (1, []))
        self.assert_nothing_left()
        dialing.cancel()
        self.assertFalse(self.protocol.transport.closing)

    def test_failed_at_once(self) -> None:
        """A connect that fails at once fails before ``dial`` returns."""
        self.connect.at_once["192.0.2.1"] = os_error(errno.ENETUNREACH)
        dialing = self.dial("one.example")
        self.assertEqual(self.protocol.outcome(), (0, ["destination_ip_unroutable"]))
        self.assert_nothing_left()
        dialing.cancel()

    def test_failures(self) -> None:
        """What the system says is what is reported."""
        for number, name, status in (
            (errno.ECONNREFUSED, "connection_refused", 502),
            (errno.ETIMEDOUT, "connection_timeout", 504),
            (errno.EHOSTUNREACH, "destination_ip_unroutable", 502),
            (errno.ECONNRESET, "connection_terminated", 502),
            (errno.EMFILE, "connection_limit_reached", 503),
        ):
            protocol = self.protocol = Recorder()
            self.dial("192.0.2.1")
            self.connect.attempts[-1].fail(os_error(number))
            self.assertEqual(protocol.outcome(), (0, [name]))
            self.assertEqual(protocol.errors[0].status, status)
            self.assert_nothing_left()

    def test_ipv6_turned_off(self) -> None:
        """EADDRNOTAVAIL of an IPv6 address is no route."""
        self.connect.at_once["2001:db8::1"] = os_error(errno.EADDRNOTAVAIL)
        self.dial("2001:db8::1")
        self.assertEqual(self.protocol.outcome(), (0, ["destination_ip_unroutable"]))


class Names(DialCase):
    """A name that has to be looked up."""

    def test_found(self) -> None:
        """The protocol is connected to what was found."""
        self.dial("slow.example")
        self.assertEqual(self.connect.attempts, [])
        self.names.pending.pop().found(addresses("192.0.2.7"))
        self.connect.attempts[0].connect()
        self.assertEqual(self.protocol.outcome(), (1, []))
        self.assert_nothing_left()

    def test_dns_error(self) -> None:
        """What the resolver says is passed on, at once or later."""
        self.dial("nowhere.example")
        self.assertEqual(self.protocol.outcome(), (0, ["dns_error"]))
        self.assertEqual(self.protocol.errors[0].rcode, "NXDOMAIN")
        self.dial("slow.example")
        pending = self.names.pending.pop()
        pending.failed(DialError("dns_timeout", 504, "x"))
        self.assertEqual(self.protocol.outcome(), (0, ["dns_error", "dns_timeout"]))
        self.assertEqual(self.deadlines.watched, set())

    def test_dns_timeout(self) -> None:
        """If the deadline passes before the name is resolved, that is what is reported."""
        self.dial("slow.example")
        self.clock.advance(10)
        self.deadlines.look()
        self.assertEqual(self.protocol.outcome(), (0, ["dns_timeout"]))
        self.assertEqual(self.protocol.errors[0].status, 504)
        self.assert_nothing_left()

    def test_deadline_is_absolute(self) -> None:
        """What resolving took is not given again to connecting."""
        self.dial("slow.example")
        self.clock.advance(9)
        self.names.pending.pop().found(addresses("192.0.2.7"))
        self.clock.advance(1)
        self.deadlines.look()
        self.assertEqual(self.protocol.outcome(), (0, ["connection_timeout"]))
        self.assert_nothing_left()


class HappyEyeballs(DialCase):
    """Several addresses (RFC 8305)."""

    def test_stagger(self) -> None:
        """The next attempt begins a quarter of a second after the last."""
        self.dial("two.example")
        self.assertEqual(self.connect.tried(), ["2001:db8::1"])
        self.clock.advance(0.24)
        self.assertEqual(self.connect.tried(), ["2001:db8::1"])
        self.clock.advance(0.01)
        self.assertEqual(self.connect.tried(), ["2001:db8::1", "192.0.2.2"])
        self.clock.advance(0.25)
        self.assertEqual(self.connect.tried(), ["2001:db8::1", "192.0.2.2", "2001:db8::3"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_first_wins(self) -> None:
        """The first to connect wins, and the others are closed."""
        self.dial("two.example")
        self.clock.advance(0.25)
        self.clock.advance(0.25)
        wire = self.connect.attempts[1].connect()
        self.assertIs(self.protocol.transport, wire)
        self.assertTrue(self.connect.attempts[0].cancelled)
        self.assertTrue(self.connect.attempts[2].cancelled)
        self.assertEqual(self.protocol.outcome(), (1, []))
        self.assert_nothing_left()

    def test_failure_goes_on_at_once(self) -> None:
        """A failed attempt does not wait for the next one's time, which starts anew."""
        self.dial("two.example")
        self.clock.advance(0.2)
        self.connect.attempts[0].fail(os_error(errno.ECONNREFUSED))
        self.assertEqual(self.connect.tried(), ["2001:db8::1", "192.0.2.2"])
        self.clock.advance(0.2)
        self.assertEqual(len(self.connect.attempts), 2)
        self.clock.advance(0.05)
        self.assertEqual(len(self.connect.attempts), 3)

    def test_no_ipv6(self) -> None:
        """Without an IPv6 route IPv4 is tried within the same turn."""
        for address in ("2001:db8::1", "2001:db8::3"):
            self.connect.at_once[address] = os_error(errno.ENETUNREACH)
        self.dial("two.example")
        self.assertEqual(self.connect.open(), ["192.0.2.2"])
        self.connect.attempts[1].connect()
        self.assertEqual(self.protocol.outcome(), (1, []))
        self.assert_nothing_left()

    def test_all_fail(self) -> None:
        """If all fail, what a peer said is reported before what we knew without it."""
        self.connect.at_once = {
            "2001:db8::1": os_error(errno.ENETUNREACH),
            "192.0.2.2": os_error(errno.ECONNREFUSED),
            "2001:db8::3": os_error(errno.EHOSTUNREACH),
        }
        self.dial("two.example")
        self.assertEqual(self.connect.tried(), ["2001:db8::1", "192.0.2.2", "2001:db8::3"])
        self.assertEqual(self.protocol.outcome(), (0, ["connection_refused"]))
        self.assert_nothing_left()

    def test_last_fails_while_first_hangs(self) -> None:
        """The failure of the last address is not the end while another may still connect."""
        self.dial("two.example")
        self.clock.advance(0.25)
        self.clock.advance(0.25)
        self.connect.attempts[2].fail(os_error(errno.ECONNREFUSED))
        self.connect.attempts[1].fail(os_error(errno.ECONNREFUSED))
        self.assertEqual(self.protocol.outcome(), (0, []))
        self.connect.attempts[0].connect()
        self.assertEqual(self.protocol.outcome(), (1, []))
        self.assert_nothing_left()

    def test_connection_timeout(self) -> None:
        """One deadline holds for all attempts together."""
        self.dial("two.example")
        for _ in range(39):
            self.clock.advance(0.25)
        self.deadlines.look()
        self.assertEqual(self.protocol.outcome(), (0, []))
        self.clock.advance(0.25)
        self.deadlines.look()
        self.assertEqual(self.protocol.outcome(), (0, ["connection_timeout"]))
        self.assertEqual(self.protocol.errors[0].status, 504)
        self.assert_nothing_left()

    def test_deadline_told_late(self) -> None:
        """A deadline that is noticed after the end changes nothing."""
        self.dial("one.example")
        (item,) = self.deadlines.watched
        self.connect.attempts[0].connect()
        item.deadline_passed(99.0)
        self.assertEqual(self.protocol.outcome(), (1, []))


class Guarded(DialCase):
    """The guard is asked about each address, and only what it passes is dialled."""

    def test_rebinding(self) -> None:
        """Of a name's addresses those that are refused are passed over."""
        self.dial("rebound.example")
        self.assertEqual(self.connect.tried(), ["192.0.2.3"])

    def test_all_refused(self) -> None:
        """If all are refused, the guard's answer is the answer, and nothing was connected to."""
        self.dial("metadata.example")
        self.assertEqual(self.protocol.outcome(), (0, ["destination_ip_prohibited"]))
        self.assertEqual(self.protocol.errors[0].status, 403)
        self.assertEqual(self.connect.attempts, [])
        self.assert_nothing_left()

    def test_loop(self) -> None:
        """A name that leads to our own listener is a loop."""
        self.dial("loop.example", 18787)
        self.assertEqual(self.protocol.outcome(), (0, ["proxy_loop_detected"]))
        self.assertEqual(self.protocol.errors[0].status, 502)
        self.assertEqual(self.connect.attempts, [])

    def test_refused_and_failed(self) -> None:
        """If one was refused and the other failed, what we refused is reported."""
        self.connect.at_once["192.0.2.3"] = os_error(errno.ECONNREFUSED)
        self.dial("rebound.example")
        self.assertEqual(self.protocol.outcome(), (0, ["destination_ip_prohibited"]))

    def test_what_was_checked_is_dialled(self) -> None:
        """No name is looked up a second time between the check and the connect."""
        checked: list[tuple[str, int]] = []

        class Notes:
            def check(self, address: str, port: int) -> None:
                checked.append((address, port))

        self.dialer.guard = Notes()
        self.dial("slow.example", 80)
        pending = self.names.pending.pop()
        self.names.names["slow.example"] = addresses("169.254.169.254")
        pending.found(addresses("192.0.2.8", "192.0.2.9"))
        self.clock.advance(0.25)
        self.assertEqual(checked, [attempt.sockaddr for attempt in self.connect.attempts])
        self.assertEqual(checked, [("192.0.2.8", 80), ("192.0.2.9", 80)])

    def test_refused_while_another_hangs(self) -> None:
        """A refusal of the last address does not end an attempt that may still connect."""
        self.names.names["mixed.example"] = addresses("192.0.2.3", "169.254.169.254")
        self.dial("mixed.example")
        self.clock.advance(0.25)
        self.assertEqual(self.protocol.outcome(), (0, []))
        self.connect.attempts[0].connect()
        self.assertEqual(self.protocol.outcome(), (1, []))
        self.assert_nothing_left()


class Cancelled(DialCase):
    """``cancel`` leaves nothing, in every state."""

    def assert_silent(self, dialing: Dialing) -> None:
        """Cancel, twice, and assert that nothing is left and nobody was told."""
        dialing.cancel()
        dialing.cancel()
        self.assert_nothing_left()
        self.clock.advance(60)
        self.deadlines.look()
        self.assertEqual(self.protocol.outcome(), (0, []))

    def test_while_resolving(self) -> None:
        """The look-up is cancelled."""
        self.assert_silent(self.dial("slow.example"))
        self.assertTrue(self.names.pending[0].cancelled)

    def test_while_connecting(self) -> None:
        """The attempt is cancelled."""
        self.assert_silent(self.dial("one.example"))
        self.assertTrue(self.connect.attempts[0].cancelled)

    def test_after_look_up(self) -> None:
        """The attempt is cancelled, and the look-up is not, which is over."""
        dialing = self.dial("slow.example")
        pending = self.names.pending.pop()
        pending.found(addresses("192.0.2.7"))
        self.assert_silent(dialing)
        self.assertFalse(pending.cancelled)

    def test_between_attempts(self) -> None:
        """The timer for the next attempt is cancelled too."""
        self.assert_silent(self.dial("two.example"))

    def test_while_several_connect(self) -> None:
        """All attempts are cancelled."""
        dialing = self.dial("two.example")
        self.clock.advance(0.25)
        self.clock.advance(0.25)
        self.assert_silent(dialing)
        self.assertEqual([attempt.cancelled for attempt in self.connect.attempts], [True] * 3)

    def test_when_over(self) -> None:
        """The connection is the protocol's, and is left alone."""
        dialing = self.dial("one.example")
        wire = self.connect.attempts[0].connect()
        dialing.cancel()
        self.assertFalse(wire.closing)
        self.assertFalse(self.connect.attempts[0].cancelled)

    def test_within_the_protocol(self) -> None:
        """A protocol may cancel its dial while it is connected: it does nothing."""
        self.names.names["late.example"] = addresses("192.0.2.1", "192.0.2.2")
        dialing = self.dial("late.example")
        self.protocol.when_connected = dialing.cancel
        self.connect.attempts[0].connect()
        self.assertEqual(self.protocol.outcome(), (1, []))
        self.assert_nothing_left()


class Table(SynchronousTestCase):
    """The table of dialers."""

    def test_names(self) -> None:
        """A dialer is found by its name; a name is given once."""
        dialers = Dialers()
        tcp = FakeDialer()
        dialers.add("tcp", tcp)
        self.assertIs(dialers["tcp"], tcp)
        self.assertRaises(KeyError, dialers.__getitem__, "exit")
        self.assertRaises(ValueError, dialers.add, "tcp", FakeDialer())
