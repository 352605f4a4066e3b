"""Listening: what is accepted, what is inherited, and what fails, and how."""

from __future__ import annotations

import errno
import os
import socket
import typing

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.door import listen_stock
from aluvia.net.ports import EXHAUSTED_PAUSE, ServerWire, WirePort, listen
from aluvia.net.test.listening import Greeter, PortCase
from aluvia.net.test.tunnels import reactor


class Clocked:
    """The reactor, but for its clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.callLater = self.clock.callLater

    def __getattr__(self, name: str) -> typing.Any:
        """Everything else is the reactor's."""
        return getattr(reactor, name)


class WirePortTests(PortCase):
    """A port on loopback."""

    async def test_it_accepts(self) -> None:
        """A connection gets a protocol and our transport, which works."""
        port = self.listen()
        peer = await self.connect(port)
        self.assertEqual(await peer.read_exactly(5), b"hello")
        await peer.send(b"hi")
        protocol = self.factory.made[0]
        await self.when(lambda: protocol.received == b"hi")
        self.assertIsInstance(protocol.transport, ServerWire)
        self.assertEqual(self.factory.peers[0].port, peer.local_port)
        self.assertEqual(len(port.wires), 1)
        peer.close()
        await self.when(lambda: not port.wires)
        self.assertEqual(protocol.lost, 1)

    async def test_ipv6(self) -> None:
        """The same on IPv6."""
        port = self.listen("::1")
        peer = await self.connect(port)
        self.assertEqual(await peer.read_exactly(5), b"hello")
        wire = self.factory.made[0].transport
        assert isinstance(wire, ServerWire)
        self.assertEqual(wire.getPeer().host, "::1")
        self.assertEqual(wire.getHost().port, port.getHost().port)

    async def test_options_are_inherited(self) -> None:
        """No delay, keep-alive, not blocking, and closed on exec: without a call for each."""
        port = self.listen()
        peer = await self.connect(port)
        await peer.read_exactly(5)
        wire = self.factory.made[0].transport
        assert isinstance(wire, ServerWire)
        self.assertTrue(wire.getTcpNoDelay())
        self.assertTrue(wire.getTcpKeepAlive())
        self.assertFalse(os.get_inheritable(wire.fileno()))
        self.assertFalse(os.get_blocking(wire.fileno()))

    async def test_many_at_once(self) -> None:
        """A burst of clients is accepted whole."""
        port = self.listen()
        peers = [await self.connect(port) for _ in range(100)]
        for peer in peers:
            self.assertEqual(await peer.read_exactly(5), b"hello")
        self.assertEqual(len(port.wires), 100)
        for peer in peers:
            peer.close()
        await self.when(lambda: not port.wires)

    async def test_a_factory_that_declines(self) -> None:
        """``None`` closes the connection."""
        port = self.listen()
        self.factory.build = lambda: None
        peer = await self.connect(port)
        await peer.read_away()
        self.assertEqual(len(port.wires), 0)

    async def test_a_factory_that_raises(self) -> None:
        """Its error is logged, and costs that connection alone."""
        port = self.listen()

        def fail() -> Greeter:
            raise RuntimeError("a bug")

        good, self.factory.build = self.factory.build, fail
        await (await self.connect(port)).read_away()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.factory.build = good
        self.assertEqual(await (await self.connect(port)).read_exactly(5), b"hello")

    async def test_a_protocol_that_raises_when_it_is_connected(self) -> None:
        """The same."""
        port = self.listen()
        self.factory.build = lambda: Greeter("not bytes")  # type: ignore[arg-type]
        await (await self.connect(port)).read_away()
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertEqual(len(port.wires), 0)

    async def test_accepting_is_held(self) -> None:
        """While anybody holds the port clients wait in the kernel."""
        port = self.listen()
        port.hold("one")
        port.hold("other")
        peer = await self.connect(port)
        await self.turns(5)
        port.let_go("one")
        port.let_go("one")
        port.let_go("somebody else")
        await self.turns(5)
        self.assertEqual(self.factory.made, [])
        port.let_go("other")
        self.assertEqual(await peer.read_exactly(5), b"hello")

    async def test_held_from_the_first_of_many(self) -> None:
        """A hold in the middle of a burst stops it there."""
        port = self.listen()
        port.hold("test")
        peers = [await self.connect(port) for _ in range(10)]
        port.numberAccepts = 10

        def only_three() -> Greeter:
            if len(self.factory.made) == 2:
                port.hold("test")
            return Greeter(b"hello")

        self.factory.build = only_three
        port.let_go("test")
        await self.turns(5)
        self.assertEqual(len(port.wires), 3)
        port.let_go("test")
        for peer in peers:
            self.assertEqual(await peer.read_exactly(5), b"hello")

    async def test_stopping_leaves_connections_alone(self) -> None:
        """A port that stops accepts no more; what it accepted lives on, and is counted."""
        emptied: list[bool] = []
        port = self.listen()
        port.emptied = lambda: emptied.append(True)
        peer = await self.connect(port)
        await peer.read_exactly(5)
        await port.stopListening()
        await peer.send(b"still here")
        await self.when(lambda: self.factory.made[0].received == b"still here")
        self.assertEqual(emptied, [])
        peer.close()
        await self.when(lambda: emptied == [True])

    async def test_no_descriptor_is_left(self) -> None:
        """Accepting pauses, without spinning, and goes on by itself; a warning says so once."""
        clocked = Clocked()
        port = listen(clocked, "127.0.0.1", 0, self.factory)
        tries: list[int] = []
        listening = port.socket

        class Exhausted:
            def __getattr__(self, name: str) -> typing.Any:
                return getattr(listening, name)

            def _accept(self) -> typing.NoReturn:
                tries.append(1)
                raise OSError(errno.EMFILE, "too many")

        port.socket = Exhausted()
        peer = await self.connect(port)
        for count in (1, 2, 3):
            await self.turns(10)
            self.assertEqual(len(tries), count)
            clocked.clock.advance(EXHAUSTED_PAUSE)
        await self.turns(10)
        port.socket = listening
        clocked.clock.advance(EXHAUSTED_PAUSE)
        self.assertEqual(await peer.read_exactly(5), b"hello")
        self.assertEqual(clocked.clock.getDelayedCalls(), [])
        peer.close()
        await self.when(lambda: not port.wires)
        stopped = port.stopListening()
        clocked.clock.advance(0)
        await stopped

    async def test_stopping_while_no_descriptor_is_left(self) -> None:
        """Leaves no timer."""
        clocked = Clocked()
        port = listen(clocked, "127.0.0.1", 0, self.factory)
        port._exhausted(OSError(errno.ENFILE, "too many"))
        stopped = port.stopListening()
        clocked.clock.advance(0)
        await stopped
        self.assertEqual(clocked.clock.getDelayedCalls(), [])

    async def test_a_connection_that_failed_in_the_queue(self) -> None:
        """Is passed over: the next one is accepted in the same event."""
        port = self.listen()
        port.numberAccepts = 5
        listening = port.socket
        errors = [errno.ECONNABORTED, errno.EPROTO]

        class Failing:
            def __getattr__(self, name: str) -> typing.Any:
                return getattr(listening, name)

            def _accept(self) -> typing.Any:
                if errors:
                    raise OSError(errors.pop(), "failed")
                return typing.cast(typing.Any, listening)._accept()

        port.socket = Failing()
        peer = await self.connect(port)
        self.assertEqual(await peer.read_exactly(5), b"hello")

    async def test_a_descriptor_is_adopted(self) -> None:
        """A socket that somebody else has bound, systemd say, gets our transports too."""
        with socket.create_server(("127.0.0.1", 0)) as given:
            given.setblocking(False)
            port = WirePort._fromListeningDescriptor(
                reactor, given.fileno(), socket.AF_INET, self.factory
            )
        port.startListening()
        self.addCleanup(port.stopListening)
        peer = await self.connect(port)
        await peer.read_exactly(5)
        wire = self.factory.made[0].transport
        assert isinstance(wire, ServerWire)
        self.assertTrue(wire.getTcpNoDelay())


