"""Tests for :mod:`aluvia.client.admin_pages`: what is on each page."""

from __future__ import annotations

from aluvia import __version__
from aluvia.client.config import Snapshot
from aluvia.client.observed import LiveConnection
from aluvia.client.test.admin_case import BROWSER, PAGES, AdminCase
from aluvia.rules import RuleSet


class PageTests(AdminCase):
    """What is on each page."""

    def test_health(self) -> None:
        """Alive, also when draining and without a configuration."""
        self.observed.draining = True
        self.observed.now = None
        reply = self.ask("/healthz")
        self.assertEqual((200, b"ok\n"), (reply.status, reply.body))
        reply = self.ask("/healthz", "Accept: application/json")
        self.assertEqual({"status": "ok", "uptime": 10.0, "version": __version__}, reply.json())
        self.observed.token_refused = True
        reply = self.ask("/healthz")
        self.assertEqual((200, b"token_refused\n"), (reply.status, reply.body))

    def test_ready(self) -> None:
        """With a configuration: how many rules, which revision, how old."""
        reply = self.ask("/readyz", "Accept: application/json")
        self.assertEqual(200, reply.status)
        self.assertEqual(
            {
                "ready": True,
                "reason": None,
                "url": "http://127.0.0.1:18787",
                "last_error": None,
                "token_refused": False,
                "revision": 3,
                "rules": 3,
                "age": 5.0,
            },
            reply.json(),
        )
        self.assertEqual(b"ready", self.ask("/readyz").body.splitlines()[0])

    def test_not_ready(self) -> None:
        """Draining, or without a configuration; the last error, and what has gone direct."""
        self.observed.draining = True
        reply = self.ask("/readyz", "Accept: application/json")
        self.assertEqual((503, False), (reply.status, reply.json()["ready"]))
        self.assertIn("draining", reply.json()["reason"])
        self.observed.draining = False
        self.observed.now = None
        self.observed.last_error = "the API answered 500\n"
        reply = self.ask("/readyz")
        self.assertEqual(503, reply.status)
        self.assertEqual(
            [
                "not ready: There is no configuration yet.",
                "url: http://127.0.0.1:18787",
                "last error: the API answered 500\\n",
            ],
            reply.body.decode().splitlines(),
        )
        self.assertIsNone(self.ask("/readyz", "Accept: application/json").json()["age"])

    def test_metrics(self) -> None:
        """Prometheus text, and OpenMetrics for whoever asks for it."""
        self.observed.counters.request_ended("direct", "ok")
        reply = self.ask("/metrics")
        self.assertIn(b'aluvia_requests_total{outcome="ok",way="direct"} 1.0', reply.body)
        self.assertTrue(reply.fields["content-type"].startswith("text/plain; version=0.0.4"))
        reply = self.ask("/metrics", "Accept: application/openmetrics-text;version=1.0.0")
        self.assertTrue(reply.body.endswith(b"# EOF\n"))
        self.assertTrue(reply.fields["content-type"].startswith("application/openmetrics-text"))

    def test_explain(self) -> None:
        """The way, the rule, those that lost; the gateway without its credentials."""
        reply = self.ask("/explain?host=A.Example.", "Accept: application/json")
        self.assertEqual(
            {
                "host": "a.example",
                "way": "gateway",
                "rule": "*.example",
                "lost": ["*"],
                "revision": 3,
                "gateway": "http://gate.example:3128",
            },
            reply.json(),
        )
        self.assertEqual(
            b"a.example: gateway (http://gate.example:3128)\nby: *.example\nmatching too: *\n",
            self.ask("/explain?host=a.example").body,
        )
        reply = self.ask("/explain?host=www.example", "Accept: application/json")
        self.assertEqual(
            ("direct", "-www.example", None),
            (reply.json()["way"], reply.json()["rule"], reply.json()["gateway"]),
        )
        self.observed.now = Snapshot(gateway=None, rules=RuleSet.compile([]))
        self.assertEqual(b"x: direct\nby: no rule matches\n", self.ask("/explain?host=x").body)

    def test_explain_nothing(self) -> None:
        """No host, two, no host at all, or no rules to ask: each has its answer."""
        for target, status in (
            ("/explain", 400),
            ("/explain?host=", 400),
            ("/explain?host=a&host=b", 400),
            ("/explain?host=%ff", 400),
            ("/explain?host=a%20b", 400),
            ("/explain?host=a:443", 400),
            ("/explain?host=" + "a" * 5000, 400),
        ):
            reply = self.ask(target, "Accept: application/json")
            self.assertEqual(status, reply.status, target)
            self.assertTrue(reply.json()["error"].endswith((".", "com")), reply.json())
        self.observed.now = None
        self.assertEqual(503, self.ask("/explain?host=a").status)

    def test_connections(self) -> None:
        """What is under way, the oldest first."""
        self.observed.flows = [
            LiveConnection("a.example", 443, "gateway", "*.example\x1b", 1, 2, 3.25),
            LiveConnection("2001:db8::1", 80, "direct", None, 10, 20, 30.0),
        ]
        reply = self.ask("/connections", "Accept: application/json")
        old, young = reply.json()["connections"]
        self.assertEqual(
            {
                "host": "2001:db8::1",
                "port": 80,
                "way": "direct",
                "rule": None,
                "bytes_up": 10,
                "bytes_down": 20,
                "age": 30.0,
            },
            old,
        )
        self.assertEqual("a.example", young["host"])
        header, first, second = self.ask("/connections").body.decode().splitlines()
        self.assertEqual(["WAY", "HOST", "UP", "DOWN", "AGE", "RULE"], header.split())
        self.assertEqual(["direct", "[2001:db8::1]:80", "10", "20", "30.0", "-"], first.split())
        self.assertEqual(
            ["gateway", "a.example:443", "1", "2", "3.2", "*.example\\x1b"], second.split()
        )
        self.observed.flows = []
        self.assertEqual(1, len(self.ask("/connections").body.splitlines()))

    def test_no_secrets(self) -> None:
        """No page shows the gateway's credentials."""
        for target in PAGES:
            for accept in (BROWSER, "Accept: application/json", "Accept: text/plain"):
                reply = self.ask(target, accept)
                self.assertEqual(200, reply.status)
                self.assertNotIn(b"canary", reply.body)
