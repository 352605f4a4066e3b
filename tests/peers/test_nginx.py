"""nginx behind the proxy: TLS and HTTP/2 through CONNECT, and plain http in every framing."""

from __future__ import annotations

import hashlib
import os

from tests.peers.nginx import start_nginx
from tests.peers.support import PeerCase

TEXT = b"".join(b"%d lines of text\n" % number for number in range(20_000))
HOSTS = ("localhost", "www.example.com")


class NginxTests(PeerCase):
    """Each by both ways."""

    async def start(self) -> None:
        """Start nginx and a proxy."""
        self.nginx = await start_nginx(self, {"text.txt": TEXT, "big": 50_000_000})
        self.proxy = await self.plain_proxy()
        self.curl_options = ("--proxy", self.proxy.url, "--cacert", self.certificates.file())

    async def test_http_2_behind_connect(self) -> None:
        """curl and nginx agree on HTTP/2 inside the tunnel, and move 50 MB in it."""
        await self.start()
        for host in HOSTS:
            base = f"https://{host}:{self.nginx.tls_port}"
            curled = await self.curl("--http2", *self.curl_options, f"{base}/version")
            self.assertEqual(curled.status, 0, curled)
            self.assertIn("HTTP/2.0 TLSv1.", curled.stdout)
            curled = await self.curl(
                *("--http2", *self.curl_options, "--output", "/dev/null"),
                *("--write-out", "%{http_version} %{http_connect} %{size_download}", f"{base}/big"),
            )
            self.assertEqual(curled.stdout, "2 200 50000000", curled)

    async def test_framings(self) -> None:
        """Known length, chunked, until the connection closes; 1.1 and 1.0; whole each time."""
        await self.start()
        for host in HOSTS:
            for path in ("/text.txt", "/chunked/text.txt", "/until-close/text.txt"):
                for version in ("--http1.1", "--http1.0"):
                    curled = await self.curl(
                        *(version, "--compressed", *self.curl_options),
                        f"http://{host}:{self.nginx.port}{path}",
                    )
                    self.assertEqual(curled.status, 0, (path, version, curled.stderr))
                    self.assertEqual(
                        hashlib.sha256(curled.stdout.encode("latin-1")).digest(),
                        hashlib.sha256(TEXT).digest(),
                        (path, version),
                    )

    async def test_ranges_conditions_and_heads(self) -> None:
        """206, 304, 416, 404, 405 and HEAD, on one connection each."""
        await self.start()
        url = f"http://localhost:{self.nginx.port}/text.txt"
        for options, code in (
            (["--range", "0-9"], "206"),
            (["--range", "99999999-"], "416"),
            (["--head"], "200"),
            (["--header", "If-None-Match: *"], "304"),
            (["--request", "DELETE"], "405"),
        ):
            curled = await self.curl(
                *self.curl_options, *options, "--output", "/dev/null",
                "--write-out", "%{http_code} ", url, "--next",
                *self.curl_options, "--output", "/dev/null", "--write-out",
                "%{http_code} %{num_connects}", url,
            )  # fmt: skip
            self.assertIn(curled.stdout, (f"{code} 200 0", f"{code} 200 1"), curled)

    async def test_upload(self) -> None:
        """A body that nginx discards or refuses does not confuse what follows."""
        await self.start()
        with open("upload", "wb") as file:
            file.truncate(5_000_000)
        for host in HOSTS:
            for field in ("X-None: 1", "Transfer-Encoding: chunked", "Expect:"):
                curled = await self.curl(
                    *self.curl_options, "--header", field,
                    "--data-binary", f"@{os.path.abspath('upload')}",
                    f"http://{host}:{self.nginx.port}/version",
                )  # fmt: skip
                self.assertEqual(curled.status, 0, curled)
                self.assertEqual(curled.stdout, "HTTP/1.1  POST\n")
