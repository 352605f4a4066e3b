"""Tests of the dialers over loopback: real sockets, real names, real threads."""

from __future__ import annotations

import os
import resource
import socket

from OpenSSL import SSL
from twisted.internet.error import CannotListenError

from aluvia.net.dial import Dialers
from aluvia.net.parent import ParentProxy, ParentProxyDialer
from aluvia.net.test.dialling import Through
from aluvia.net.test.handshaking import OTHERS, OURS, trusting_ours
from aluvia.net.test.loopback import LoopbackCase, Site, closed_port, full_backlog, reactor
from aluvia.net.tls import TLSDialer, TLSWire


class TCP(LoopbackCase):
    """TCP."""

    async def test_connected(self) -> None:
        """A literal and a name lead to a connection that works, and that leaves nothing."""
        site = Site(echoes=True)
        port = site.listen()
        before = await self.count()
        self.names["site.example"] = ["127.0.0.1"]
        for host in ("127.0.0.1", "localhost", "www.localhost", "site.example"):
            caller = await self.dialled(self.tcp, host, port)
            self.assertEqual(caller.outcome(), (1, []))
            caller.transport.write(b"hello")
            self.assertEqual(await caller.received(5), b"hello")
            await self.hang_up(caller)
            await site.emptied()
        await self.assert_nothing_left(before)
        await site.close()

    async def test_other_family(self) -> None:
        """If the first address refuses, the next one is tried."""
        site = Site()
        try:
            port = site.listen("::1")
        except CannotListenError:
            self.skipTest("This machine has no IPv6.")
        caller = await self.dialled(self.tcp, "localhost", port)
        self.assertEqual(caller.outcome(), (1, []))
        self.assertEqual(caller.transport.getPeer().host, "::1")
        await self.hang_up(caller)
        await site.close()

    async def test_refused(self) -> None:
        """A port where nobody listens is ``connection_refused``."""
        before = await self.count()
        with closed_port() as port:
            for host in ("127.0.0.1", "localhost"):
                caller = await self.dialled(self.tcp, host, port)
                self.assert_outcome(caller, "connection_refused", 502)
        await self.assert_nothing_left(before)

    async def test_unknown_name(self) -> None:
        """A name that does not exist is ``dns_error``."""
        caller = await self.dialled(self.tcp, "nowhere.example", 80)
        self.assert_outcome(caller, "dns_error", 502)

    async def test_loop(self) -> None:
        """A name that leads to our own listener on every address is refused."""
        site = Site()
        port = site.listen("0.0.0.0")
        self.own_listeners.append(("0.0.0.0", port))
        self.names["me.example"] = ["127.0.0.77"]
        for host in ("me.example", "localhost", "0.0.0.0", "::", "127.1.2.3"):
            caller = await self.dialled(self.tcp, host, port)
            self.assert_outcome(caller, "proxy_loop_detected", 502)
        self.assertEqual(site.peers, set())
        await site.close()

    async def test_no_descriptor(self) -> None:
        """Where no descriptor is left, that is ``connection_limit_reached``."""
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        before = await self.count()
        free = os.open(os.devnull, os.O_RDONLY)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            caller = self.dial(self.tcp, "127.0.0.1", 9)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self.assert_outcome(caller, "connection_limit_reached", 503)
        await self.assert_nothing_left(before)


