"""``openssl s_client`` in front of the edge: versions, names, protocols, sessions, and alerts."""

from __future__ import annotations

import os
import subprocess

import trustme

from tests.aluvia_process import clean_environment
from tests.peers.edge import HOST, Edge, EdgeCase
from tests.peers.edge_nginx import start_site
from tests.peers.support import in_thread, need_program

OTHER = "other.example.com"
VERSIONS = {"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}


class EdgeOpensslTests(EdgeCase):
    """A site, and two names."""

    async def start(self, *certified: str, names: tuple[str, ...] = (HOST, OTHER)) -> Edge:
        """Start an edge with routes for *names*, and certificates for *certified*."""
        self.openssl = need_program("openssl", "openssl")
        site = await start_site(self, {"a.txt": b"here\n"})
        edge = await self.edge()
        for name in names:
            await edge.route(name, site.port)
        for name in certified:
            await self.certify(edge, name)
        return edge

    async def say(self, edge: Edge, name: str | None, *options: str, host: str = "") -> str:
        """What it says, with the answer to a request behind it where there is one."""
        host = host or name or HOST
        named = ("-noservername",) if name is None else ("-servername", name)
        command = [
            *(self.openssl, "s_client", "-connect", f"127.0.0.1:{edge.https}", *named),
            *("-CAfile", self.certificates.file(), "-ign_eof", *options),
        ]
        asked = f"GET /a.txt HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()

        def work() -> str:
            ran = subprocess.run(
                command, input=asked, capture_output=True, check=False, timeout=20,
                env=clean_environment(),
            )  # fmt: skip
            return (ran.stdout + ran.stderr).decode("latin-1")

        return await in_thread(work)

    async def test_versions(self) -> None:
        """1.2 and 1.3, verified; 1.1 is refused with the alert that says so."""
        edge = await self.start(HOST)
        for option, version in VERSIONS.items():
            said = await self.say(edge, HOST, option, "-verify_return_error")
            self.assertIn(f"Protocol  : {version}" if "2" in option else f"New, {version}", said)
            self.assertIn("Verify return code: 0 (ok)", said)
            self.assertTrue("\r\n\r\nhere\n" in said, said)
        said = await self.say(edge, HOST, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        self.assertIn("alert protocol version", said)

    async def test_names(self) -> None:
        """Without a certificate: unrecognized_name. With one it is the default of all others."""
        edge = await self.start()
        for name in (HOST, OTHER, None):
            said = await self.say(edge, name)
            self.assertRegex(said, "unrecognized name.*SSL alert number 112")
        await self.certify(edge, HOST)
        await self.certify(edge, OTHER)
        for name, shown in ((HOST, HOST), (OTHER, OTHER), ("x.example.com", HOST), (None, HOST)):
            verified = ("-verify_hostname", shown, "-verify_return_error")
            said = await self.say(edge, name, *verified, host=shown)
            self.assertIn("Verify return code: 0 (ok)", said, name)
            self.assertIn("here\n", said, name)
        # Whoever was shown one certificate does not get the other's site.
        said = await self.say(edge, HOST, host=OTHER)
        self.assertIn("HTTP/1.1 421 ", said)

    async def test_one_name_does_not_disturb_others(self) -> None:
        """A handshake that is refused costs those none that are under way, or follow."""
        edge = await self.start(HOST)
        for _ in range(3):
            self.assertIn("here\n", await self.say(edge, HOST))
            said = await self.say(edge, HOST, "-alpn", "h2")
            self.assertIn("SSL alert number 120", said)

    async def test_protocols(self) -> None:
        """HTTP/1 is chosen from what is offered; who offers nothing gets it, too."""
        edge = await self.start(HOST)
        for offered, chosen in (
            ("h2,http/1.1", "ALPN protocol: http/1.1"),
            ("http/1.0", "ALPN protocol: http/1.0"),
            ("", "No ALPN negotiated"),
        ):
            said = await self.say(edge, HOST, *(("-alpn", offered) if offered else ()))
            self.assertIn(chosen, said)
            self.assertIn("here\n", said)

    async def test_sessions(self) -> None:
        """
        Resumed under the certificate that they began with, in both versions; never under another
        name's, nor when it was replaced. There is no early data, and no renegotiation.
        """
        edge = await self.start(HOST, OTHER)
        for option in VERSIONS:
            kept = os.path.abspath(f"session{option}")
            said = await self.say(edge, HOST, option, "-sess_out", kept)
            self.assertIn("New, ", said)
            for again in range(2):
                said = await self.say(edge, HOST, option, "-sess_in", kept)
                self.assertIn("Reused, ", said, (option, again))
                self.assertIn("here\n", said)
            said = await self.say(edge, OTHER, option, "-sess_in", kept)
            self.assertIn("New, ", said, option)
            self.assertIn("here\n", said)
            self.assertNotIn("Early data was accepted", said)
            await self.certify(edge, HOST)
            said = await self.say(edge, HOST, option, "-sess_in", kept)
            self.assertIn("New, ", said, option)
            self.assertIn("here\n", said)
        said = await self.say(edge, HOST, "-tls1_3")
        self.assertNotRegex(said, "Max Early Data: [1-9]")

    async def test_a_chain(self) -> None:
        """What is between the site's certificate and the authority is sent with it."""
        edge = await self.start()
        between = self.certificates.authority.create_child_ca()
        for key_type in trustme.KeyType:
            issued = between.issue_cert(HOST, key_type=key_type)
            chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems).decode()
            key = issued.private_key_pem.bytes().decode()
            document = {"domain": HOST, "key": key, "cert": chain}
            await edge.change("POST", "/certificates", document)
            said = await self.say(edge, HOST, "-verify_return_error")
            self.assertIn("Verify return code: 0 (ok)", said)
            self.assertIn("here\n", said)

    async def test_something_else(self) -> None:
        """Plain HTTP on that port is no handshake, and costs nobody else anything."""
        edge = await self.start(HOST)
        got = await self.curl(f"http://127.0.0.1:{edge.https}/")
        self.assertNotEqual(got.status, 0)
        self.assertIn("here\n", await self.say(edge, HOST))
