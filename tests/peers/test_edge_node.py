"""Node behind the edge, and Node, undici, ws and curl in front of it."""

from __future__ import annotations

import os

from tests.peers.edge import HOST, Edge
from tests.peers.edge_node import NodeCase, seen


class EdgeNodeTests(NodeCase):
    """A site that streams."""

    async def start(self, **more: object) -> Edge:
        """Start it, and an edge with a route and a certificate for it."""
        port = await self.start_node()
        edge = await self.edge()
        await edge.route(HOST, port, **more)
        await self.certify(edge, HOST)
        return edge

    async def test_clients_of_node(self) -> None:
        """Chunks, trailers both ways, streamed uploads, events, WebSockets; inside TLS as well."""
        edge = await self.start()
        bases = [f"http://{HOST}:{edge.port}", f"https://{HOST}:{edge.https}"]
        await self.ask_by_node(*bases)

    async def test_what_the_site_sees(self) -> None:
        """Its name, who asks and how; nothing that a client has made up, and nothing twice."""
        edge = await self.start(headers={"X-Injected": "by the route"}, forwarded=True)
        made_up = (
            "X-Forwarded-For: 6.6.6.6",
            "X_Forwarded_For: 6.6.6.6",
            "X-Real-IP: 6.6.6.6",
            "Forwarded: for=6.6.6.6",
            "X-Forwarded-Proto: gopher",
            "X-Forwarded-Prefix: /6.6.6.6",
            "Connection: X-Forwarded-For, X-Mine",
            "X-Mine: gone",
            "X-Injected: 6.6.6.6",
            "TE: trailers, gzip",
            "X-Request-ID: id-6",
            "X-Odd_Name: stays",
        )
        fields = [word for field in made_up for word in ("--header", field)]
        for tls in (False, True):
            port, scheme = (edge.https, "https") if tls else (edge.port, "http")
            got = await self.curl_site(edge, "/seen?a=%20b", *fields, tls=tls)
            told = seen(got)
            self.assertEqual((told.method, told.url, told.version), ("GET", "/seen?a=%20b", "1.1"))
            self.assertNotIn("6.6.6.6", got.stdout)
            self.assertNotIn("X-Mine", told.fields)
            wanted = {
                "Host": f"{HOST}:{port}",
                "X-Forwarded-For": "127.0.0.1",
                "X-Real-IP": "127.0.0.1",
                "X-Forwarded-Proto": scheme,
                "X-Forwarded-Host": f"{HOST}:{port}",
                "X-Forwarded-Port": str(port),
                "X-Injected": "by the route",
                "X-Request-ID": "id-6",
                "X-Odd_Name": "stays",
                "Forwarded": f'for=127.0.0.1;host="{HOST}:{port}";proto={scheme}',
            }
            self.assertEqual({name: told.fields.get(name) for name in wanted}, wanted)

    async def test_other_versions(self) -> None:
        """What asks for HTTP/2 in the clear gets HTTP/1.1, and the site hears nothing of it."""
        edge = await self.start()
        got = await self.curl_site(edge, "/seen", "--http2", "--include")
        self.assertEqual(got.status, 0, got)
        self.assertTrue(got.stdout.startswith("HTTP/1.1 200 "), got)
        self.assertNotIn("pgrade", got.stdout)
        self.assertNotIn("HTTP2-Settings", got.stdout)
        got = await self.curl_site(edge, "/seen", "--http2", "--include", tls=True)
        self.assertTrue(got.stdout.startswith("HTTP/1.1 200 "), got)
        got = await self.curl_site(edge, "/seen", "--http2-prior-knowledge")
        self.assertNotEqual(got.status, 0)
        got = await self.curl_site(edge, "/seen", "--http1.0")
        self.assertEqual(seen(got).version, "1.1")
        got = await self.curl_site(
            edge, "/echo", "--header", "Upgrade: odd/1", "--header", "Connection: Upgrade",
            "--data", "still asked",
        )  # fmt: skip
        self.assertEqual(got.stdout, "still asked")

    async def test_hints_and_expectations(self) -> None:
        """103 and 100 arrive where they are understood; 417 in place of 100 does as well."""
        edge = await self.start()
        got = await self.curl_site(edge, "/hints", "--include")
        self.assertRegex(
            got.stdout, r"(?s)^HTTP/1.1 103 .*Link: </style.css>.*HTTP/1.1 200 .*hinted\n$"
        )
        got = await self.curl_site(edge, "/hints", "--include", "--http1.0")
        self.assertNotIn("103", got.stdout.partition("\r\n")[0])
        body = ("--header", "Expect: 100-continue", "--data-binary", "x" * 100_000)
        got = await self.curl_site(edge, "/echo", "--include", *body)
        self.assertTrue(got.stdout.startswith("HTTP/1.1 100 "), got.stdout[:100])
        self.assertIn("x" * 100_000, got.stdout)
        got = await self.curl_site(edge, "/echo", "--include", *body, "--header", "X-Refuse: 1")
        self.assertIn("HTTP/1.1 417 ", got.stdout)
        self.assertNotIn("HTTP/1.1 100 ", got.stdout)

    async def test_answers_that_break_off(self) -> None:
        """They are short for the client too; one that never began is a 502."""
        edge = await self.start()
        for tls in (False, True):
            # 18: some of it is missing; 56: the connection broke.
            for target in ("/short", "/cut"):
                got = await self.curl_site(edge, target, tls=tls)
                self.assertIn(got.status, (18, 56), (target, tls, got))
            got = await self.curl_site(edge, "/reset", "--data", "a=1", "--include", tls=tls)
            self.assertIn("HTTP/1.1 502 ", got.stdout)
            got = await self.curl_site(edge, "/hints", "--fail", tls=tls)
            self.assertEqual(got.status, 0, got)

    async def test_early_answer(self) -> None:
        """
        Who is still sending gets it, though the site has closed meanwhile, which is a reset for
        whoever goes on sending to it; and the site is none the worse for it.
        """
        edge = await self.start()
        with open("upload", "wb") as file:
            file.truncate(20_000_000)
        upload = ("--upload-file", os.path.abspath("upload"))
        for tls in (False, True):
            for field in ("Expect:", "Expect: 100-continue", "Transfer-Encoding: chunked") * 3:
                got = await self.curl_site(edge, "/early", *upload, "--header", field, tls=tls)
                self.assertEqual(got.stdout, "early\n", (got, tls, field))
        (member,) = await edge.members(HOST)
        self.assertEqual((member["isDead"], member["failureCount"]), (False, 0))
        self.assertEqual((await edge.since_start())["errors"]["byCause"], {})