class TCPTimeout(LoopbackCase):
    """An address that does not answer."""

    connect_timeout = 0.2

    async def test_full_backlog(self) -> None:
        """A listener whose queue is full is ``connection_timeout``; nothing is left."""
        with full_backlog() as port:
            before = await self.count()
            caller = await self.dialled(self.tcp, "127.0.0.1", port)
            self.assert_outcome(caller, "connection_timeout", 504)
            await self.assert_nothing_left(before)

    async def test_cancel(self) -> None:
        """A cancelled connect leaves no descriptor and no writer in the reactor."""
        with full_backlog() as port:
            before = await self.count()
            writers = len(reactor.getWriters())
            caller = self.dial(self.tcp, "127.0.0.1", port)
            self.assertEqual(len(reactor.getWriters()), writers + 1)
            assert self.dialing is not None
            self.dialing.cancel()
            self.assertEqual(len(reactor.getWriters()), writers)
            await self.assert_nothing_left(before)
            self.assertEqual(caller.outcome(), (0, []))

    async def test_slow_address_does_not_hold_up(self) -> None:
        """The next address is tried while the first is silent."""
        with full_backlog() as port, socket.socket() as other:
            other.bind(("127.0.0.2", port))
            other.listen()
            self.names["two.example"] = ["127.0.0.1", "127.0.0.2"]
            self.tcp.connect_timeout = 10.0
            before = await self.count()
            caller = await self.dialled(self.tcp, "two.example", port)
            self.assertEqual(caller.outcome(), (1, []))
            self.assertEqual(caller.transport.getPeer().host, "127.0.0.2")
            await self.hang_up(caller)
            await self.assert_nothing_left(before)


class TLSCase(LoopbackCase):
    """A TLS dialer."""

    def setUp(self) -> None:
        """Make it."""
        super().setUp()
        self.tls = TLSDialer(
            reactor, self.tcp, trusting_ours(), self.sweep, connect_timeout=self.connect_timeout
        )
        self.names["gw.example"] = ["127.0.0.1"]


class TLS(TLSCase):
    """TLS."""

    async def test_connected(self) -> None:
        """A name and an address with their certificates lead to a connection that works."""
        for host in ("gw.example", "127.0.0.1"):
            site = Site(echoes=True)
            port = site.listen(context=OURS.issue(host))
            before = await self.count()
            caller = await self.dialled(self.tls, host, port)
            self.assertEqual(caller.outcome(), (1, []))
            self.assertIsInstance(caller.transport, TLSWire)
            sent = b"0123456789" * 30_000
            caller.transport.write(sent)
            self.assertEqual(await caller.received(len(sent)), sent)
            await self.hang_up(caller)
            await site.emptied()
            await self.assert_nothing_left(before)
            await site.close()

    async def test_certificates(self) -> None:
        """A wrong name, an expired, a self-signed, a strange certificate: each is refused."""
        for context in (
            OURS.issue("other.example"),
            OURS.issue(common_name="gw.example"),
            OURS.issue("gw.example", from_days=-30, to_days=-1),
            OURS.issue("gw.example", self_signed=True),
            OTHERS.issue("gw.example"),
        ):
            site = Site(echoes=True)
            port = site.listen(context=context)
            before = await self.count()
            caller = await self.dialled(self.tls, "gw.example", port)
            self.assert_outcome(caller, "tls_certificate_error", 502)
            await site.emptied()
            await self.assert_nothing_left(before)
            self.assertEqual(site.received, [])
            await site.close()

    async def test_no_tls(self) -> None:
        """A peer that does not speak TLS, or only an old one, is ``tls_protocol_error``."""
        old = OURS.issue("gw.example")
        old.set_max_proto_version(SSL.TLS1_1_VERSION)
        for site, context in (
            (Site(greeting=b"220 mail.example ESMTP\r\n"), None),
            (Site(answers=[b"HTTP/1.0 400 Bad Request\r\n\r\n"]), None),
            (Site(), old),
        ):
            port = site.listen(context=context)
            before = await self.count()
            caller = await self.dialled(self.tls, "gw.example", port)
            self.assert_outcome(caller, "tls_protocol_error", 502)
            await site.emptied()
            await self.assert_nothing_left(before)
            await site.close()

    async def test_reset(self) -> None:
        """A reset in the handshake is ``connection_terminated``."""
        site = Site(resets=True)
        port = site.listen()
        caller = await self.dialled(self.tls, "gw.example", port)
        self.assert_outcome(caller, "connection_terminated", 502)
        await site.close()

    async def test_close(self) -> None:
        """Closing is over at once on our side, and seen on the other."""
        site = Site()
        port = site.listen(context=OURS.issue("gw.example"))
        before = await self.count()
        caller = await self.dialled(self.tls, "gw.example", port)
        caller.transport.loseConnection()
        await caller.gone
        await site.emptied()
        await self.assert_nothing_left(before)
        await site.close()


