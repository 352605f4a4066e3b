"""Tests for :mod:`aluvia.edge.listeners`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import types
import typing

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.listeners import Listener, open_listener, read_listener
from aluvia.net.door import Door
from aluvia.net.ports import BACKLOG, ServerWire
from aluvia.net.proxy_protocol import announced_peer
from aluvia.net.test.listening import PortCase
from aluvia.net.test.tunnels import reactor


class ReadTests(SynchronousTestCase):
    """What an option says."""

    def test_places(self) -> None:
        """An address and a port, as everywhere."""
        for text, address, port in (
            ("0.0.0.0:8080", "0.0.0.0", 8080),
            (" [::]:0 ", "::", 0),
            ("localhost:80", "127.0.0.1", 80),
            ("[::1]:65535", "::1", 65535),
        ):
            self.assertEqual(read_listener(text), Listener(address=address, port=port))

    def test_endpoints(self) -> None:
        """Twisted's spellings of the same, and of what systemd has bound."""
        for text, listener in (
            ("tcp:8080", Listener(address="0.0.0.0", port=8080)),
            ("TCP:port=8080", Listener(address="0.0.0.0", port=8080)),
            ("tcp:8080:127.0.0.1:50", Listener(address="127.0.0.1", port=8080, backlog=50)),
            ("tcp:8080:interface=localhost", Listener(address="127.0.0.1", port=8080)),
            ("tcp6:8080", Listener(address="::", port=8080)),
            ("tcp6:8080:interface=\\:\\:1", Listener(address="::1", port=8080)),
            ("systemd:domain=INET:index=0", Listener(systemd="systemd:domain=INET:index=0")),
            ("systemd:INET6:1", Listener(systemd="systemd:domain=INET6:index=1")),
            ("systemd:domain=INET:name=a.b", Listener(systemd="systemd:domain=INET:name=a.b")),
        ):
            self.assertEqual(read_listener(text), listener, text)

    def test_proxy_protocol(self) -> None:
        """Is an option behind a comma, or Twisted's prefix; before any place."""
        for text in (
            "0.0.0.0:8080,proxy_protocol",
            "0.0.0.0:8080 , proxy_protocol",
            "haproxy:tcp:8080",
            "haproxy:0.0.0.0:8080",
            "haproxy:tcp:8080,proxy_protocol",
        ):
            wanted = Listener(address="0.0.0.0", port=8080, proxy_protocol=True)
            self.assertEqual(read_listener(text), wanted, text)
        self.assertTrue(read_listener("haproxy:systemd:domain=INET:index=0").proxy_protocol)
        self.assertFalse(read_listener("systemd:domain=INET:index=0").proxy_protocol)

    def test_refused(self) -> None:
        """Each mistake says what it is."""
        for text, said in (
            ("", "must be ADDRESS:PORT"),
            ("8080", "must be ADDRESS:PORT"),
            ("0.0.0.0:65536", "must be ADDRESS:PORT"),
            ("a.example:80", "must be an IP address"),
            ("::1:80", "must have brackets"),
            ("onion:80", "must be an IP address"),
            ("0.0.0.0:8080,", "behind its comma"),
            ("0.0.0.0:8080,tls", "behind its comma"),
            ("0.0.0.0:8080,0.0.0.0:8081", "behind its comma"),
            ("0.0.0.0:8080,proxy_protocol,proxy_protocol", "behind its comma"),
            ("unix:/run/edge.sock", "cannot be a UNIX socket"),
            ("haproxy:unix:/run/edge.sock", "cannot be a UNIX socket"),
            ("systemd:domain=UNIX:index=0", "cannot be a UNIX socket"),
            ("ssl:443:privateKey=a.pem", "--https is inside TLS by itself"),
            ("tls:443", "--https is inside TLS by itself"),
            ("haproxy:", "must be ADDRESS:PORT"),
            ("tcp:", "must have a port from 0 to 65535"),
            ("tcp:http", "must have a port from 0 to 65535"),
            ("tcp:65536", "must have a port from 0 to 65535"),
            ("tcp:80:backlog=0", "must have a backlog from 1 to 65535"),
            ("tcp:80:interface=a.example", "must be an IP address"),
            ("tcp:80:interface=\\:\\:1", "of the other family"),
            ("tcp6:80:interface=127.0.0.1", "of the other family"),
            ("tcp:80:port=81", "each once"),
            ("tcp:80:reuse=1", "takes port, interface, backlog"),
            ("tcp:80:127.0.0.1:50:x", "takes port, interface, backlog"),
            ("systemd:index=0", "must say domain=INET"),
            ("systemd:domain=INET", "must say which socket"),
            ("systemd:domain=INET:index=0:name=a", "must say which socket"),
            ("systemd:domain=INET:index=-1", "must have a index from 0"),
            ("systemd:domain=INET:name=a\\:b", "systemd cannot have given"),
            ("systemd:domain=INET:name=a b", "systemd cannot have given"),
        ):
            error = self.assertRaises(ValueError, read_listener, text)
            self.assertIn(said, str(error), text)

    def test_written(self) -> None:
        """It can be read again, and means the same."""
        for text, written in (
            ("tcp:8080", "0.0.0.0:8080"),
            ("haproxy:tcp6:8080", "[::]:8080,proxy_protocol"),
            ("tcp6:8080:\\:\\:1:50", "tcp6:8080:interface=\\:\\:1:backlog=50"),
            ("tcp:8080:backlog=50", "tcp:8080:interface=0.0.0.0:backlog=50"),
            ("systemd:INET:0,proxy_protocol", "systemd:domain=INET:index=0,proxy_protocol"),
        ):
            listener = read_listener(text)
            self.assertEqual(str(listener), written)
            self.assertEqual(read_listener(written), listener)

    def test_known(self) -> None:
        """Whether it excludes another one, and whether strangers reach it."""
        for text, fixed, exposed in (
            ("127.0.0.1:0", None, False),
            ("[::1]:80", ("::1", 80), False),
            ("0.0.0.0:80,proxy_protocol", ("0.0.0.0", 80), True),
            ("systemd:INET:0", "systemd:domain=INET:index=0", True),
        ):
            listener = read_listener(text)
            self.assertEqual((listener.fixed, listener.exposed), (fixed, exposed))


