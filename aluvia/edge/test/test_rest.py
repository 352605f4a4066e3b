"""Tests for :mod:`aluvia.edge.rest` and :mod:`aluvia.edge.rest_other`: who may, and the rest."""

from __future__ import annotations

import re
import typing

from aluvia.api.test.site_case import Reply
from aluvia.edge import rest
from aluvia.edge.test.rest_case import TOKEN, RestCase


class TokenTests(RestCase):
    """Who may ask."""

    async def test_refused(self) -> None:
        """401 with a challenge, for every path and method, be it there or not; none learns more."""
        targets = {
            (path.method, re.sub(r"<\w+>", "a", path.rule))
            for path in self.api.paths
            if not path.public
        }
        targets |= {("GET", "/"), ("GET", "/nowhere"), ("BREW", "/api/v1/routes"), ("GET", "//")}
        for method, target in targets:
            for fields, token, code in (
                ([], None, "token_missing"),
                ([], "other", "token_invalid"),
                ([], TOKEN + "x", "token_invalid"),
                ([], TOKEN[:-1], "token_invalid"),
                (["Authorization: Basic YTpi"], None, "token_malformed"),
                ([f"Authorization: Bearer {TOKEN}"], TOKEN, "token_malformed"),
            ):
                reply = await self.ask(method, target, *fields, token=token)
                self.assertEqual(reply.status, 401, target)
                self.assertTrue(reply.fields["www-authenticate"].startswith("Bearer realm="))
                if method != "HEAD":
                    self.assert_problem(reply, 401, code)
                self.assertNotIn(TOKEN.encode(), reply.body)
        reply = await self.ask("GET", f"routes?access_token={TOKEN}", token=None)
        self.assert_problem(reply, 401, "token_missing")

    async def test_public(self) -> None:
        """Whether it is alive and ready is told to anybody, and so is how to ask."""
        public = {path.rule for path in self.api.paths if path.public}
        self.assertEqual(
            public,
            {
                "/healthz",
                "/readyz",
                "/api/v1/docs",
                "/api/v1/docs/viewer.css",
                "/api/v1/docs/viewer.js",
                "/api/v1/docs/token.js",
                "/tunnels",
                "/tunnels/tunnels.css",
                "/tunnels/tunnels.js",
            },
        )
        for target in public:
            self.assertEqual((await self.ask("GET", target, token=None)).status, 200)
        self.assert_problem(await self.ask("GET", "/healthz/", token=None), 401, "token_missing")

    async def test_body_of_a_stranger(self) -> None:
        """A body is not taken before a token is shown, wherever it is sent."""
        for target in ("routes", "/healthz", "/nowhere"):
            transport = self.begin("POST", target, "Content-Length: 1000000", token=None)
            self.assert_problem(Reply(transport.value()), 401, "token_missing")
            self.assertTrue(transport.disconnecting)
        # With it, it is waited for.
        self.assertEqual(self.begin("POST", "routes", "Content-Length: 1000000").value(), b"")

    async def test_long_body(self) -> None:
        """A body over the bound is refused by its length."""
        length = f"Content-Length: {rest.BOUNDS.body_bytes + 1}"
        reply = await self.ask("POST", "routes", length)
        self.assert_problem(reply, 413, "body_too_long")
        # All of it together may be longer.
        most = rest.BOUNDS.longer_bodies[b"/api/v1/config"]
        for target in ("config", "config?dry_run=1"):
            self.assertEqual(self.begin("PUT", target, f"Content-Length: {most}").value(), b"")
            reply = await self.ask("PUT", target, f"Content-Length: {most + 1}")
            self.assert_problem(reply, 413, "body_too_long")
        reply = await self.ask("PUT", "config/", length)
        self.assert_problem(reply, 413, "body_too_long")
        reply = await self.ask("POST", "routes", "Transfer-Encoding: chunked")
        self.assert_problem(reply, 411, "length_required")


