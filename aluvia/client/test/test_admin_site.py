"""Tests for :mod:`aluvia.client.admin_forms`: HTTP as it should be."""

from __future__ import annotations

import typing

import hypothesis
from hypothesis import strategies
from twisted.trial.unittest import SynchronousTestCase

from aluvia.api.test.site_case import Reply
from aluvia.client.admin_forms import ACCEPT_ELEMENTS, Page, liked_best
from aluvia.client.admin_pages import Health
from aluvia.client.test.admin_case import BROWSER, PAGES, AdminCase
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
            self.assertEqual("Accept", fields["vary"])
            policy = fields["content-security-policy"].split("; ")
            self.assertEqual("default-src 'none'", policy[0])
            self.assertFalse([rule for rule in policy if "script" in rule or "unsafe" in rule])
            self.assertNotIn("server", fields)
            self.assertFalse([name for name in fields if name.startswith("access-control")])

    def test_head(self) -> None:
        """As GET, without the body."""
        self.observed.counters.request_ended("direct", "ok")
        for target in (*PAGES, "/nothing"):
            for accept in (BROWSER, "Accept: application/json"):
                got, headed = self.ask(target, accept), self.ask(target, accept, method="HEAD")
                self.assertEqual(got.status, headed.status)
                self.assertEqual(undated(got, target), undated(headed, target))
                self.assertEqual(b"", headed.body)
                if target != "/metrics":
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
            "/nothing",
            "/style.css/",
            "/proxy.pac/deeper",
            "/index.html",
            "/favicon.ico",
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


def undated(reply: Reply, target: str) -> dict[str, str]:
    """Its fields, without what may differ from one request to the next."""
    # The process's own numbers may take a digit more.
    changing = ("date", "content-length") if target == "/metrics" else ("date",)
    return {name: value for name, value in reply.fields.items() if name not in changing}


class PageTests(SynchronousTestCase):
    """What a page is."""

    def test_it_has_an_answer(self) -> None:
        """A page without one cannot be made, so that none is found to be without when asked."""
        self.assertRaises(TypeError, Page)


class AcceptTests(SynchronousTestCase):
    """JSON, text or HTML."""

    def test_wishes(self) -> None:
        """The one that is liked better; the first when several are liked the same."""
        last = "text/plain;q=0.1, " * (ACCEPT_ELEMENTS - 1) + "application/json"
        for accept, wanted in (
            (None, "text/plain"),
            ("", "text/plain"),
            ("*/*", "text/plain"),
            ("application/json", "application/json"),
            ("Application/JSON; charset=utf-8", "application/json"),
            ("application/*", "application/json"),
            ("text/html, application/json;q=0.9, */*;q=0.8", "application/json"),
            (BROWSER.removeprefix("Accept: "), "text/plain"),
            ("application/json;q=0.5, text/plain", "text/plain"),
            ("application/json, text/plain;q=0.5", "application/json"),
            ("application/json;q=0, */*", "text/plain"),
            ("image/png", "text/plain"),
            ("application/json;q=2", "application/json"),
            ("text/plain;q=1.000, application/json;q=1.5", "text/plain"),
            (last, "application/json"),
            (f"text/plain;q=0.1, {last}", "text/plain"),
        ):
            raw = None if accept is None else accept.encode()
            self.assertEqual(wanted, liked_best(raw, ["text/plain", "application/json"]), accept)

    def test_wishes_for_html(self) -> None:
        """A browser's, and nobody else's."""
        offered = ["text/plain", "text/html", "application/json"]
        for accept, wanted in (
            (b"*/*", "text/plain"),
            (b"text/*", "text/plain"),
            (b"text/html", "text/html"),
            (BROWSER.removeprefix("Accept: ").encode(), "text/html"),
            (b"text/html;q=0.5, application/json", "application/json"),
            (b"text/html, application/json", "text/html"),
            (b"text/html;q=0, */*;q=0.1", "text/plain"),
        ):
            self.assertEqual(wanted, liked_best(accept, offered), accept)

    @settings_for_tests
    @hypothesis.given(strategies.binary())
    def test_any_wish(self, accept: bytes) -> None:
        """Whatever is wished, it is one of those that there are."""
        self.assertIn(liked_best(accept, ["a/b", "c/d"]), ("a/b", "c/d"))
