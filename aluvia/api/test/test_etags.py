"""Tests for :mod:`aluvia.api.etags`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from aluvia.api import etags
from aluvia.api.etags import FIELD_CHARS, matches, matches_weakly
from aluvia.testing.properties import settings_for_tests

TAG = b'"a-1"'


class GivenTests(SynchronousTestCase):
    """A field as it came."""

    def test_lines(self) -> None:
        """All lines of it are one list; none is no field, and an empty one is one."""
        for lines, field in (
            ([], None),
            ([b""], b""),
            ([TAG], TAG),
            ([b'"x"', b'W/"y", "z"', TAG], b'"x", W/"y", "z", "a-1"'),
        ):
            headers = Headers({b"If-Match": lines} if lines else {})
            self.assertEqual(etags.given(headers, b"if-match"), field)
            self.assertIsNone(etags.given(headers, b"if-none-match"))
        headers = Headers({b"If-Match": [TAG, b"", b'"x"']})
        self.assertTrue(matches(etags.given(headers, b"if-match") or b"", TAG))


class MatchTests(SynchronousTestCase):
    """Which lists have a tag."""

    def test_both(self) -> None:
        """A tag is found alone, in a list, and under the star."""
        for field in (
            TAG,
            b"*",
            b" * ",
            b'"b", "a-1"',
            b'"a-1","b"',
            b',, "b" ,"a-1" ,',
            b'W/"a-1", "a-1"',
            b'"x,y", "a-1"',
        ):
            self.assertTrue(matches(field, TAG), field)
            self.assertTrue(matches_weakly(field, TAG), field)

    def test_neither(self) -> None:
        """It is not found elsewhere, nor in what is no list of tags."""
        for field in (
            b"",
            b'""',
            b'"A-1"',
            b'"a-11"',
            b"a-1",
            b'"a-1',
            b'"b" "a-1"',
            b'w/"a-1"',
            b'"a-1" x',
            b'*, "b"',
            b'"b,a-1"',
            b'"x", ' + b'"' + b"y" * FIELD_CHARS + b'", "a-1"',
        ):
            self.assertFalse(matches(field, TAG), field)
            self.assertFalse(matches_weakly(field, TAG), field)

    def test_weak(self) -> None:
        """A weak tag is the same for who wants news, and not for who wants to change it."""
        self.assertTrue(matches_weakly(b'"b", W/"a-1"', TAG))
        self.assertFalse(matches(b'"b", W/"a-1"', TAG))

    @settings_for_tests
    @given(some.binary(max_size=100))
    def test_anything(self, field: bytes) -> None:
        """Whatever is sent, it is judged."""
        self.assertLessEqual(matches(field, TAG), matches_weakly(field, TAG))
