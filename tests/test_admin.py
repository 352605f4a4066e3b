"""The admin port: what it says, and to whom."""

from __future__ import annotations

import json
import typing

from prometheus_client.parser import text_string_to_metric_families

from aluvia.testing.ended import ConnectionEnded
from aluvia.testing.faults import Stall
from aluvia.testing.http import read_response
from tests.aluvia_process import until
from tests.support import ProxyCase


class AdminTests(ProxyCase):
    """Its pages."""

    async def test_health_and_readiness(self) -> None:
        """Alive, and with a configuration."""
        proxy = await self.aluvia(gateway=self.gateway())
        for path in ("/healthz", "/readyz"):
            self.assertEqual((await proxy.admin(path)).status, 200, path)
            self.assertIsInstance(await proxy.admin_json(path), dict)

    async def test_forms(self) -> None:
        """JSON or plain text, by Accept."""
        proxy = await self.aluvia(gateway=self.gateway())
        for path in (
            *("/", "/healthz", "/readyz", "/connections", "/ledger"),
            "/explain?host=www.example.com",
        ):
            answer = await proxy.admin(path, b"Accept: application/json\r\n")
            self.assertIn(b"application/json", answer.header(b"content-type") or b"")
            json.loads(answer.body)
            answer = await proxy.admin(path, b"Accept: text/plain\r\n")
            self.assertIn(b"text/plain", answer.header(b"content-type") or b"", path)
            self.assert_no_secret(answer.body)

    async def test_metrics(self) -> None:
        """Prometheus text: requests by way and outcome, bytes by way, tunnels, latencies."""
        origin = self.origin()
        proxy = await self.aluvia(gateway=self.gateway())
        before = await proxy.metrics()
        for host in ("127.0.0.1", "www.example.com"):
            for _ in range(3):
                await self.get(proxy, f"http://{host}:{origin.port}/")
        await self.get(proxy, f"http://127.0.0.1:{proxy.port}/")
        connection, _ = await self.tunnel(proxy, f"127.0.0.1:{origin.port}")
        during = await proxy.metrics()
        connection.close()

        def grown(*parts: str) -> float:
            return sum(
                value - before.get(name, 0)
                for name, value in during.items()
                if all(part in name for part in parts)
            )

        self.assertEqual(grown("requests_total", 'way="gateway"', 'outcome="ok"'), 3)
        self.assertEqual(grown("requests_total", 'way="direct"', 'outcome="ok"'), 3)
        self.assertEqual(grown("requests_total", 'outcome="proxy_loop_detected"'), 1)
        self.assertGreater(grown("bytes_total", 'way="direct"'), 300)
        self.assertEqual(grown("tunnels"), 1)
        self.assertGreater(grown("connect", "_count"), 0)

        answer = await proxy.admin("/metrics")
        self.assertIn(b"text/plain", answer.header(b"content-type") or b"")
        families = list(text_string_to_metric_families(answer.body.decode()))
        self.assertTrue(all(family.documentation for family in families))
        names = {family.name for family in families}
        self.assertTrue({name for name in names if name.startswith("aluvia_")}, names)

    async def test_connections(self) -> None:
        """A live tunnel is listed with host, way, rule, bytes and age; it goes when it ends."""
        peer = self.peer([Stall()])
        proxy = await self.aluvia(gateway=self.gateway())
        connection, _ = await self.tunnel(proxy, f"www.example.com:{peer.port}")
        await connection.send(b"12345")
        text = ""

        async def listed() -> bool:
            nonlocal text
            text = json.dumps(await proxy.admin_json("/connections"))
            return "www.example.com" in text

        self.assertTrue(await listed())
        self.assertIn("gateway", text)
        self.assertIn("*.example.com", text)
        connection.reset()
        await proxy.at_rest()
        self.assertFalse(await listed())

    async def test_explain(self) -> None:
        """The way, the rule that settled it, and the rules that lost."""
        proxy = await self.aluvia(
            gateway=self.gateway(), rules=["*", "*.example.com", "-www.example.com"]
        )
        for host, way, rule in (
            ("a.example.com", "gateway", None),
            ("WWW.Example.com.", "direct", "-www.example.com"),
            ("other.test", "gateway", "*"),
        ):
            explained = await proxy.admin_json(f"/explain?host={host}")
            self.assertEqual(explained["way"], way)
            if rule:
                self.assertEqual(explained["rule"], rule)
        for path in ("/explain", "/explain?host=", "/explain?host=a%20b", "/explain?host=%ff"):
            answer = await proxy.admin(path)
            self.assertEqual(answer.status, 400, path)
            self.assertNotIn(b"Traceback", answer.body)

    async def test_ledger(self) -> None:
        """Requests and bytes by host, way and rule; a tunnel counts while it is open, and once."""
        origin = self.origin()
        proxy = await self.aluvia(gateway=self.gateway())
        for host in ("www.example.com", "www.example.com", "127.0.0.1"):
            await self.get(proxy, f"http://{host}:{origin.port}/")
        peer = self.peer([Stall()])
        connection, _ = await self.tunnel(proxy, f"www.example.com:{peer.port}")
        await connection.send(b"x" * 100_000)
        rows: list[dict[str, typing.Any]] = []
        while not rows or rows[0]["bytes_up"] < 100_000:
            rows = (await proxy.admin_json("/ledger"))["rows"]
        self.assertEqual(
            [("www.example.com", "gateway", "*.example.com", 3), ("127.0.0.1", "direct", None, 1)],
            [(row["host"], row["way"], row["rule"], row["requests"]) for row in rows],
        )
        self.assertGreater(rows[1]["bytes_down"], 100)
        connection.reset()
        while (await proxy.admin_json("/connections"))["connections"]:
            pass
        data = await proxy.admin_json("/ledger?limit=1")
        self.assertEqual((4, 3), (data["total"]["requests"], data["rows"][0]["requests"]))
        text = (await proxy.admin("/ledger")).body.decode()
        self.assertEqual("www.example.com", text.splitlines()[1].split()[0])
        self.assertEqual((await proxy.admin("/ledger?limit=0")).status, 400)

    async def test_proxy_pac(self) -> None:
        """The rules for a browser, with the proxy's own address, and without the gateway's."""
        proxy = await self.aluvia(gateway=self.gateway(), rules=["*.example.com", "-*.test"])
        answer = await proxy.admin("/proxy.pac")
        self.assertEqual(answer.header(b"content-type"), b"application/x-ns-proxy-autoconfig")
        for text in (
            b"function FindProxyForURL(url, host)",
            b'"PROXY 127.0.0.1:%d"' % proxy.port,
            b'var included = {".example.com":1};',
            b'var excluded = {".test":1};',
        ):
            self.assertIn(text, answer.body)
        self.assert_no_secret(answer.body)

    async def test_page(self) -> None:
        """A browser gets a page with what the proxy does, and the style sheet that it names."""
        origin = self.origin()
        proxy = await self.aluvia(gateway=self.gateway())
        await self.get(proxy, f"http://www.example.com:{origin.port}/")
        answer = await proxy.admin("/", b"Accept: text/html,*/*;q=0.8\r\n")
        self.assertEqual(answer.header(b"content-type"), b"text/html; charset=utf-8")
        for text in (b"<h1", b"Ready", b"www.example.com", b"*.example.com", proxy.url.encode()):
            self.assertIn(text, answer.body)
        self.assert_no_secret(answer.body)
        self.assertIn(b'href="/style.css"', answer.body)
        style = await proxy.admin("/style.css")
        self.assertEqual(style.header(b"content-type"), b"text/css; charset=utf-8")

    async def test_unknown_pages_and_methods(self) -> None:
        """404 and 405, short, and nothing changes."""
        proxy = await self.aluvia()
        self.assertEqual((await proxy.admin("/nothing")).status, 404)
        self.assertEqual((await proxy.admin("/healthz/deeper")).status, 404)
        for method in (b"POST", b"PUT", b"DELETE", b"BREW"):
            connection = await self.dial(int(proxy.ports["admin"]))
            await connection.send(
                b"%b /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" % method
            )
            self.assertIn((await read_response(connection, method)).status, (405, 501))


