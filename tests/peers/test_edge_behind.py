"""HAProxy and nginx in front of the edge, which say who their client is."""

from __future__ import annotations

import os
import socket

from tests.peers.edge import HOST, Edge
from tests.peers.edge_nginx import start_nginx_of
from tests.peers.edge_node import NodeCase, Seen, seen
from tests.peers.support import free_port, in_thread, need_module, need_program

#: Where clients come from. The proxies reach the edge from 127.0.0.1.
CLIENT = "127.0.0.2"

_HAPROXY = """
global
    maxconn 200
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout tunnel 30s
{sections}
"""

#: A way in that passes bytes on, behind a header.
_BYTES = """
listen {name}
    mode tcp
    bind {address}:{port}
    server edge 127.0.0.1:{edge} {options}
"""

#: One that speaks HTTP, and HTTP/2 with its clients.
_HTTP = """
listen http
    mode http
    bind 127.0.0.1:{port} ssl crt {pem} alpn h2,http/1.1
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Port 443
    server edge 127.0.0.1:{edge} check inter 100ms
"""

_NGINX = """
    map $http_upgrade $upgrading {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{edge};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $upgrading;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
"""


class FrontCase(NodeCase):
    """A proxy in front of an edge in front of Node."""

    async def start_edge(self, *options: str) -> Edge:
        """Start the two at the back."""
        port = await self.start_node()
        edge = await self.edge(*options)
        await edge.route(HOST, port, forwarded=True)
        await self.certify(edge, HOST)
        return edge

    async def start_haproxy(self, port: int, sections: str) -> None:
        """Start it, with a section that listens at *port*."""
        program = need_program("haproxy", "haproxy")
        path = self.folder() / "haproxy.cfg"
        path.write_text(_HAPROXY.format(sections=sections))
        await self.daemon(port, program, "-db", "-f", str(path))

    async def told(
        self, port: int, *options: str, target: str = "/seen", scheme: str = "http"
    ) -> Seen:
        """What Node sees of a request to this port, of a client that claims to be another."""
        got = await self.curl(
            *("--interface", CLIENT, "--header", "X-Forwarded-For: 6.6.6.6"),
            *("--resolve", f"{HOST}:{port}:127.0.0.1", "--cacert", self.certificates.file()),
            *options,
            f"{scheme}://{HOST}:{port}{target}",
        )
        return seen(got)

    async def speak(self, port: int) -> None:
        """Have a WebSocket through all of them."""
        websockets = need_module("websockets.sync.client")

        def work() -> None:
            with (
                socket.create_connection(("127.0.0.1", port)) as connection,
                websockets.connect(f"ws://{HOST}:{port}/ws", sock=connection, max_size=None) as ws,
            ):
                for size in (5, 100_000, 2_000_000):
                    ws.send("x" * size)
                    self.assertEqual(len(ws.recv(timeout=20)), size)

        await in_thread(work)


class EdgeProxyProtocolTests(FrontCase):
    """A listener where connections begin with a header."""

    def ways(self, edge: Edge, **options: str) -> dict[str, tuple[int, str]]:
        """Sections of HAProxy for these ways of saying it; the port of each, and its text."""
        sections = {}
        for name, option in options.items():
            port = free_port()
            target = edge.https if name.startswith("tls") else edge.port
            address = "[::1]" if name.endswith("6") else "127.0.0.1"
            sections[name] = (
                port,
                _BYTES.format(name=name, address=address, port=port, edge=target, options=option),
            )
        return sections

    async def test_both_versions(self) -> None:
        """The client is who the header says, whatever it says itself; inside TLS as well."""
        edge = await self.start_edge(
            *("--http", "127.0.0.1:0,proxy_protocol", "--https", "127.0.0.1:0,proxy_protocol")
        )
        ways = self.ways(
            edge,
            v1="send-proxy",
            v2="send-proxy-v2",
            additions="send-proxy-v2 proxy-v2-options crc32c,unique-id",
            tls_v1="send-proxy",
            tls_v2="send-proxy-v2",
        )
        await self.start_haproxy(ways["v1"][0], "".join(text for _, text in ways.values()))
        for name, (port, _) in ways.items():
            scheme = "https" if name.startswith("tls") else "http"
            for _ in range(2):
                told = await self.told(port, scheme=scheme)
                self.assertEqual(
                    [told.fields[field] for field in ("X-Forwarded-For", "X-Real-IP")],
                    [CLIENT, CLIENT],
                    name,
                )
                self.assertEqual(told.fields["X-Forwarded-Proto"], scheme)
        await self.speak(ways["v2"][0])
        self.assertNotIn("Reset", edge.output)

    async def test_ipv6(self) -> None:
        """Its address is told as it is; in Forwarded with its brackets and quotes."""
        edge = await self.start_edge("--http", "127.0.0.1:0,proxy_protocol")
        ways = self.ways(edge, plain="send-proxy-v2", v1_6="send-proxy", v2_6="send-proxy-v2")
        await self.start_haproxy(ways["plain"][0], "".join(text for _, text in ways.values()))
        for name in ("v1_6", "v2_6"):
            port = ways[name][0]
            got = await self.curl("--header", f"Host: {HOST}", f"http://[::1]:{port}/seen")
            told = seen(got)
            self.assertEqual(told.fields["X-Real-IP"], "::1")
            self.assertEqual(told.fields["X-Forwarded-For"], "::1")
            self.assertTrue(told.fields["Forwarded"].startswith('for="[::1]";'), told)

    async def test_checks_and_strangers(self) -> None:
        """HAProxy's own checks are no clients; who sends no header is reset, and costs nobody."""
        edge = await self.start_edge("--http", "127.0.0.1:0,proxy_protocol")
        checks = "check inter 50ms send-proxy-v2"
        ways = self.ways(edge, v2=checks, v1="check inter 50ms send-proxy")
        await self.start_haproxy(ways["v2"][0], "".join(text for _, text in ways.values()))
        got = await self.curl(f"http://127.0.0.1:{edge.port}/seen")
        self.assertIn(got.status, (52, 56), got)
        got = await self.curl("--haproxy-protocol", f"http://127.0.0.1:{edge.port}/", "--include")
        self.assertIn("HTTP/1.1 404 ", got.stdout)
        for port, _ in ways.values():
            self.assertEqual((await self.told(port)).fields["X-Real-IP"], CLIENT)
        self.assertEqual((await edge.since_start())["requests"], 3)


