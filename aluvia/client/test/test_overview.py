"""Tests for :mod:`aluvia.client.overview` and :mod:`aluvia.client.page`: the page ``/``."""

from __future__ import annotations

import html.parser
import re
import typing
from urllib.parse import quote

import hypothesis
from hypothesis import strategies

from aluvia import __version__
from aluvia.client import overview
from aluvia.client.config import Snapshot
from aluvia.client.observed import LiveConnection
from aluvia.client.overview import CONNECTIONS, LEDGER_ROWS, RULES
from aluvia.client.page import page
from aluvia.client.page_style import ICON, STYLE
from aluvia.client.test.admin_case import BROWSER, AdminCase
from aluvia.net.parent import ParentProxy
from aluvia.rules import RuleSet
from aluvia.testing.properties import settings_for_tests

JSON = "Accept: application/json"

HOSTILE = "</code><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\"'"

#: Elements that have no end.
VOID = ("meta", "link", "input")


class Reading(html.parser.HTMLParser):
    """
    A page, read.

    :ivar tags: the elements with their attributes.
    :ivar words: the text in them, blanks collapsed.
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(source)
        self.close()
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Elements end in the order in which they stand in each other."""
        if tag not in VOID:
            assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        """Remember it."""
        self.words += f" {data}"

    def values(self, attribute: str) -> list[str]:
        """What an attribute is, wherever there is one."""
        return [value or "" for _, has in self.tags for name, value in has.items()
                if name == attribute]  # fmt: skip


class OverviewCase(AdminCase):
    """The page, as a browser gets it."""

    def read(self, target: str = "/") -> Reading:
        """The page, which is whole."""
        reply = self.ask(target, BROWSER)
        self.assertEqual((200, "text/html; charset=utf-8"),
                         (reply.status, reply.fields["content-type"]))  # fmt: skip
        self.assertTrue(reply.body.startswith(b"<!DOCTYPE html>\n<html"))
        reading = Reading(reply.body.decode("utf-8"))
        self.assertEqual([], reading.open)
        return reading


