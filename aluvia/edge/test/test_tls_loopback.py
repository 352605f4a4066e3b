"""A real port inside TLS: many clients at the same time, and its end."""

from __future__ import annotations

import ssl
import typing

from twisted.internet.defer import Deferred, gatherResults

from aluvia.edge.certificates import Certificates, present
from aluvia.edge.test.issuing import issue
from aluvia.edge.tls_listening import TLSListening
from aluvia.net.accept import Drain, Sweep
from aluvia.net.test.listening import Greeters, PortCase
from aluvia.net.test.tunnels import reactor
from aluvia.testing.ended import Ended


def trusting() -> ssl.SSLContext:
    """A client's context; it takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class LoopbackTests(PortCase):
    """A port with one certificate, and no default."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Listen."""
        await super().setUp()
        self.sweep = Sweep(reactor)
        self.addCleanup(self.sweep.stop)
        certificates = Certificates(reactor)
        certificates.use_files([present(issue("a.example"), "live")], None)
        self.inside = self.factory
        self.listening = TLSListening(self.inside, certificates, self.sweep, reactor)
        self.factory = typing.cast(Greeters, self.listening)
        self.failures = self.listening.counters.tls_failures

    async def test_neighbours(self) -> None:
        """Whoever asks for an unknown name is refused, and in between the others are served."""
        port = self.listen()

        async def greeted(name: str) -> str:
            client = await self.connect(port)
            try:
                await client.start_tls(trusting(), server_side=False, server_hostname=name)
                return (await client.read_exactly(5)).decode()
            except ssl.SSLError as error:
                return error.reason
            finally:
                client.close()

        clients = [
            Deferred.fromCoroutine(greeted(("a.example", "b.example")[at % 2])) for at in range(20)
        ]
        self.assertEqual(await gatherResults(clients), ["hello", "TLSV1_UNRECOGNIZED_NAME"] * 10)
        await self.when(lambda: not port.wires)
        self.assertEqual(self.failures, {"unrecognized_name": 10})
        self.assertEqual(self.listening.counters.handshakes, 10)
        self.assertEqual({each.host for each in self.inside.peers}, {"127.0.0.1"})
        self.assertEqual(len(self.sweep), 0)

    async def test_drain(self) -> None:
        """A door that closes ends handshakes at once; what is served goes on."""
        port = self.listen()
        served = await self.connect(port)
        await served.start_tls(trusting(), server_side=False, server_hostname="a.example")
        waiting = [await self.connect(port) for _ in range(3)]
        await waiting[0].send(b"\x16\x03")
        await self.when(lambda: len(self.sweep) == 3)
        drained = Drain([port], reactor, 60.0).begin()
        for client in waiting:
            await client.read_away()
            self.assertIs(client.ended, Ended.RESET)
        self.assertEqual((self.failures, len(port.wires)), ({}, 1))
        self.assertEqual(await served.read_exactly(5), b"hello")
        served.close()
        await drained

    async def test_alert(self) -> None:
        """The refusal is one record, and a FIN behind it."""
        context = trusting()
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        near = context.wrap_bio(to_client, to_server, server_hostname="b.example")
        self.assertRaises(ssl.SSLWantReadError, near.do_handshake)
        client = await self.connect(self.listen())
        await client.send(to_server.read())
        self.assertEqual(await client.read_to_end(), bytes.fromhex("15 0303 0002 02 70"))
        self.assertIs(client.ended, Ended.FIN)
        client.close()