class RebindingTests(ProxyCase):
    """Who may ask: nobody's web page (DNS rebinding)."""

    async def test_hosts(self) -> None:
        """Only 127.0.0.1 and localhost, with the port or without it."""
        proxy = await self.aluvia()
        port = b"%d" % proxy.ports["admin"]
        for host in (b"127.0.0.1", b"localhost", b"127.0.0.1:" + port, b"LOCALHOST:" + port):
            self.assertEqual((await proxy.admin("/healthz", host=host)).status, 200, host)
        for host in (b"evil.example", b"evil.example:" + port, b"127.0.0.1.evil.example",
                     b"localhost.evil.example:" + port, b"localhost@evil.example",
                     b"[::1]:80", b"a.localhost"):  # fmt: skip
            for path in (
                *("/", "/healthz", "/metrics", "/connections", "/explain?host=a", "/ledger"),
                *("/proxy.pac", "/style.css"),
            ):
                answer = await proxy.admin(path, host=host)
                self.assertIn(answer.status, (400, 403, 421), (host, path))
                self.assertNotIn(b"aluvia_", answer.body)
                self.assertNotIn(proxy.url.encode(), answer.body)

    async def test_no_host(self) -> None:
        """HTTP/1.0 without a Host is not answered either."""
        proxy = await self.aluvia()
        connection = await self.dial(int(proxy.ports["admin"]))
        await connection.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        self.assertIn((await read_response(connection)).status, (400, 403, 421))

    async def test_no_cors(self) -> None:
        """Nothing lets a page of another origin read an answer."""
        proxy = await self.aluvia()
        answer = await proxy.admin("/metrics", b"Origin: http://evil.example\r\n")
        names = {name for name, _ in answer.headers}
        self.assertFalse({name for name in names if name.startswith(b"access-control")})

    async def test_garbage(self) -> None:
        """Bytes that are no request do not disturb the service."""
        proxy = await self.aluvia()
        for garbage in (b"\x16\x03\x01\0\0", b"GET\r\n\r\n", b"\0" * 100_000, b"A" * 1_000_000):
            connection = await self.dial(int(proxy.ports["admin"]))
            try:
                await connection.send(garbage + b"\r\n\r\n")
                connection.finish()
                await connection.read_away()
            except ConnectionEnded:
                # It was reset with some of the garbage still unread.
                self.assertIsNotNone(connection.ended)
        self.assertEqual((await proxy.admin("/healthz")).status, 200)
        await until(lambda: proxy.sockets() <= proxy.sockets_at_rest, 10, "all is closed")
