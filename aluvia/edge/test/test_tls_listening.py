"""TLS on a listening port: what is shown to whom, which sessions go on, and who is refused."""

from __future__ import annotations

import contextlib
import ssl
import sys
import typing

from OpenSSL import SSL
from twisted.internet.interfaces import IProtocolFactory
from zope.interface.verify import verifyObject

from aluvia.edge.certificates import present
from aluvia.edge.key_pairs import judge_pair
from aluvia.edge.test.issuing import NOW, elliptic, issue, rsa_key
from aluvia.edge.test.tls_case import Client, TLSCase, client_context, pair
from aluvia.edge.tls_listening import UNRECOGNIZED_NAME
from aluvia.net.test.dialling import FakeWire
from aluvia.wire.limits import Limits


def offering(*protocols: bytes) -> SSL.Context:
    """A client that offers these."""
    context = client_context()
    context.set_alpn_protos(list(protocols))
    return context


class NameTests(TLSCase):
    """The certificate is that of the name, and both are kept on the wire."""

    def setUp(self) -> None:
        """There are three."""
        super().setUp()
        self.use(first_example=pair("first.example"), a_example=pair("a.example"))

    def test_interface(self) -> None:
        """It is a factory, and what is inside is started and stopped with it."""
        verifyObject(IProtocolFactory, self.listening)
        self.listening.doStart()
        self.assertEqual(self.inside.running, 1)
        self.listening.doStop()
        self.assertEqual(self.inside.running, 0)

    def test_by_name(self) -> None:
        """Its own, the default for others and for none; names are compared canonically."""
        for name, shown, kept in (
            (b"a.example", "a.example", "a.example"),
            (b"A.Example", "a.example", "a.example"),
            (b"a.example.", "a.example", "a.example"),
            (b"b.example", "first.example", "b.example"),
            (b"127.0.0.1", "first.example", "127.0.0.1"),
            (b"no host", "first.example", ""),
            (b"\xff", "first.example", ""),
            (None, "first.example", ""),
        ):
            client = self.meet(name)
            self.assertEqual(client.shown(), {shown})
            wire = client.theirs
            assert wire.presented is not None
            self.assertEqual((wire.server_name, wire.presented.domain), (kept, shown))
            self.assertIs(self.inside.made[-1].transport, wire)
            self.assertIsNone(wire._hello)
        self.assertEqual(self.listening.counters.handshakes, 8)
        self.assertEqual(self.failures, {})

    def test_key_kinds(self) -> None:
        """RSA and P-384 are shown as well, with their chain."""
        for key in (rsa_key(), elliptic()):
            self.use(b_example=issue("b.example", key=key))
            client = self.meet(b"b.example")
            self.assertEqual(client.shown(), {"b.example"})
            self.assertEqual(len(client.tls.get_peer_cert_chain() or ()), 2)

    def test_long_chain(self) -> None:
        """The longest chain that is taken is sent whole."""
        for newest in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            made = issue("b.example", *[f"{at}.b.example" for at in range(1_300)])
            self.assertEqual(judge_pair(made, "b.example", NOW), [])
            self.use(b_example=made)
            context = client_context()
            context.set_max_proto_version(newest)
            self.assertIn("1299.b.example", self.meet(b"b.example", context).shown())

    def test_in_pieces(self) -> None:
        """However the client's bytes come."""
        for size in (1, 7, 600):
            client = self.connect(b"a.example")
            hello = client.hello()
            for at in range(0, len(hello), size):
                client.wire.deliver(hello[at : at + size])
            client.talk()
            self.assertEqual(client.shown(), {"a.example"})
            self.assertEqual(self.inside.made[-1].connections, 1)

    def test_both_ways(self) -> None:
        """What comes with the end of the handshake is delivered, and what is answered arrives."""
        client = self.connect(b"a.example")
        client.wire.deliver(client.hello())
        client.tls.bio_write(client.wire.value())
        client.wire.clear()
        client.tls.do_handshake()
        client.tls.send(b"early")
        client.talk()
        recorder = self.inside.made[-1]
        self.assertEqual(recorder.data, [b"early"])
        recorder.transport.write(b"answer")
        client.talk()
        self.assertEqual(client.received, b"answer")
        recorder.transport.loseConnection()
        client.talk()
        self.assertTrue(client.ended)
        client.wire.lose()
        self.assertEqual(len(recorder.lost), 1)
        self.assertEqual(self.failures, {})

    def test_swap(self) -> None:
        """A handshake that has begun ends with what it began with; the next one has the new one."""
        before = self.connect(b"a.example")
        before.wire.deliver(before.hello())
        waiting = self.connect(b"a.example")
        waiting.wire.deliver(waiting.hello()[:-1])
        old = self.certificates.map.find("a.example")
        self.use(a_example=issue("a.example", "new.example"))
        before.talk()
        self.assertEqual(before.shown(), {"a.example"})
        self.assertIs(before.theirs.presented, old)
        before.send(b"x")
        self.assertEqual(self.inside.made[-1].data, [b"x"])
        self.assertEqual(self.meet(b"a.example").shown(), {"a.example", "new.example"})

    def test_inside_refuses(self) -> None:
        """A connection that nobody wants closes in order, and is no failure."""
        self.inside.make = lambda: None
        client = self.meet(b"a.example")
        self.assertTrue(client.ended)
        self.assert_over(client)