class ListenTests(SynchronousTestCase):
    """Not listening."""

    def test_two_at_the_same_moment(self) -> None:
        """Who binds before the other listens learns of it as late as that, by the same error."""
        with socket.socket() as rival:
            rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            rival.bind(("127.0.0.1", 0))

            class Second(socket.socket):
                def bind(self, where: typing.Any) -> None:
                    super().bind(where)
                    rival.listen()

            def second(_: WirePort) -> socket.socket:
                skt = Second()
                skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                return skt

            self.patch(WirePort, "createInternetSocket", second)
            number = rival.getsockname()[1]
            error = self.assertRaises(
                CannotListenError, listen, reactor, "127.0.0.1", number, Factory()
            )
            self.assertEqual(error.socketError.errno, errno.EADDRINUSE)

    def test_a_stock_port_that_fails_late(self) -> None:
        """The reactor's other error is made the same."""

        class Late:
            def listenTCP(self, *given: object, **more: object) -> None:
                raise OSError(errno.EADDRINUSE, "in use")

        error = self.assertRaises(
            CannotListenError, listen_stock, Late(), "127.0.0.1", 80, Factory()
        )
        self.assertEqual(error.socketError.errno, errno.EADDRINUSE)

    def test_a_port_in_use(self) -> None:
        """Raises what Twisted raises, with the system's error."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            error = self.assertRaises(
                CannotListenError, listen, reactor, "127.0.0.1", taken.getsockname()[1], Factory()
            )
        self.assertEqual(error.socketError.errno, errno.EADDRINUSE)
