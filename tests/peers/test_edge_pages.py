"""What ``edge-behind-a-balancer`` gives nginx and HAProxy, in front of an edge."""

from __future__ import annotations

import json
import pathlib
import typing

from aluvia.testing.origin import FakeOrigin
from tests.aluvia_process import Child
from tests.peers.support import PeerCase, free_port, need_program
from tests.test_edge_pages import EdgePageCase

PAGE = "edge-behind-a-balancer"

_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""

_HAPROXY = """
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
"""


class BalancerTests(EdgePageCase, PeerCase):
    """Each as the page has it, but for ports and addresses."""

    timeout = 120

    def setUp(self) -> None:
        """Both cases."""
        PeerCase.setUp(self)
        EdgePageCase.setUp(self)

    async def seen(self, site: FakeOrigin, line: str) -> dict[str, typing.Any]:
        """What the backend was asked by a curl that succeeds."""
        said = await self.finish(line)
        self.assertTrue(site.visits, said)
        return {name.lower(): value for name, value in json.loads(said)["headers"]}

    async def test_nginx(self) -> None:
        """Its client is the client, whatever that says of itself, and was asked over https."""
        line, _, _ = self.lines(PAGE)
        await self.run_edge(f"{line.replace('10.0.0.0/8', '127.0.0.1/32')} --https none")
        site = self.backend()
        await self.shop(site)
        port, folder = free_port(), self.folder()
        location = self.block(PAGE, "nginx", "location")
        location = location.replace("127.0.0.1:8080", f"127.0.0.1:{self.ports['http']}")
        location = location.replace("$scheme", "https")
        (folder / "nginx.conf").write_text(
            _NGINX.format(folder=folder, port=port, location=location)
        )
        program = need_program("nginx", "nginx-light")
        await self.daemon(
            *(port, program, "-e", f"{folder}/error.log", "-p", str(folder)),
            *("-c", f"{folder}/nginx.conf"),
        )
        fields = await self.seen(
            site,
            "curl -sS --interface 127.0.0.9 "
            "-H 'X-Forwarded-For: 6.6.6.6' -H 'Forwarded: for=7.7.7.7' "
            "-H 'X-Forwarded-Proto: http' -H 'X-Forwarded-Host: evil.example' "
            "-H 'X-Forwarded-Port: 666' "
            f"--resolve shop.localhost:{port}:127.0.0.1 http://shop.localhost:{port}/",
        )
        self.assertEqual(fields["x-forwarded-for"], "6.6.6.6, 127.0.0.9, 127.0.0.1")
        self.assertEqual(fields["x-real-ip"], "127.0.0.9")
        self.assertEqual(fields["x-forwarded-proto"], "https")
        self.assertEqual(fields["x-forwarded-host"], f"shop.localhost:{port}")
        self.assertEqual(fields["x-forwarded-port"], str(port))
        self.assertNotIn("forwarded", fields)

    async def test_haproxy(self) -> None:
        """TLS goes through it, with its client's address before."""
        _, line, _ = self.lines(PAGE)
        await self.finish(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
            "-subj /CN=shop.localhost -addext subjectAltName=DNS:shop.localhost "
            "-keyout shop.key -out shop.pem 2> /dev/null"
        )
        await self.run_edge(f"{line} --default-certificate shop.pem --default-key shop.key")
        site = self.backend()
        await self.shop(site)
        port = free_port()
        text = self.block(PAGE, "text", "send-proxy-v2")
        text = text.replace("bind :443", f"bind 127.0.0.1:{port}")
        text = text.replace("10.0.0.5:8443", f"127.0.0.1:{self.ports['https']}")
        path = self.write("haproxy.cfg", _HAPROXY + text)
        await self.haproxy(port, path)
        fields = await self.seen(
            site,
            "curl -sS --interface 127.0.0.9 --cacert shop.pem "
            f"--resolve shop.localhost:{port}:127.0.0.1 https://shop.localhost:{port}/",
        )
        self.assertEqual(fields["x-real-ip"], "127.0.0.9")
        self.assertEqual(fields["x-forwarded-proto"], "https")

    async def haproxy(self, port: int, path: pathlib.Path) -> Child:
        """Start it in the foreground."""
        program = need_program("haproxy", "haproxy")
        return await self.daemon(port, program, "-db", "-f", str(path))