class SessionTests(TLSCase):
    """Sessions are resumed under the certificate that they began with, and under no other."""

    def setUp(self) -> None:
        """There are two."""
        super().setUp()
        self.use(a_example=pair("a.example"), b_example=pair("b.example"))
        self.trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.trusting.check_hostname = False
        self.trusting.verify_mode = ssl.CERT_NONE

    def visit(self, name: str, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
        """Shake hands with Python's own client, which can resume."""
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.trusting.wrap_bio(to_client, to_server, server_hostname=name, session=session)
        wire = FakeWire()
        wire.start(self.listening.buildProtocol(typing.cast(typing.Any, None)))
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
                client.read(1)
            if sent := to_server.read():
                wire.deliver(sent)
            to_client.write(wire.value())
            wire.clear()
        presented = wire.protocol.presented
        self.assertIs(presented, self.certificates.map.find(name))
        return client

    def test_resumed(self) -> None:
        """In TLS 1.2 and 1.3, and more than once."""
        for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.trusting.maximum_version = newest
            session = self.visit("a.example").session
            for _ in range(2):
                client = self.visit("a.example", session)
                self.assertTrue(client.session_reused)
                session = client.session

    def test_not_across_certificates(self) -> None:
        """What began under one certificate is begun anew under another."""
        for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.trusting.maximum_version = newest
            session = self.visit("a.example").session
            self.assertFalse(self.visit("b.example", session).session_reused)
            session = self.visit("b.example").session
            self.use(b_example=issue("b.example"))
            self.assertFalse(self.visit("b.example", session).session_reused)
            self.use(a_example=pair("a.example"), b_example=pair("b.example"))


class RefusalTests(TLSCase):
    """Who is refused, and that nobody else is any the worse for it."""

    def setUp(self) -> None:
        """There is no default."""
        super().setUp()
        self.certificates.use_files([present(pair("a.example"), "live")], None)

    def test_unknown_name(self) -> None:
        """The alert ``unrecognized_name``, and not a line anywhere; others go on meanwhile."""
        self.patch(sys, "excepthook", lambda *told: self.fail("printed"))
        neighbour = self.connect(b"a.example")
        neighbour.wire.deliver(neighbour.hello())
        for name in (b"b.example", b"x.a.example", b"no host", None):
            self.failures.clear()
            client = self.connect(name)
            client.wire.deliver(client.hello())
            self.assertEqual(client.wire.value(), UNRECOGNIZED_NAME)
            client.talk()
            self.assertIn("unrecognized name", str(client.error))
            client.wire.deliver(b"\x15\x03\x03\x00\x02\x02\x00")
            client.wire.lose()
            self.assertEqual(self.failures, {"unrecognized_name": 1})
        neighbour.talk()
        self.assertEqual(neighbour.shown(), {"a.example"})
        self.assertEqual(self.listening.counters.handshakes, 1)
        self.assertEqual(len(self.inside.made), 1)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_no_protocol_in_common(self) -> None:
        """The alert ``no_application_protocol``; with ours among them it is chosen."""
        client = self.meet(b"a.example", offering(b"h2"))
        self.assertIn("no application protocol", str(client.error))
        self.assert_over(client, no_application_protocol=1)
        client = self.meet(b"a.example", offering(b"h2", b"http/1.1"))
        self.assertEqual(client.tls.get_alpn_proto_negotiated(), b"http/1.1")

    def test_old_version(self) -> None:
        """TLS 1.1 is not spoken."""
        context = client_context()
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        self.assert_over(self.meet(b"a.example", context), unsupported=1)

    def test_no_cipher_in_common(self) -> None:
        """There is no RSA certificate for who takes no other."""
        context = client_context()
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256")
        self.assert_over(self.meet(b"a.example", context), unsupported=1)

    def test_refused_by_the_client(self) -> None:
        """It does not trust the certificate."""
        context = client_context()
        context.set_verify(SSL.VERIFY_PEER, lambda *asked: False)
        self.assert_over(self.meet(b"a.example", context), client_refused=1)

    def test_no_tls(self) -> None:
        """Plain HTTP and other things, with a default and without."""
        for _ in range(2):
            for data, reason in (
                (b"GET / HTTP/1.1\r\n\r\n", "not_tls"),
                (b"CONNECT a:1 HTTP/1.1\r\n\r\n", "not_tls"),
                (b"SSH-2.0-OpenSSH\r\n", "not_tls"),
                (b"\x15\x03\x01\x00\x02\x02\x28", "protocol_error"),
                (b"\x16\x03\x01\x00\x05hello", "protocol_error"),
            ):
                client = self.connect()
                client.wire.deliver(data)
                self.assert_over(client, **{reason: 1})
                self.failures.clear()
            self.use(a_example=pair("a.example"))

    def test_broken_later(self) -> None:
        """What comes behind the first message is no TLS."""
        client = self.connect(b"a.example")
        client.wire.deliver(client.hello())
        client.wire.deliver(b"\x16\x03\x03\x00\x02xx")
        self.assert_over(client, protocol_error=1)

    def test_too_long(self) -> None:
        """A first message over the bound is for OpenSSL, with the default."""
        self.listening.limits = Limits(client_hello_bytes=200)
        self.use(b_example=pair("b.example"))
        client = self.meet(b"a.example")
        self.assertEqual(client.shown(), {"b.example"})
        self.assertEqual(client.theirs.server_name, "")

    def test_client_leaves(self) -> None:
        """Before its first message, in it, and behind it; with a FIN, with a reset."""
        for end in (Client.leave, Client.vanish):
            for sent in (0, 10, 10_000):
                self.failures.clear()
                client = self.connect(b"a.example")
                if sent:
                    client.wire.deliver(client.hello()[:sent])
                end(client)
                self.assertEqual((self.failures, len(self.sweep)), ({"client_gone": 1}, 0))
        self.assertEqual(self.inside.made, [])
