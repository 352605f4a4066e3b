"""What every port of ours inside TLS agrees to, and which sessions go on."""

from __future__ import annotations

import contextlib
import ssl

import trustme
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.tls_server import server_context

# RFC 8446 section 6.
PROTOCOL_VERSION = 70
NO_APPLICATION_PROTOCOL = 120


def client_context(newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """A client's, which trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    return context


class ServerContextTests(SynchronousTestCase):
    """A server in memory, and Python's own client."""

    def setUp(self) -> None:
        """Make two servers' contexts, and no reason to trust them."""
        self.authority = trustme.CA()
        self.one, self.other = self.server(), self.server()

    def server(self) -> SSL.Context:
        """A context with a certificate of its own."""
        context = server_context()
        self.authority.issue_cert("a.example").configure_cert(context)
        return context

    def meet(
        self, client: ssl.SSLContext, server: SSL.Context, session: ssl.SSLSession | None = None
    ) -> ssl.SSLObject:
        """
        Let the two agree.

        :raises SSL.Error: the server refused, with the alert that is kept.
        """
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        near = client.wrap_bio(to_client, to_server, session=session)
        far = SSL.Connection(server, None)
        far.set_accept_state()
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                near.do_handshake()
                near.read(1)
            if sent := to_server.read():
                far.bio_write(sent)
            try:
                far.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error:
                # A record's header, "fatal", and why.
                self.alert = far.bio_read(1_000)[-1]
                raise
            with contextlib.suppress(SSL.WantReadError):
                to_client.write(far.bio_read(65_536))
        return near

    def test_protocols(self) -> None:
        """
        http/1.1 is chosen, or http/1.0 by who speaks nothing newer; who offers nothing is taken;
        who offers others alone is refused.
        """
        for offered, chosen in (
            (["h2", "http/1.1"], "http/1.1"),
            (["http/1.0", "http/1.1"], "http/1.1"),
            (["http/1.0"], "http/1.0"),
            ([], None),
        ):
            client = client_context()
            if offered:
                client.set_alpn_protocols(offered)
            self.assertEqual(self.meet(client, self.one).selected_alpn_protocol(), chosen)
        client = client_context()
        client.set_alpn_protocols(["h2"])
        self.assertRaises(SSL.Error, self.meet, client, self.one)
        self.assertEqual(self.alert, NO_APPLICATION_PROTOCOL)
        # And the next client of that context is none the worse for it.
        self.meet(client_context(), self.one)

    def test_versions(self) -> None:
        """1.3 and 1.2; nothing older."""
        for newest, version in (
            (ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
            (ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        ):
            self.assertEqual(self.meet(client_context(newest), self.one).version(), version)
        lax = server_context()
        lax.set_cipher_list(b"ALL:@SECLEVEL=0")
        self.authority.issue_cert("a.example").configure_cert(lax)
        client = client_context(ssl.TLSVersion.TLSv1_2)
        client.set_ciphers("ALL:@SECLEVEL=0")
        client.minimum_version = ssl.TLSVersion.TLSv1
        client.maximum_version = ssl.TLSVersion.TLSv1_1
        self.assertRaises(SSL.Error, self.meet, client, lax)
        self.assertEqual(self.alert, PROTOCOL_VERSION)

    def test_sessions(self) -> None:
        """One is resumed where it began, and nowhere else; in TLS 1.2 and 1.3."""
        for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = client_context(newest)
            session = self.meet(client, self.one).session
            assert session is not None
            self.assertTrue(session.has_ticket)
            again = self.meet(client, self.one, session)
            self.assertTrue(again.session_reused)
            self.assertFalse(self.meet(client, self.other, again.session).session_reused)
        self.assertEqual(self.one.get_session_cache_mode(), SSL.SESS_CACHE_OFF)

    def test_no_certificate(self) -> None:
        """Without one nothing is agreed on."""
        self.assertRaises(SSL.Error, self.meet, client_context(), server_context())