class ContentTests(OverviewCase):
    """What it shows."""

    def test_ready(self) -> None:
        """State, address, a line to try, the gateway without its credentials, the configuration."""
        self.observed.connections_open = 1234
        words = self.read().words
        for text in (
            f"aluvia {__version__} As of 00:01:40 UTC",
            "Ready Programs on this machine use http://127.0.0.1:18787 as their proxy.",
            "curl -x http://127.0.0.1:18787 http://example.com/",
            "Gateway http://gate.example:3128 Rules 3 Revision 3 Last confirmed 5.0 s ago "
            "Running for 10.0 s Connections open 1,234 Tunnels open 0",
            "Nothing was requested yet.",
            "Rules *.example -www.example *",
        ):
            self.assertIn(text, words)

    def test_not_ready(self) -> None:
        """Why not; and nothing of a configuration that is not there."""
        self.observed.now = None
        self.observed.counters.fail_opens = 1200
        self.observed.last_error = "the API answered 500\u202e"
        self.observed.token_refused = True
        reading = self.read()
        for text in (
            "Not ready There is no configuration yet.",
            "refuses the token",
            "could not be renewed: the API answered 500\\u202e",
            "1,200 requests went direct",
            "Gateway none yet Rules none yet Revision none yet Last confirmed never",
        ):
            self.assertIn(text, reading.words)
        self.observed.accepting = False
        self.assertNotIn("at a limit", self.read().words)
        self.observed.draining = True
        self.assertIn("Not ready It is draining", self.read().words)

    def test_at_a_limit(self) -> None:
        """Ready, and still not taking anybody."""
        self.observed.accepting = False
        self.assertIn("Ready No new connections are taken", self.read().words)

    def test_traffic(self) -> None:
        """By way: what ended, what of it failed, and bytes with those that are under way."""
        counters = self.observed.counters
        for way, outcome in (("direct", "ok"), ("direct", "client_gone"), ("gateway", "dns_error")):
            counters.request_ended(way, outcome)
        counters.request_ended("none", "http_request_denied")
        counters.bytes_moved("direct", 1500, 0)
        self.observed.flows = [LiveConnection("a.example", 443, "gateway", "*", 7, 8, 65.0)]
        words = self.read().words
        self.assertIn("Direct 2 0 1.5 kB 0 B Gateway 1 1 7 B 8 B", words)
        self.assertIn("Refused before a way was decided: 1", words)
        self.assertIn("a.example:443 gateway by * 1 min 5 s 7 B 8 B", words)
        self.assertIn("a.example gateway by * 1 7 B 8 B Total 1 7 B 8 B", words)

    def test_long_lists(self) -> None:
        """Each is cut, says so, and says where the whole is."""
        rules = [f"{number}.test" for number in range(RULES + 7)]
        self.observed.now = Snapshot(gateway=None, rules=RuleSet.compile(rules))
        for number in range(LEDGER_ROWS + 8):
            self.observed.ledger.count(f"{number}.ledger", "direct", None, 1, 1)
        self.observed.flows = [
            LiveConnection("flow.test", number, "direct", None, 1, 1, float(number))
            for number in range(1, CONNECTIONS + 10)
        ]
        words = self.read().words
        self.assertEqual(RULES, len(re.findall(r"\b[0-9]+\.test\b", words)))
        # What is under way has a row too.
        self.assertEqual(LEDGER_ROWS - 1, words.count(".ledger "))
        self.assertEqual(CONNECTIONS, words.count("flow.test:"))
        for text in ("7 more: /proxy.pac", "9 more: /connections", "9 more 9 9 B 9 B"):
            self.assertIn(text, words)
        data = self.ask("/", JSON).json()
        self.assertEqual((RULES, RULES + 7), (len(data["first_rules"]), data["rules"]))
        self.assertEqual(CONNECTIONS + 9, data["under_way"])

    def test_explain(self) -> None:
        """A host's way, on the same page; what is no host has its reason there."""
        reading = self.read("/?host=A.Example.")
        self.assertIn(
            "Explain a.example: gateway (http://gate.example:3128) by: *.example matching too: *",
            reading.words,
        )
        self.assertIn("A.Example.", reading.values("value"))
        for asked, reason in (("a%20b", "character"), ("%ff", "not UTF-8"), ("", "empty")):
            self.assertIn(reason, self.read(f"/?host={asked}").words)
        data = self.ask("/?host=a.example", JSON).json()["explained"]
        self.assertEqual(("gateway", "*.example"), (data["way"], data["rule"]))
        self.assertIn("error", self.ask("/?host=a%20b", JSON).json()["explained"])
        self.assertTrue(self.ask("/?host=a.example").body.startswith(b"a.example: gateway"))
        self.assertNotIn("explained", self.ask("/", JSON).json())

    def test_refresh(self) -> None:
        """A browser comes again by itself if it is asked to."""
        self.assertNotIn("refresh", self.read("/").values("http-equiv"))
        self.assertIn("/?refresh=on", self.read("/").values("href"))
        self.assertIn("refresh", self.read("/?refresh=on").values("http-equiv"))


