"""Tests for :mod:`aluvia.api.queries`."""

from __future__ import annotations

import typing

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import Request
from twisted.web.test.requesthelper import DummyChannel

from aluvia.api.problems import Problem
from aluvia.api.queries import MOST_PARAMETERS, read_flag, read_query


def request(target: bytes) -> Request:
    """A request for this."""
    channel: typing.Any = DummyChannel()
    made = Request(channel)
    made.uri = target
    return made


class QueryTests(SynchronousTestCase):
    """Which parameters are taken."""

    def test_values(self) -> None:
        """Those that are known, decoded, and as often as they came."""
        for target, expected in (
            (b"/a", {}),
            (b"/a?", {}),
            (b"/a?name=x&name=%C3%A9", {"name": ["x", "é"]}),
            (b"/a?name", {"name": [""]}),
            (b"/a?name=a?b", {"name": ["a?b"]}),
        ):
            self.assertEqual(read_query(request(target), {"name"}), expected)

    def test_unknown(self) -> None:
        """One that is not known is refused: it might be one that is known, misspelled."""
        for target in (b"/a?nam=x", b"/a?name=x&x=1", b"/a?NAME=x", b"/a?=x"):
            problem = self.assertRaises(Problem, read_query, request(target), {"name"})
            self.assertEqual((problem.status, problem.code), (400, "unknown_parameter"))
            self.assertIn("name", problem.detail)
        problem = self.assertRaises(Problem, read_query, request(b"/a?name=x"), ())
        self.assertIn("no parameters", problem.detail)

    def test_unreadable(self) -> None:
        """What is no query is none."""
        many = b"&".join([b"name=x"] * (MOST_PARAMETERS + 1))
        for query in (b"name=%ff", b"name=\xff", many):
            problem = self.assertRaises(Problem, read_query, request(b"/a?" + query), {"name"})
            self.assertEqual((problem.status, problem.code), (400, "bad_query"))

    def test_flags(self) -> None:
        """A flag is set by its name alone as well: nobody means the opposite by it."""
        for query, expected in (
            (b"", False),
            (b"?dry_run", True),
            (b"?dry_run=", True),
            (b"?dry_run=1", True),
            (b"?dry_run=true", True),
            (b"?dry_run=0", False),
            (b"?dry_run=false", False),
        ):
            found = read_query(request(b"/a" + query), {"dry_run"})
            self.assertIs(read_flag(found, "dry_run"), expected, query)
        for query in (b"?dry_run=yes", b"?dry_run=2", b"?dry_run=1&dry_run=1", b"?dry_run=TRUE"):
            found = read_query(request(b"/a" + query), {"dry_run"})
            self.assertRaises(Problem, read_flag, found, "dry_run")