class PathTests(RestCase):
    """What is there, and what is not."""

    async def test_nothing_there(self) -> None:
        """404, as a problem, and with no way elsewhere."""
        for target in (
            "/",
            "/api",
            "/api/v1",
            "/api/v1/",
            "/api/v1/routes/",
            "/api/v1//routes",
            "/api/v2/routes",
            "/API/v1/routes",
            "/api/v1/routes/a%2Fb",
            "/api/v1/routes/%ff",
            "/api/v1/routes/%zz",
            "/api%2Fv1/routes",
            "/api/v1/docs/model.py",
            "/api/v1/docs/..",
            "/api/v1/docs/%2e%2e/model.py",
            "/routes",
            "*",
        ):
            self.assert_problem(await self.ask("GET", target), 404, "not_found")

    async def test_methods(self) -> None:
        """405, as a problem that says which there are."""
        for target, method, allow in (
            ("/api/v1/routes", "PATCH", "GET, HEAD, POST"),
            ("/api/v1/routes/a", "POST", "DELETE, GET, HEAD, PATCH, PUT"),
            ("/api/v1/routes/a/backends/b/dead", "GET", "POST"),
            ("/api/v1/certificates", "DELETE", "GET, HEAD, POST"),
            ("/api/v1/config", "OPTIONS", "GET, HEAD, PUT"),
            ("/api/v1/log-level", "POST", "GET, HEAD, PUT"),
            ("/healthz", "POST", "GET, HEAD"),
            ("/metrics", "BREW", "GET, HEAD"),
        ):
            reply = await self.ask(method, target)
            self.assert_problem(reply, 405, "method_not_allowed")
            self.assertEqual(reply.fields["allow"], allow)

    async def test_head(self) -> None:
        """A HEAD is a GET without its body."""
        await self.add_route("a.example")
        for target in ("routes", "routes/a", "stats", "/healthz", "/metrics", "config"):
            reply, headed = await self.get(target), await self.ask("HEAD", target)
            self.assertEqual((headed.status, headed.body), (200, b""))
            self.assertEqual(headed.fields.get("etag"), reply.fields.get("etag"))

    async def test_queries(self) -> None:
        """A parameter that is not known is not passed over."""
        for target in ("routes?x=1", "routes?dry_run=1", "/healthz?verbose", "config?secret=1"):
            self.assert_problem(await self.get(target), 400, "unknown_parameter")

    async def test_bug(self) -> None:
        """500, as a problem, with the log knowing more."""

        def broken(route_id: str | None) -> typing.NoReturn:
            raise ZeroDivisionError("SECRET")

        self.patch(self.observed, "stats", broken)
        reply = await self.get("stats")
        self.assert_problem(reply, 500, "internal_error")
        self.assertNotIn(b"SECRET", reply.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class OtherTests(RestCase):
    """What operators look at."""

    async def test_health(self) -> None:
        """Alive; and ready, or not and why."""
        self.assertEqual((await self.get("/healthz")).json(), {"status": "ok"})
        self.assertEqual((await self.get("/readyz")).status, 200)
        self.observed.ready = False
        reply = await self.get("/readyz")
        self.assertEqual((reply.status, reply.json()["ready"]), (503, False))
        self.assertIn("draining", reply.json()["reason"])

    async def test_metrics(self) -> None:
        """The numbers, in either format."""
        reply = await self.get("/metrics")
        self.assertIn(b"aluvia_edge_routes 7.0", reply.body)
        self.assertTrue(reply.fields["content-type"].startswith("text/plain"))
        asked = await self.get("/metrics", "Accept: application/openmetrics-text")
        self.assertTrue(asked.fields["content-type"].startswith("application/openmetrics-text"))

    async def test_stats(self) -> None:
        """Of all, and of one route, by its vhost or its id."""
        await self.add_route("*.a.example", id="a")
        self.assertEqual((await self.get("stats")).json(), {"route": None})
        for name in ("a", "%2A.a.example", "*.A.example."):
            self.assertEqual((await self.get(f"stats/{name}")).json(), {"route": "a"})
        self.assert_problem(await self.get("stats/b.a.example"), 404, "not_found")

    async def test_log_level(self) -> None:
        """It is shown, and can be made another one, until the process ends."""
        self.assertEqual((await self.get("log-level")).json(), {"level": "info"})
        tried = await self.done("PUT", "log-level?dry_run=1", body={"level": "silent"})
        self.assertEqual((tried, self.observed.log_level), ({"level": "silent"}, "info"))
        await self.done("PUT", "log-level", body={"level": "debug"})
        self.assertEqual(self.observed.log_level, "debug")
        cases: list[tuple[dict[str, object], list[str]]] = [
            ({}, ["/level"]),
            ({"level": "loud"}, ["/level"]),
            ({"level": ["info"]}, ["/level"]),
            ({"level": "info", "a/b": 1}, ["/a~1b"]),
            ({"lev": "info"}, ["/lev", "/level"]),
        ]
        for body, pointers in cases:
            self.assert_faults(await self.ask("PUT", "log-level", body=body), *pointers)
        self.assertEqual(self.observed.log_level, "debug")
