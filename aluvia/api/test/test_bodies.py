"""Tests for :mod:`aluvia.api.bodies`."""

from __future__ import annotations

import io
import typing

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import Request
from twisted.web.test.requesthelper import DummyChannel

from aluvia.api.bodies import JSON, MERGE_PATCH, read_object
from aluvia.api.problems import Problem


def request(body: bytes, content_type: str | None = "application/json") -> Request:
    """A request with this body."""
    channel: typing.Any = DummyChannel()
    made = Request(channel)
    made.content = io.BytesIO(body)
    if content_type is not None:
        made.requestHeaders.setRawHeaders("content-type", [content_type])
    return made


class BodyTests(SynchronousTestCase):
    """What is taken for an object."""

    def test_objects(self) -> None:
        """JSON by either of its names, whatever else the field says."""
        for content_type in (MERGE_PATCH, "Application/JSON; charset=utf-8"):
            self.assertEqual(
                {"a": [1.5, None]}, read_object(request(b'{"a": [1.5, null]}', content_type))
            )

    def test_no_patch(self) -> None:
        """A body that is no patch is not taken for one, and it is said what is."""
        patch = request(b"{}", MERGE_PATCH)
        problem = self.assertRaises(Problem, read_object, patch, (JSON,))
        self.assertEqual((problem.status, problem.fields), (415, ((b"Accept", JSON.encode()),)))
        problem = self.assertRaises(Problem, read_object, request(b"{}", "text/plain"))
        self.assertEqual(problem.fields, ((b"Accept-Patch", f"{JSON}, {MERGE_PATCH}".encode()),))

    def test_others(self) -> None:
        """What only looks like one is refused, each with its status."""
        for body, status in (
            (b"", 400),
            (b"{", 400),
            (b'{"a": NaN}', 400),
            (b'{"a": -Infinity}', 400),
            (b'{"a": "\xff"}', 400),
            (b"\xff\xfe{\0}\0", 400),
            (b'{"a": ' + b"9" * 10_000 + b"}", 400),
            (b"[" * 200_000, 400),
            (b"[]", 422),
            (b'"a"', 422),
            (b"null", 422),
        ):
            problem = self.assertRaises(Problem, read_object, request(body))
            self.assertEqual(status, problem.status, body[:20])

    def test_types(self) -> None:
        """A body that is not said to be JSON is not looked at; the answer names what would be."""
        for content_type in (
            None,
            "",
            "text/plain",
            "application/jsonp",
            "application/x-www-form-urlencoded",
        ):
            problem = self.assertRaises(Problem, read_object, request(b"{}", content_type))
            self.assertEqual((415, b"Accept-Patch"), (problem.status, problem.fields[0][0]))