class Silence(TLSCase):
    """Peers that accept and say nothing."""

    connect_timeout = 0.2

    async def test_tls(self) -> None:
        """In the handshake."""
        site = Site()
        port = site.listen()
        before = await self.count()
        caller = await self.dialled(self.tls, "gw.example", port)
        self.assert_outcome(caller, "connection_timeout", 504)
        await site.emptied()
        await self.assert_nothing_left(before)
        await site.close()

    async def test_parent(self) -> None:
        """After a CONNECT."""
        site = Site()
        parent = ParentProxy("gw.example", site.listen())
        dialers = Dialers()
        dialers.add("tcp", self.tcp)
        before = await self.count()
        caller = await self.dialled(
            Through(
                ParentProxyDialer(
                    reactor, dialers, self.sweep, connect_timeout=self.connect_timeout
                ),
                parent,
            ),
            "site.example",
            443,
        )
        self.assert_outcome(caller, "connection_timeout", 504)
        await site.emptied()
        await self.assert_nothing_left(before)
        await site.close()


class Parent(TLSCase):
    """Through a parent proxy, plain and with TLS."""

    def setUp(self) -> None:
        """Make the dialer."""
        super().setUp()
        self.dialers = Dialers()
        self.dialers.add("tcp", self.tcp)
        self.dialers.add("tls", self.tls)

    def through(self, site: Site, *, tls: bool) -> Through:
        """Let the site be the parent."""
        port = site.listen(context=OURS.issue("gw.example") if tls else None)
        parent = ParentProxy("gw.example", port, "user", "s3cret", tls=tls)
        return Through(ParentProxyDialer(reactor, self.dialers, self.sweep), parent)

    async def test_opened(self) -> None:
        """Behind the 2xx the connection is the protocol's, bytes that came with it included."""
        for tls in (False, True):
            site = Site(answers=[b"HTTP/1.1 200 OK\r\n\r\nearly"], echoes=True)
            dialer = self.through(site, tls=tls)
            before = await self.count()
            caller = await self.dialled(dialer, "site.example", 443)
            self.assertEqual(caller.outcome(), (1, []))
            self.assertEqual(await caller.received(5), b"early")
            self.assertTrue(site.received[0].startswith(b"CONNECT site.example:443 HTTP/1.1\r\n"))
            self.assertIsInstance(caller.transport, TLSWire if tls else object)
            caller.transport.write(b" and late")
            self.assertEqual(await caller.received(14), b"early and late")
            await self.hang_up(caller)
            await site.emptied()
            await self.assert_nothing_left(before)
            await site.close()

    async def test_refused(self) -> None:
        """A refusal closes the connection to the parent."""
        for tls in (False, True):
            site = Site(answers=[b"HTTP/1.1 407 No\r\nContent-Length: 9\r\n\r\n"])
            dialer = self.through(site, tls=tls)
            before = await self.count()
            caller = await self.dialled(dialer, "site.example", 443)
            self.assert_outcome(caller, "http_request_denied", 502)
            self.assertEqual(caller.errors[0].received_status, 407)
            await site.emptied()
            await self.assert_nothing_left(before)
            await site.close()

    async def test_reset(self) -> None:
        """A reset instead of an answer is ``connection_terminated``."""
        site = Site(resets=True)
        caller = await self.dialled(self.through(site, tls=False), "site.example", 443)
        self.assert_outcome(caller, "connection_terminated", 502)
        await site.close()

    async def test_not_there(self) -> None:
        """A parent that is not there is ``connection_refused``; nothing else is looked up."""
        with closed_port() as port:
            parent = ParentProxy("gw.example", port)
            dialer = Through(ParentProxyDialer(reactor, self.dialers, self.sweep), parent)
            caller = await self.dialled(dialer, "unknown.example", 443)
        self.assert_outcome(caller, "connection_refused", 502)
