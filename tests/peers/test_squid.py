"""Squid with basic authentication as the gateway, in the clear and behind TLS."""

from __future__ import annotations

import os
from pathlib import Path

from tests.aluvia_process import AluviaProcess
from tests.peers.nginx import Nginx, start_nginx
from tests.peers.support import PeerCase, free_port, need_program
from tests.support import PASSWORD, USERINFO, USERNAME

_CONFIGURATION = """
{port_line}
pid_filename none
cache_log {folder}/cache.log
access_log stdio:{folder}/access.log
coredump_dir {folder}
netdb_filename none
cache deny all
shutdown_lifetime 1 seconds
visible_hostname squid.test
hosts_file {folder}/hosts
via off
forwarded_for delete
auth_param basic program {ncsa} {folder}/users
auth_param basic children 1
auth_param basic realm squid
acl known proxy_auth REQUIRED
acl forbidden dstdomain forbidden.example.com
http_access deny forbidden
http_access allow known
http_access deny all
"""

_NCSA = ("/usr/lib/squid/basic_ncsa_auth", "/usr/lib64/squid/basic_ncsa_auth")
_RULES = ("*.example.com", "example.com")


class SquidCase(PeerCase):
    """A Squid, an nginx behind it, and a proxy in front."""

    scheme = "http"
    log: Path
    nginx: Nginx

    async def start_squid(self) -> int:
        """Start it; its port."""
        program = need_program("squid", "squid-openssl")
        ncsa = next((name for name in _NCSA if os.path.exists(name)), _NCSA[0])
        folder = self.folder()
        port = free_port()
        port_line = f"http_port 127.0.0.1:{port}"
        if self.scheme == "https":
            certificate, key = self.certificate_files(folder, "localhost")
            port_line = f"https_port 127.0.0.1:{port} tls-cert={certificate} tls-key={key}"
        hashed = await self.run_command(
            need_program("openssl", "openssl"), "passwd", "-apr1", PASSWORD
        )
        (folder / "users").write_text(f"{USERNAME}:{hashed.stdout.strip()}\n")
        (folder / "hosts").write_text("127.0.0.1 www.example.com forbidden.example.com\n")
        (folder / "squid.conf").write_text(
            _CONFIGURATION.format(folder=folder, port_line=port_line, ncsa=ncsa)
        )
        await self.daemon(port, program, "-N", "-f", str(folder / "squid.conf"))
        self.log = folder / "access.log"
        return port

    async def start(self, userinfo: str = USERINFO) -> AluviaProcess:
        """Start all three."""
        self.nginx = await start_nginx(self, {"page": b"page\n" * 1000})
        port = await self.start_squid()
        host = "localhost" if self.scheme == "https" else "127.0.0.1"
        rules = [word for rule in _RULES for word in ("--rule", rule)]
        proxy = await self.aluvia(
            *("--gateway-url", f"{self.scheme}://{userinfo}@{host}:{port}", *rules),
            *("--gateway-ca", self.certificates.file()),
        )
        self.curl_options = ("--proxy", proxy.url, "--cacert", self.certificates.file())
        return proxy


class SquidTests(SquidCase):
    """In the clear."""

    async def test_plain_requests(self) -> None:
        """GET, POST, HEAD and a large upload pass, over kept connections."""
        await self.start()
        base = f"http://www.example.com:{self.nginx.port}"
        curled = await self.curl(*self.curl_options, "--fail", f"{base}/page", f"{base}/page")
        self.assertEqual((curled.status, len(curled.stdout)), (0, 10_000), curled.stderr)
        for options in (["--data", "a=1"], ["--data-binary", "x" * 100_000], ["--head"]):
            curled = await self.curl(*self.curl_options, "--fail", *options, f"{base}/version")
            self.assertEqual(curled.status, 0, curled)
        # The first line is of the connection that found out whether Squid listens.
        lines = self.log.read_text().splitlines()[1:]
        self.assertEqual(len(lines), 5, "\n".join(lines))
        self.assertTrue(all(f" {USERNAME} " in line for line in lines), lines)

    async def test_tunnels(self) -> None:
        """https through Squid's CONNECT, with the site's own certificate and HTTP/2."""
        await self.start()
        url = f"https://www.example.com:{self.nginx.tls_port}/version"
        for version in ("--http1.1", "--http2"):
            curled = await self.curl(version, *self.curl_options, url)
            self.assertEqual(curled.status, 0, curled)
            self.assertIn("GET", curled.stdout)
        self.assertEqual(self.log.read_text().count(" CONNECT "), 2)

    async def test_wrong_password(self) -> None:
        """Squid's 407 is a 502 of ours that names it; its challenge and its page stay here."""
        proxy = await self.start("canary-user:wrong")
        answer = await self.get(proxy, f"http://www.example.com:{self.nginx.port}/page")
        self.assert_failed(answer, 502, "http_request_denied")
        self.assertIn(b"received-status=407", answer.header(b"proxy-status") or b"")
        _, answer = await self.tunnel(proxy, "www.example.com:443")
        self.assert_failed(answer, 502, "http_request_denied")
        self.assertIn(b"received-status=407", answer.header(b"proxy-status") or b"")

    async def test_forbidden(self) -> None:
        """Squid's 403 to a CONNECT is a 502 of ours; to a plain request it passes as it is."""
        proxy = await self.start()
        _, answer = await self.tunnel(proxy, "forbidden.example.com:443")
        self.assert_failed(answer, 502, "http_request_denied")
        self.assertIn(b"received-status=403", answer.header(b"proxy-status") or b"")
        answer = await self.get(proxy, f"http://forbidden.example.com:{self.nginx.port}/")
        self.assertEqual(answer.status, 403)
        self.assertIn(b"squid", answer.header(b"server") or b"")
        self.assertIsNone(answer.header(b"proxy-status"))

    async def test_unreachable_behind_it(self) -> None:
        """What Squid cannot reach is its 502 or 503, told as such."""
        proxy = await self.start()
        _, answer = await self.tunnel(proxy, f"www.example.com:{free_port()}")
        self.assert_failed(answer, 502, "http_request_denied")
        self.assertIn(b"received-status=503", answer.header(b"proxy-status") or b"")


class SquidBehindTLSTests(SquidTests):
    """The same, with TLS between us and Squid; its certificate is verified."""

    scheme = "https"

    async def test_stranger(self) -> None:
        """Without the authority's certificate the gateway is refused."""
        port = await self.start_squid()
        proxy = await self.aluvia(
            "--gateway-url", f"https://{USERINFO}@localhost:{port}", "--rule", "*"
        )
        _, answer = await self.tunnel(proxy, "www.example.com:443")
        self.assert_failed(answer, 502, "tls_certificate_error")
