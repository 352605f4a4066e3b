"""Tests for :mod:`aluvia.client.admin_site`: HTTP as it should be."""

from __future__ import annotations

import typing

import hypothesis
from hypothesis import strategies
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.admin import Health
from aluvia.client.admin_site import (
    wants_json,
)
from aluvia.client.test.admin_case import PAGES, AdminCase
from aluvia.testing.properties import settings_for_tests


class ManneredTests(AdminCase):
    """HTTP as it should be."""

    def test_fields(self) -> None:
        """Never cached, never guessed at, never in another site's page, no banner, no CORS."""
        for target in (*PAGES, "/nothing"):
            fields = self.ask(target, "Origin: http://127.0.0.1:18788").fields
            self.assertEqual("no-store", fields["cache-control"])
            self.assertEqual("nosniff", fields["x-content-type-options"])
            self.assertEqual("same-origin", fields["cross-origin-resource-policy"])
            self.assertNotIn("server", fields)
            self.assertFalse([name for name in fields if name.startswith("access-control")])

    def test_head(self) -> None:
        """As GET, without the body."""
        self.observed.counters.request_ended("direct", "ok")
        for target in ("/healthz", "/readyz", "/connections", "/explain?host=a", "/nothing"):
            got, headed = self.ask(target), self.ask(target, method="HEAD")
            for reply in (got, headed):
                # The second may be another one by now.
                del reply.fields["date"]
            self.assertEqual((got.status, got.fields), (headed.status, headed.fields))
            self.assertEqual(b"", headed.body)
            self.assertEqual(len(got.body), int(headed.fields["content-length"]))

    def test_methods(self) -> None:
        """The others are not there; nothing here changes anything."""
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get"):
            reply = self.ask("/healthz", "Accept: application/json", method=method)
            self.assertEqual((405, "GET, HEAD"), (reply.status, reply.fields["allow"]), method)
            self.assertIn("error", reply.json())

    def test_unknown_pages(self) -> None:
        """404, in plain text or JSON, whatever the method; also for odd targets."""
        for target in (
            "/",
            "/nothing",
            "/healthz/",
            "/healthz/deeper",
            "/%68ealthz",
            "//healthz",
            "/HEALTHZ",
            "/../healthz",
            "*",
            "127.0.0.1:80",
            "http://127.0.0.1:18788/healthz",
            "/%ff",
        ):
            for method in ("GET", "POST", "OPTIONS"):
                reply = self.ask(target, method=method)
                self.assertEqual(404, reply.status, target)
                self.assertTrue(reply.fields["content-type"].startswith("text/plain"))
        self.assertIn("error", self.ask("/nothing", "Accept: application/json").json())

    def test_many_on_one_connection(self) -> None:
        """Requests may come one behind the other, in pieces of any size."""
        raw = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3
        transport = self.connect()
        for index in range(len(raw)):
            transport.deliver(raw[index : index + 1])
        self.assertEqual(3, transport.value().count(b"\r\n\r\nok\n"))
        self.assertTrue(transport.connected)

    def test_a_bug_of_ours(self) -> None:
        """500 without a word of what went wrong; the log has it."""

        def broken(page: Health, request: object) -> typing.NoReturn:
            raise RuntimeError("canary")

        self.patch(Health, "answer", broken)
        reply = self.ask("/healthz")
        self.assertEqual(500, reply.status)
        self.assertNotIn(b"canary", reply.body)
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))


class AcceptTests(SynchronousTestCase):
    """JSON or text."""

    def test_wishes(self) -> None:
        """The one that is liked better; text when both are liked the same."""
        for accept, json_wanted in (
            (None, False),
            (b"", False),
            (b"*/*", False),
            (b"application/json", True),
            (b"Application/JSON; charset=utf-8", True),
            (b"application/*", True),
            (b"text/html, application/json;q=0.9, */*;q=0.8", True),
            (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
            (b"application/json;q=0.5, text/plain", False),
            (b"application/json, text/plain;q=0.5", True),
            (b"application/json;q=0, */*", False),
            (b"image/png", False),
            (b"application/json;q=2", True),
            (b"text/plain, " * 40 + b"application/json", False),
        ):
            self.assertIs(json_wanted, wants_json(accept), accept)

    @settings_for_tests
    @hypothesis.given(strategies.binary())
    def test_any_wish(self, accept: bytes) -> None:
        """Whatever is wished, it is one of the two."""
        wants_json(accept)