class FormTests(OverviewCase):
    """In which form it comes, and what is in a page and in none."""

    def test_forms(self) -> None:
        """HTML for browsers, text for curl, JSON for programs."""
        for accept, kind in (
            (BROWSER, "text/html; charset=utf-8"),
            ("Accept: */*", "text/plain; charset=utf-8"),
            ("X-Accept: none", "text/plain; charset=utf-8"),
            (JSON, "application/json"),
        ):
            self.assertEqual(kind, self.ask("/", accept).fields["content-type"])
        text = self.ask("/").body.decode()
        self.assertTrue(text.startswith("ready\nurl: http://127.0.0.1:18787\n"), text)
        self.assertIn("\n/ledger ", text)

    def test_only_what_is_asked_for_is_written(self) -> None:
        """No HTML for a program, which may ask often."""
        written = []

        def counted(*given: typing.Any, **named: typing.Any) -> bytes:
            written.append(given)
            return page(*given, **named)

        self.patch(overview, "page", counted)
        for accept in (JSON, "Accept: */*"):
            self.assertEqual(200, self.ask("/", accept).status)
        self.assertEqual([], written)
        self.read()
        self.assertEqual(1, len(written))

    def test_json(self) -> None:
        """All that the page shows."""
        data = self.ask("/", JSON).json()
        self.assertEqual(
            {
                "status": "ok",
                "version": __version__,
                "ready": True,
                "token_refused": False,
                "gateway": "http://gate.example:3128",
                "first_rules": ["*.example", "-www.example", "*"],
                "under_way": 0,
                "connections": [],
                "refused": 0,
            },
            {name: data[name] for name in ("status", "version", "ready", "token_refused", "gateway",
                                           "first_rules", "under_way", "connections",
                                           "refused")},
        )  # fmt: skip

    def test_links(self) -> None:
        """Whatever it refers to is there, and is ours."""
        for target in self.read().values("href"):
            self.assertTrue(target.startswith("/"), target)
            self.assertEqual(200, self.ask(target).status, target)
        for target, kind, body in (
            ("/style.css", "text/css; charset=utf-8", STYLE),
            ("/icon.svg", "image/svg+xml", ICON),
        ):
            reply = self.ask(target, "Accept: */*")
            self.assertEqual((kind, body), (reply.fields["content-type"], reply.body.decode()))
        self.assertIsNone(re.search(r"url\(|@import|://", STYLE))

    def test_nothing_runs(self) -> None:
        """No script, no style in attributes, no handlers; the form asks, and changes nothing."""
        reading = self.read("/?host=a.example&refresh=on")
        names = {name for name, _ in reading.tags}
        self.assertFalse(names & {"script", "style", "iframe", "object", "embed", "img", "base"})
        attributes = {name for _, has in reading.tags for name in has}
        self.assertFalse([name for name in attributes if name.startswith("on") or name == "style"])
        (form,) = [has for name, has in reading.tags if name == "form"]
        self.assertEqual({"action": "/#way"}, form)

    def test_accessible(self) -> None:
        """A language, one main heading, tables and sections with names, columns with heads."""
        self.observed.ledger.count("a.example", "direct", None, 1, 1)
        reading = self.read()
        self.assertEqual(["en"], reading.values("lang"))
        names = [name for name, _ in reading.tags]
        self.assertEqual((1, 1), (names.count("h1"), names.count("main")))
        ids = reading.values("id")
        self.assertEqual(len(ids), len(set(ids)))
        labelled = [has for name, has in reading.tags if name in ("section", "table")]
        for has in labelled:
            self.assertIn(has["aria-labelledby"], ids)
        self.assertTrue(all(has.get("scope") for name, has in reading.tags if name == "th"))
        self.assertIn("viewport", reading.values("name"))

    def test_hostile(self) -> None:
        """Whatever others have chosen is text, in every place where it is shown."""
        self.observed.last_error = HOSTILE
        self.observed.url = f"http://{HOSTILE}"
        # No host that is canonical can look like this; the page does not rely on it.
        self.observed.ledger.count(HOSTILE, HOSTILE, HOSTILE, 1, 1)
        self.observed.flows = [LiveConnection(HOSTILE, 1, HOSTILE, HOSTILE, 1, 1, 1.0)]
        snapshot = self.observed.now
        assert snapshot is not None
        gateway = ParentProxy(HOSTILE, 1)
        self.observed.now = Snapshot(gateway=gateway, rules=snapshot.rules)
        reading = self.read(f"/?host={quote(HOSTILE)}")
        names = [name for name, _ in reading.tags]
        self.assertNotIn("script", names)
        self.assertNotIn("img", names)
        self.assertIn(HOSTILE, reading.values("value"))
        self.assertGreater(reading.words.count(HOSTILE), 6)

    @settings_for_tests
    @hypothesis.given(strategies.text(max_size=60), strategies.text(max_size=60))
    def test_any_text(self, text: str, other: str) -> None:
        """Any rule and any host in the form leave the page whole, with the same elements."""
        data = self.ask("/", JSON).json()
        plain = Reading(page(data, 1.0, asked="a", told="b").decode("utf-8"))
        data["first_rules"] = [text, other, *data["first_rules"][2:]]
        reading = Reading(page(data, 1.0, asked=other or "a", told=text or "b").decode("utf-8"))
        self.assertEqual([], reading.open)
        self.assertEqual([name for name, _ in plain.tags], [name for name, _ in reading.tags])