class OpenTests(PortCase):
    """A door's ports, on loopback."""

    def door(self) -> Door:
        """One that ends with the test."""
        door = Door(reactor, max_connections=10, connect_timeout=1.0)
        self.addCleanup(door.stop)
        return door

    async def assert_served(self, door: Door, header: bytes = b"") -> typing.Any:
        """Assert that a client is served by one of our transports, and give that."""
        peer = await self.connect(door.ports["http"])
        if header:
            await peer.send(header)
        self.assertEqual(await peer.read_exactly(5), b"hello")
        transport = self.factory.made[-1].transport
        self.assertIsInstance(transport, ServerWire)
        return transport

    async def test_a_place(self) -> None:
        """It is bound, with its backlog."""
        door = self.door()
        open_listener(door, "http", read_listener("127.0.0.1:0"), self.factory)
        await self.assert_served(door)
        self.assertEqual(door.ports["http"].backlog, BACKLOG)
        open_listener(door, "other", read_listener("tcp:0:127.0.0.1:7"), self.factory)
        self.assertEqual(door.ports["other"].backlog, 7)

    async def test_a_place_that_is_taken(self) -> None:
        """The system's error is in it, for the line that names the option."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listener = Listener(address="127.0.0.1", port=taken.getsockname()[1])
            self.assertRaises(
                CannotListenError, open_listener, self.door(), "http", listener, self.factory
            )

    async def test_proxy_protocol(self) -> None:
        """The header is read first; what it said is known."""
        door = self.door()
        open_listener(door, "http", read_listener("127.0.0.1:0,proxy_protocol"), self.factory)
        header = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
        transport = await self.assert_served(door, header)
        self.assertEqual(announced_peer(transport), ("192.0.2.7", 56324))

    async def test_systemd(self) -> None:
        """Its socket is taken; the descriptor that was given is not kept open besides."""
        door = self.door()
        with socket.create_server(("127.0.0.1", 0)) as given:
            where = given.getsockname()
            descriptor = os.dup(given.fileno())
        asked: list[str] = []

        def endpoint(running: object, text: str) -> typing.Any:
            asked.append(text)
            return types.SimpleNamespace(fileno=descriptor)

        listener = read_listener("systemd:domain=INET:index=0")
        open_listener(door, "http", listener, self.factory, endpoint=endpoint)
        self.assertEqual(asked, ["systemd:domain=INET:index=0"])
        self.assertEqual(door.place("http"), where)
        self.assertRaises(OSError, os.fstat, descriptor)
        await self.assert_served(door)

    async def test_nothing_from_systemd(self) -> None:
        """A socket that was not given, or is none, or does not listen: a line that says so."""
        silent = socket.socket().detach()
        closed = socket.socket()
        descriptor = closed.fileno()
        closed.close()

        def given(what: typing.Any) -> typing.Any:
            return lambda running, text: types.SimpleNamespace(fileno=what)

        for text, endpoint, said in (
            ("systemd:INET:0", None, "systemd has given us no such socket"),
            ("systemd:INET:name=http", None, "systemd has given us no such socket"),
            ("systemd:INET:0", given(descriptor), "systemd has given us no such socket"),
            ("systemd:INET:0", given(silent), "it is no listening TCP socket"),
        ):
            more = {} if endpoint is None else {"endpoint": endpoint}
            listener = read_listener(text)
            error = self.assertRaises(
                ValueError, open_listener, self.door(), "http", listener, self.factory, **more
            )
            self.assertEqual(str(error), f"--http: {listener}: {said}")


class ActivationTests(SynchronousTestCase):
    """A process of its own, started as systemd starts one."""

    def test_activated(self) -> None:
        """The sockets of ``LISTEN_FDS`` are found, by number and by name."""
        program = """
            import fcntl, os, socket
            where = []
            for number, host in ((3, "127.0.0.1"), (4, "::1")):
                with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as made:
                    made.bind((host, 0))
                    made.listen()
                    where.append(made.getsockname()[:2])
                    kept = fcntl.fcntl(made, fcntl.F_DUPFD, 10)
                os.dup2(kept, number)
                os.close(kept)
            os.environ |= {
                "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "first:second"
            }
            from twisted.internet import reactor
            from twisted.internet.protocol import Factory
            from aluvia.edge.listeners import open_listener, read_listener
            from aluvia.net.door import Door
            door = Door(reactor, max_connections=10, connect_timeout=1.0)
            for name, text in (("http", "systemd:INET:0"), ("https", "systemd:INET6:name=second")):
                open_listener(door, name, read_listener(text), Factory())
            print([door.place("http"), door.place("https")] == where, end="")
        """
        child = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((child.stdout, child.stderr), ("True", ""))