class EdgeForwardedTests(FrontCase):
    """Proxies that are trusted to say it in fields."""

    async def test_haproxy(self) -> None:
        """HTTP/2 inside TLS in front of it: https is what the client used, and stays."""
        edge = await self.start_edge("--trusted-proxy", "127.0.0.1/32")
        await edge.change("PATCH", f"/routes/{HOST}", {"autoHttps": True})
        folder = self.folder()
        certificate, key = self.certificate_files(folder, HOST)
        pem = folder / "both.pem"
        pem.write_bytes(certificate.read_bytes() + key.read_bytes())
        port = free_port()
        await self.start_haproxy(port, _HTTP.format(port=port, pem=pem, edge=edge.port))
        for version in ("--http2", "--http1.1"):
            told = await self.told(port, version, scheme="https")
            self.assertEqual(told.fields["X-Real-IP"], CLIENT)
            self.assertEqual(told.fields["X-Forwarded-For"], f"6.6.6.6, {CLIENT}, 127.0.0.1")
            self.assertEqual(told.fields["X-Forwarded-Proto"], "https")
            self.assertEqual(told.fields["X-Forwarded-Port"], "443")
            self.assertTrue(told.fields["Forwarded"].startswith(f"for={CLIENT};"), told)

    async def test_nginx(self) -> None:
        """Its client is judged by: who may ask, and who does so too often. A WebSocket passes."""
        edge = await self.start_edge("--trusted-proxy", "127.0.0.1")
        port = free_port()
        await start_nginx_of(self, self.folder(), _NGINX.format(port=port, edge=edge.port), port)
        told = await self.told(port)
        self.assertEqual(told.fields["X-Real-IP"], CLIENT)
        self.assertEqual(told.fields["X-Forwarded-For"], f"6.6.6.6, {CLIENT}, 127.0.0.1")
        await self.speak(port)
        with open("upload", "wb") as file:
            file.truncate(3_000_000)
        upload = ("--upload-file", os.path.abspath("upload"), "--output", os.devnull)
        got = await self.curl(
            *("--resolve", f"{HOST}:{port}:127.0.0.1", *upload, "--write-out"),
            *("%{http_code} %{size_download}", f"http://{HOST}:{port}/echo"),
        )
        self.assertEqual(got.stdout, "200 3000000", got)
        await edge.change("PATCH", f"/routes/{HOST}", {"deny": [f"{CLIENT}/32"]})
        for source, status in ((CLIENT, "403"), ("127.0.0.3", "200")):
            got = await self.curl(
                *("--interface", source, "--resolve", f"{HOST}:{port}:127.0.0.1"),
                *("--output", os.devnull, "--write-out", "%{http_code}"),
                f"http://{HOST}:{port}/seen",
            )
            self.assertEqual(got.stdout, status, source)

    async def test_strangers(self) -> None:
        """Who is no trusted proxy is taken for itself, whatever it says."""
        edge = await self.start_edge("--trusted-proxy", "127.0.0.1")
        told = await self.told(edge.port, "--header", "X-Forwarded-Proto: https")
        self.assertEqual(told.fields["X-Real-IP"], CLIENT)
        self.assertEqual(told.fields["X-Forwarded-For"], CLIENT)
        self.assertEqual(told.fields["X-Forwarded-Proto"], "http")
