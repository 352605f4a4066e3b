"""Tests for :mod:`aluvia.gateway.control_api`: what operators look at, and what is not there."""

from __future__ import annotations

import typing

from aluvia.gateway import control_api
from aluvia.gateway.test.control_case import ControlCase


class OtherTests(ControlCase):
    """What operators look at, and what is not there."""

    async def test_health(self) -> None:
        """Alive."""
        reply = await self.ask("/healthz")
        self.assertEqual(reply.status, 200)
        self.assertEqual((reply.json()["status"], reply.json()["uptime"]), ("ok", 10.0))

    async def test_ready(self) -> None:
        """Ready; not while it drains or is full."""
        self.assertTrue((await self.ask("/readyz")).json()["ready"])
        self.assertIsNone((await self.ask("/readyz")).json()["last_error"])
        self.observed.store_problem = "/var/lib/gateway.db: disk I/O error"
        reply = await self.ask("/readyz")
        self.assertEqual(reply.status, 200)
        self.assertIn("The store cannot be read", reply.json()["last_error"])
        # Strangers on the customers' port may ask.
        self.assertNotIn(b"gateway.db", reply.body)
        self.observed.accepting = False
        self.assertEqual((await self.ask("/readyz")).status, 503)
        self.observed.draining = True
        reply = await self.ask("/readyz")
        self.assertEqual((reply.status, reply.json()["ready"]), (503, False))
        self.assertIn("draining", reply.json()["reason"])

    async def test_metrics(self) -> None:
        """The numbers, in either format."""
        self.observed.counters.request_ended("direct", "ok")
        reply = await self.ask("/metrics")
        self.assertIn(b'aluvia_gateway_requests_total{outcome="ok",way="direct"} 1.0', reply.body)
        self.assertIn(b"aluvia_gateway_accounts 1.0", reply.body)
        self.assertTrue(reply.fields["content-type"].startswith("text/plain"))
        asked = await self.ask("/metrics", "Accept: application/openmetrics-text")
        self.assertTrue(asked.fields["content-type"].startswith("application/openmetrics-text"))

    async def test_nothing_there(self) -> None:
        """404, as a problem and with no way elsewhere."""
        for target in (
            "/",
            "/v1",
            "/v1/",
            "/v1/user/",
            "//v1/user",
            "/v1/users",
            "/V1/user",
            "/v1//user",
        ):
            self.assert_problem(await self.ask(target, self.bearer), 404, "not_found")

    async def test_methods(self) -> None:
        """405, as a problem that says which there are."""
        for target, method, allow in (
            ("/v1/user", "PUT", "GET, HEAD, PATCH"),
            ("/v1/user", "OPTIONS", "GET, HEAD, PATCH"),
            ("/v1/user/monitor", "PATCH", "GET, HEAD"),
            ("/healthz", "POST", "GET, HEAD"),
            ("/metrics", "BREW", "GET, HEAD"),
        ):
            reply = await self.ask(target, self.bearer, method=method)
            self.assert_problem(reply, 405, "method_not_allowed")
            self.assertEqual(reply.fields["allow"], allow)

    async def test_bug(self) -> None:
        """500, as a problem, with the log knowing more."""

        def broken(*arguments: object) -> typing.NoReturn:
            raise ZeroDivisionError

        self.patch(control_api, "health", broken)
        self.assert_problem(await self.ask("/healthz"), 500, "internal_error")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
