"""curl in front of the edge: names and certificates, passwords, limits, and what it is told."""

from __future__ import annotations

import json
import os

from tests.peers.edge import HOST, Edge, EdgeCase
from tests.peers.edge_nginx import start_site

PASSWORD = "correct:horse:battery"


class EdgeCurlTests(EdgeCase):
    """One nginx, and routes to it that differ."""

    async def start(self, *options: str) -> Edge:
        """Start both."""
        site = await start_site(self, {"a.txt": b"here\n", "large.bin": 3_000_000})
        self.site_port = site.port
        return await self.edge(*options)

    async def test_names_and_certificates(self) -> None:
        """SNI chooses: exact, then the wildcard, then the default; another name's Host is a 421."""
        edge = await self.start()
        for host in (HOST, "*.wild.example.com", "deep.example.com"):
            await self.certify(edge, host)
        for host in (HOST, "*.wild.example.com", "one.wild.example.com", "*.example.com"):
            await edge.route(host, self.site_port)
        for host, status in (
            (HOST, 0),
            ("a.wild.example.com", 0),
            # It has a route of its own, and its certificate is the wildcard's.
            ("one.wild.example.com", 0),
            ("deep.example.com", 0),
            # The default is the first that was uploaded, which is for another name.
            ("else.example.com", 60),
            ("a.b.wild.example.com", 60),
        ):
            got = await self.curl_site(edge, "/a.txt", host=host, tls=True)
            self.assertEqual((got.status, got.stdout), (status, "here\n" * (not status)), host)
        other = ("--header", "Host: deep.example.com", "--write-out", "%{http_code}")
        got = await self.curl_site(edge, "/a.txt", *other, tls=True)
        self.assertTrue(got.stdout.endswith("421"), got)
        got = await self.curl_site(edge, "/a.txt", *other)
        self.assertEqual(got.stdout, "here\n200")

    async def test_a_certificate_is_replaced(self) -> None:
        """From one request to the next, with the same address and no gap."""
        edge = await self.start()
        await edge.route(HOST, self.site_port)
        numbers = set()
        for _ in range(3):
            await self.certify(edge, HOST)
            got = await self.curl_site(edge, "/a.txt", "--write-out", "%{certs}", tls=True)
            self.assertEqual(got.status, 0, got)
            numbers.add(got.stdout.partition("-----BEGIN")[2])
        self.assertEqual(len(numbers), 3)

    async def test_to_https(self) -> None:
        """308 where there is a certificate: method and body stay; the challenge stays plain."""
        edge = await self.start()
        await edge.route(HOST, self.site_port, autoHttps=True)
        got = await self.curl_site(edge, "/a.txt", "--write-out", "%{http_code}")
        self.assertEqual(got.stdout, "here\n200")
        await self.certify(edge, HOST)
        follow = (
            *("--location", "--resolve", f"{HOST}:{edge.https}:127.0.0.1"),
            *("--cacert", self.certificates.file(), "--write-out"),
            "%{http_code} %{num_redirects} %{scheme} %{method}",
        )
        got = await self.curl_site(edge, "/a.txt?a=b", *follow)
        self.assertEqual(got.stdout, "here\n200 1 HTTPS GET")
        got = await self.curl_site(edge, "/gone", *follow, "--request", "PUT", "--data", "x=1")
        self.assertEqual(got.stdout, "gone\n410 1 HTTPS PUT")
        challenge = "/.well-known/acme-challenge/x"
        got = await self.curl_site(edge, challenge, "--write-out", "%{http_code}")
        self.assertTrue(got.stdout.endswith("404"), got)

    async def test_passwords(self) -> None:
        """With colons in it; none, a wrong one and one that is cut are refused; nginx sees it."""
        edge = await self.start()
        users = [{"name": "alice", "password": PASSWORD}]
        await edge.change("POST", "/auth-providers", {"type": "basic", "id": "b", "users": users})
        await edge.route(HOST, self.site_port, authProvider="b")
        code = ("--output", os.devnull, "--write-out", "%{http_code}")
        for options, status in (
            ((), "401"),
            (("--user", f"alice:{PASSWORD}"), "200"),
            (("--anyauth", "--user", f"alice:{PASSWORD}"), "200"),
            (("--user", "alice:correct"), "401"),
            (("--user", f"bob:{PASSWORD}"), "401"),
            (("--oauth2-bearer", PASSWORD), "401"),
        ):
            got = await self.curl_site(edge, "/a.txt", *options, *code)
            self.assertEqual(got.stdout, status, options)

    async def test_limits(self) -> None:
        """By address, by rate, by size: 403, 429 with Retry-After, 413; each says why."""
        edge = await self.start()
        rate = {"perSecond": 0.01, "burst": 2}
        await edge.route("deny.example.com", self.site_port, deny=["127.0.0.0/8"])
        await edge.route("rate.example.com", self.site_port, rateLimit=rate)
        await edge.route("size.example.com", self.site_port, maxBodyBytes=1000)
        body = ("--data-binary", "x" * 1001)
        chunked = ("--header", "Transfer-Encoding: chunked")
        for host, options, status in (
            ("deny.example.com", (), 403),
            ("rate.example.com", (), 200),
            ("rate.example.com", (), 200),
            ("rate.example.com", (), 429),
            ("size.example.com", body, 413),
            ("size.example.com", (*body, *chunked), 413),
            ("size.example.com", ("--data-binary", "x" * 1000), 405),
        ):
            got = await self.curl_site(edge, "/a.txt", "--include", *options, host=host)
            self.assertEqual(got.status, 0, got)
            head, _, said = got.stdout.partition("\r\n\r\n")
            self.assertIn(f"HTTP/1.1 {status} ", head)
            if status not in (200, 405):
                self.assertEqual(json.loads(said)["status"], status)
                self.assertRegex(head, "(?i)proxy-status: aluvia-edge; ?error=http_request_")
                self.assertEqual("retry-after" in head.lower(), status == 429)

    async def test_its_own_failures(self) -> None:
        """A page for who reads pages, problem details for others; with the request's id."""
        edge = await self.start()
        await edge.route("none.example.com")
        for host, status in (("unknown.example.com", 404), ("none.example.com", 503)):
            ask = ("--include", "--header", "X-Request-ID: r-1")
            got = await self.curl_site(edge, "/", *ask, host=host)
            head, _, said = got.stdout.partition("\r\n\r\n")
            self.assertIn(f"HTTP/1.1 {status} ", head)
            self.assertIn("application/problem+json", head)
            self.assertEqual(json.loads(said)["requestId"], "r-1")
            page = ("--header", "Accept: text/html,*/*;q=0.8")
            got = await self.curl_site(edge, "/", *ask, *page, host=host)
            self.assertIn("text/html", got.stdout)
            self.assertIn("<code>r-1</code>", got.stdout)

    async def test_many_at_once(self) -> None:
        """Sixty at once where five run and the others wait: all are answered, in their turn."""
        edge = await self.start()
        await edge.route(HOST, self.site_port, reqActiveLength=5, reqQueueLength=100)
        await self.certify(edge, HOST)
        for tls in (False, True):
            many = ("--parallel", "--parallel-immediate", "--parallel-max", "60")
            each = ("--output", "/dev/null", "--write-out", "%{http_code} %{size_download}\n")
            got = await self.curl_site(edge, "/large.bin?[1-60]", *many, *each, tls=tls)
            self.assertEqual(got.stdout, "200 3000000\n" * 60, got.stderr)
        told = await edge.since_start()
        self.assertGreater(told["queue"]["requests"], 0)
        self.assertEqual((told["errors"]["count"], told["answers"]["2xx"]), (0, 120))
        await edge.change("PATCH", f"/routes/{HOST}", {"reqActiveLength": 1, "reqQueueLength": 0})
        got = await self.curl_site(edge, "/large.bin?[1-60]", *many, *each)
        codes = [line.split()[0] for line in got.stdout.splitlines()]
        self.assertEqual(set(codes), {"200", "503"}, got)

    async def test_ipv6(self) -> None:
        """A listener of IPv6, asked by its address and by a name."""
        edge = await self.start("--http", "[::1]:0")
        await edge.route("*", self.site_port)
        for options, url in (
            ((), f"http://[::1]:{edge.port}/a.txt"),
            (("--resolve", f"{HOST}:{edge.port}:[::1]"), f"http://{HOST}:{edge.port}/a.txt"),
        ):
            got = await self.curl(*options, url)
            self.assertEqual(got.stdout, "here\n", got)
