"""nginx behind the edge, asked by curl: whatever it says arrives as if it had been asked itself."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tests.peers.edge import HOST, Edge, EdgeCase
from tests.peers.edge_nginx import WRITTEN, Site, start_site
from tests.support import Curled

TEXT = b"".join(b"%d lines of text\n" % number for number in range(20_000))

#: Fields that are a hop's own, or change from one answer to the next.
OWN = ("connection:", "keep-alive:", "date:", "transfer-encoding:")

#: What curl asks for: its options, and a path.
QUESTIONS = (
    ((), "/text.txt"),
    (("--head",), "/text.txt"),
    (("--range", "0-9"), "/text.txt"),
    (("--range", "-5"), "/text.txt"),
    (("--range", "99999999-"), "/text.txt"),
    (("--header", "If-None-Match: *"), "/text.txt"),
    (("--header", f"If-Modified-Since: {WRITTEN}"), "/text.txt"),
    (("--header", 'If-Match: "other"'), "/text.txt"),
    (("--header", "Accept-Encoding: gzip"), "/gzip/text.txt"),
    (("--head", "--header", "Accept-Encoding: gzip"), "/gzip/text.txt"),
    ((), "/gzip/text.txt"),
    (("--request", "DELETE"), "/text.txt"),
    (("--request", "OPTIONS"), "/text.txt"),
    (("--request", "ODD-METHOD"), "/text.txt"),
    ((), "/old"),
    ((), "/nothing"),
    ((), "/gone"),
    ((), "/not-there?a=b%20c"),
    (("--path-as-is",), "/x/../text.txt"),
    (("--data", "a=1"), "/text.txt"),
)


class EdgeNginxTests(EdgeCase):
    """One nginx, in the clear and inside TLS."""

    site: Site
    edge_process: Edge

    async def start(self, **more: object) -> None:
        """Start both, with a route and a certificate."""
        self.site = await start_site(self, {"text.txt": TEXT})
        self.edge_process = await self.edge()
        await self.edge_process.route(HOST, self.site.port, **more)
        await self.certify(self.edge_process, HOST)

    async def ask_edge(self, target: str, *options: str, tls: bool = False) -> Curled:
        """Ask the edge, by curl."""
        return await self.curl_site(self.edge_process, target, *options, tls=tls)

    async def test_as_if_there_were_no_edge(self) -> None:
        """Status, fields and body are nginx's own, for each question, also inside TLS."""
        await self.start()
        direct = ("--resolve", f"{HOST}:{self.site.port}:127.0.0.1")
        for options, target in QUESTIONS:
            asking = ("--include", *options)
            wanted = await self.curl(*asking, *direct, f"http://{HOST}:{self.site.port}{target}")
            self.assertEqual(wanted.status, 0, wanted.stderr)
            for tls in (False, True):
                got = await self.ask_edge(target, *asking, tls=tls)
                self.assertEqual(got.status, 0, (options, target, got.stderr))
                self.assertEqual(parted(got), parted(wanted), (options, target, tls))

    async def test_connections_are_kept(self) -> None:
        """Clients come and go; nginx sees one connection, and each client can keep its own."""
        await self.start()
        for tls in (False, True):
            for number in range(5):
                got = await self.ask_edge("/connection", tls=tls)
                self.assertEqual(got.stdout.split()[0], "2", (number, got))
        port = self.edge_process.port
        got = await self.ask_edge(
            "/connection", "--write-out", "%{num_connects} ", f"http://{HOST}:{port}/connection"
        )
        self.assertEqual([got.stdout.split()[at] for at in (2, 5)], ["1", "0"], got)

    async def test_framings(self) -> None:
        """Known length, chunked, until the connection closes; 1.1 and 1.0; whole each time."""
        await self.start()
        for target in ("/text.txt", "/gzip/text.txt", "/until-close/text.txt"):
            for version in ("--http1.1", "--http1.0"):
                for tls in (False, True):
                    got = await self.ask_edge(target, version, "--compressed", tls=tls)
                    self.assertEqual(got.status, 0, (target, version, got.stderr))
                    self.assertEqual(
                        hashlib.sha256(got.stdout.encode("latin-1")).digest(),
                        hashlib.sha256(TEXT).digest(),
                        (target, version),
                    )

    async def test_early_413(self) -> None:
        """nginx's 413 arrives before the body is sent, or while it is; the site goes on."""
        await self.start()
        with open("upload", "wb") as file:
            file.truncate(5_000_000)
        with open("small", "wb") as file:
            file.truncate(500)
        large, small = (("--upload-file", os.path.abspath(name)) for name in ("upload", "small"))
        for field in ("Expect: 100-continue", "Expect:", "Transfer-Encoding: chunked"):
            for tls in (False, True):
                got = await self.ask_edge("/small/a", "--header", field, *large, tls=tls)
                self.assertIn("413 Request Entity Too Large", got.stdout, (field, tls, got))
                got = await self.ask_edge("/small/a", "--head", tls=tls)
                self.assertEqual((got.status, got.stdout[:12]), (0, "HTTP/1.1 404"), (field, tls))
        got = await self.ask_edge("/small/a", *small, "--write-out", "%{http_code}")
        self.assertEqual(got.stdout, "201")
        (member,) = await self.edge_process.members(HOST)
        self.assertEqual(
            (member["isDead"], member["failureCount"], member["active"]), (False, 0, 0)
        )

    async def test_upload(self) -> None:
        """What is put there is there, whatever its framing; and then it is gone."""
        await self.start()
        Path("upload").write_bytes(TEXT * 10)
        put = ("--upload-file", os.path.abspath("upload"), "--write-out", "%{http_code}")
        fields = ("X-None: 1", "Transfer-Encoding: chunked", "Expect:", "Expect: 100-continue")
        for number, field in enumerate(fields):
            for tls in (False, True):
                name = f"{number}{tls}"
                got = await self.ask_edge(f"/stored/{name}", *put, "--header", field, tls=tls)
                self.assertEqual((got.status, got.stdout), (0, "201"), (field, tls, got))
                stored = self.site.folder / "root" / "stored" / name
                self.assertEqual(stored.read_bytes(), TEXT * 10)
                await self.ask_edge(f"/stored/{name}", "--request", "DELETE", tls=tls)
                self.assertFalse(stored.exists())

    async def test_backend_inside_tls(self) -> None:
        """Verified by our authority, with its name in SNI, our certificate, and a kept Host."""
        await self.start()
        issued = self.certificates.authority.issue_cert("edge.example.com")
        tls: dict[str, object] = {
            "sni": "backend.example.com",
            "ca": self.certificates.authority.cert_pem.bytes().decode(),
            "clientCert": issued.cert_chain_pems[0].bytes().decode(),
            "clientKey": issued.private_key_pem.bytes().decode(),
        }
        backend: dict[str, object] = {"hostname": "127.0.0.1", "port": self.site.tls_port}
        edge = self.edge_process
        await edge.route("tls.example.com", backend | {"tls": tls})
        for _ in range(2):
            got = await self.curl_site(edge, "/who", host="tls.example.com")
            said = f"backend.example.com SUCCESS TLSv1.3 tls.example.com:{edge.port}\n"
            self.assertEqual(got.stdout, said)
        for host, wrong in (
            ("name.example.com", tls | {"sni": "other.example.com"}),
            ("authority.example.com", tls | {"ca": None}),
        ):
            await edge.route(host, backend | {"tls": wrong})
            got = await self.curl_site(edge, "/who", "--include", host=host)
            self.assertIn("HTTP/1.1 502 ", got.stdout, host)
            self.assertRegex(got.stdout, "(?i)proxy-status: aluvia-edge; ?error=tls_cert", host)

    async def test_nginx_ends_and_another_one_takes_over(self) -> None:
        """Without a backend clients get a 502 or a 503; with another one they notice nothing."""
        await self.start(retries=0)
        edge = self.edge_process
        spare = await start_site(self, {"text.txt": TEXT})
        await edge.route("two.example.com", self.site.port, spare.port)
        for daemon in self._daemons[:1]:
            daemon.kill()
            await daemon.wait()
        got = await self.ask_edge("/text.txt", "--include")
        self.assertRegex(got.stdout, "^HTTP/1.1 50[23] ")
        self.assertIn('"error": "', got.stdout)
        for _ in range(10):
            got = await self.curl_site(edge, "/text.txt", "--fail", host="two.example.com")
            self.assertEqual((got.status, len(got.stdout)), (0, len(TEXT)), got.stderr)


def parted(curled: Curled) -> tuple[str, list[str], str]:
    """The status, the fields that are the backend's, and the body."""
    head, _, body = curled.stdout.partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    kept = (field for field in fields if not field.lower().startswith(OWN))
    return status, sorted(kept), body
