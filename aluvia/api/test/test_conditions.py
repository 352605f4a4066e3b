"""Tests for :mod:`aluvia.api.conditions`."""

from __future__ import annotations

import json
import typing

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import Request
from twisted.web.test.requesthelper import DummyChannel

from aluvia.api.conditions import (
    Condition,
    Shown,
    known,
    show,
    until_changed,
    wait_seconds,
)
from aluvia.api.problems import Problem
from aluvia.api.watch import Watch


def request(*fields: tuple[str, str], args: dict[bytes, list[bytes]] | None = None) -> Request:
    """A request with these fields."""
    channel: typing.Any = DummyChannel()
    made = Request(channel)
    made.args = args or {}
    for name, value in fields:
        made.requestHeaders.addRawHeader(name, value)
    return made


class ShowTests(SynchronousTestCase):
    """What a GET is answered with."""

    shown = Shown(b'"s-1"', lambda: {"a": "é"}, ((b"Link", b"there"),))

    def test_known(self) -> None:
        """Whether the client has it, or does not say."""
        self.assertIsNone(known(request(), b'"s-1"'))
        for field, expected in (
            ('"s-1"', True),
            ('W/"s-1"', True),
            ('"x", "s-1"', True),
            ("*", True),
            ('"s-2"', False),
            ("", False),
            ("s-1", False),
        ):
            asked = request(("If-None-Match", field))
            self.assertIs(known(asked, b'"s-1"'), expected, field)

    def test_show(self) -> None:
        """The whole of it, or 304 with the same fields and nothing else."""
        asked = request()
        self.assertEqual(json.loads(show(asked, self.shown)), {"a": "é"})
        self.assertEqual(asked.code, 200)
        has_it = request(("If-None-Match", '"s-1"'))
        self.assertEqual(show(has_it, self.shown), b"")
        self.assertEqual(has_it.code, 304)
        for each in (asked, has_it):
            headers = each.responseHeaders
            self.assertEqual(headers.getRawHeaders(b"etag"), [b'"s-1"'])
            self.assertEqual(headers.getRawHeaders(b"link"), [b"there"])
        self.assertIsNone(has_it.responseHeaders.getRawHeaders(b"content-length"))


class ConditionTests(SynchronousTestCase):
    """What a change rests on."""

    def test_if_match(self) -> None:
        """Only what the client has seen is changed, compared strongly; * is anything there is."""
        for field, tag, good in (
            ('"a"', b'"a"', True),
            ('"b", "a"', b'"a"', True),
            ("*", b'"a"', True),
            ('"b"', b'"a"', False),
            ('W/"a"', b'"a"', False),
            ("", b'"a"', False),
            ("a", b'"a"', False),
            ("*", None, False),
            ('"a"', None, False),
        ):
            condition = Condition.of(request(("If-Match", field)))
            if good:
                condition.judge(tag)
                continue
            problem = self.assertRaises(Problem, condition.judge, tag, lambda: {"now": 1})
            self.assertEqual((problem.status, problem.code), (412, "changed_meanwhile"))
            body = json.loads(problem.body())
            if tag is None:
                self.assertEqual(problem.fields, ())
                self.assertNotIn("current", body)
            else:
                self.assertEqual(problem.fields, ((b"ETag", tag),))
                self.assertEqual(body["current"], {"now": 1})

    def test_if_none_match(self) -> None:
        """Nothing is done where the client says that there is nothing, and there is."""
        for field, tag, good in (
            ("*", None, True),
            ("*", b'"a"', False),
            ('"a"', b'"a"', False),
            ('W/"a"', b'"a"', False),
            ('"b"', b'"a"', True),
        ):
            condition = Condition.of(request(("If-None-Match", field)))
            if good:
                condition.judge(tag)
            else:
                self.assertRaises(Problem, condition.judge, tag)

    def test_none(self) -> None:
        """Without a condition anything goes."""
        for tag in (None, b'"a"'):
            Condition.of(request()).judge(tag)


class WaitTests(SynchronousTestCase):
    """Waiting for another state."""

    def setUp(self) -> None:
        """Two may wait."""
        self.clock: typing.Any = Clock()
        self.watch = Watch(self.clock, most=2, most_for_one=2)
        self.tag = b'"1"'

    def wait(self, seconds: float = 10) -> Deferred[Shown]:
        """Wait for another tag."""
        waiting = until_changed(self.find, self.watch, "a", self.clock, seconds)
        return Deferred.fromCoroutine(waiting)

    def find(self) -> Shown:
        """What there is."""
        if self.tag == b"gone":
            raise Problem(404, "not_found", "It is gone.")
        return Shown(self.tag, dict)

    def test_seconds(self) -> None:
        """So many as it says, up to a minute; what is no number is refused."""
        self.assertEqual(wait_seconds(request()), 0)
        self.assertEqual(wait_seconds(request(), 25), 25)
        for text, seconds in ((b"0", 0), (b"7", 7), (b"60", 60), (b"9999", 60)):
            self.assertEqual(wait_seconds(request(args={b"wait": [text]}), 25), seconds)
        for texts in ([b"x"], [b"-1"], [b"1.5"], [b"10000"], [b"1", b"2"], [b"\xb2"]):
            problem = self.assertRaises(Problem, wait_seconds, request(args={b"wait": texts}))
            self.assertEqual((problem.status, problem.code), (400, "bad_wait"))

    def test_changed(self) -> None:
        """It is over when there is another state; what was told without one is none."""
        waiting = self.wait()
        self.clock.advance(4)
        self.watch.changed("a")
        self.assertNoResult(waiting)
        self.tag = b'"2"'
        self.watch.changed("a")
        self.assertEqual(self.successResultOf(waiting).tag, b'"2"')
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_time(self) -> None:
        """Its time goes on whatever is told meanwhile."""
        waiting = self.wait()
        for _ in range(9):
            self.clock.advance(1)
            self.watch.changed("a")
        self.assertNoResult(waiting)
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(waiting).tag, b'"1"')

    def test_gone(self) -> None:
        """What it becomes may be nothing."""
        waiting = self.wait()
        self.tag = b"gone"
        self.watch.changed("a")
        self.assertEqual(self.failureResultOf(waiting, Problem).value.status, 404)

    def test_too_many(self) -> None:
        """One more is told to come back."""
        waiting = [self.wait(), self.wait()]
        problem = self.failureResultOf(self.wait(), Problem).value
        self.assertEqual((problem.status, problem.fields), (503, ((b"Retry-After", b"5"),)))
        self.watch.end()
        for each in waiting:
            self.successResultOf(each)
