"""Tests for :mod:`aluvia.client.answer_fields`."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.answer_fields import (
    RETRY_AFTER_SECONDS,
    entity_tag,
    monitor_address,
    retry_after,
)
from aluvia.testing.properties import settings_for_tests

URL = "http://api.example:8080/v1/user"

#: What dates are made of, and what only looks like it.
PIECES = [b"Sun,", b"Sun", b"06", b"Nov", b"06-Nov-94", b"1994", b"08:49:37", b"GMT", b"-", b"::"]
PIECES += [b"", b"0", b"-1", b"9" * 400, b"9" * 5000, b"\xff", b"\0", b"06-Nov-" + b"9" * 400]


class EntityTagTests(SynchronousTestCase):
    """What is sent back."""

    def test_verbatim(self) -> None:
        """Whatever bytes it has come back as they were; none at all is none."""
        for value in (b'W/"x y"', b"no quotes", '"é"'.encode(), b'"\xff"'):
            read = entity_tag(value)
            assert read is not None
            self.assertEqual(read.encode("utf-8", "surrogateescape"), value)
        self.assertIsNone(entity_tag(None))
        self.assertIsNone(entity_tag(b""))


class RetryAfterTests(SynchronousTestCase):
    """When to come back."""

    def test_forms(self) -> None:
        """Seconds or a date, bounded; anything else is none, and no error."""
        for text, seconds in (
            (None, None),
            (b"120", 120.0),
            (b" 7 ", 7.0),
            (b"0", 0.0),
            (b"9" * 400, RETRY_AFTER_SECONDS),
            (b"Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
            (b"Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
            (b"Sun Nov  6 08:50:37 1994", 60.0),
            (b"Fri, 01 Jan 2100 00:00:00 GMT", RETRY_AFTER_SECONDS),
            (b"Mon, 01 Jan 1990 00:00:00 GMT", 0.0),
            (b"", None),
            (b" \t", None),
            (b"soon", None),
            (b"-1", None),
            (b"1.5", None),
            (b"1e3", None),
            ("٣".encode(), None),
            (b"\xff", None),
            (b"Sun, 06 Nov " + b"9" * 400 + b" 08:50:37 GMT", None),
        ):
            # Sun, 06 Nov 1994 08:49:37 GMT
            self.assertEqual(retry_after(text, 784_111_777.0), seconds, text)

    @settings_for_tests
    @hypothesis.given(strategies.lists(strategies.sampled_from(PIECES), max_size=7))
    def test_garbage(self, pieces: list[bytes]) -> None:
        """Whatever it is, it is a time within the bound, or none."""
        seconds = retry_after(b" ".join(pieces), 0.0)
        if seconds is not None:
            self.assertTrue(0.0 <= seconds <= RETRY_AFTER_SECONDS)


class MonitorTests(SynchronousTestCase):
    """Where a monitor is."""

    def test_found(self) -> None:
        """In any of the forms that a Link may have, in any of the fields."""
        here = "http://api.example:8080"
        for lines, found in (
            ([b'</m>; rel="monitor"'], f"{here}/m"),
            ([b"<m?a=1>;rel=monitor"], f"{here}/v1/m?a=1"),
            ([b'</x>; rel="self", </m>; title="a, b"; rel="up Monitor"'], f"{here}/m"),
            ([b"</x>; rel=self", b"</m>; rel=monitor"], f"{here}/m"),
            ([b"<http://evil.example/m>; rel=monitor, </m>; rel=monitor"], f"{here}/m"),
            ([f"<{here}/m>; rel=monitor".encode()], f"{here}/m"),
            ([b"<HTTP://API.example:8080/m>; rel=monitor"], "http://API.example:8080/m"),
        ):
            self.assertEqual(monitor_address(lines, URL), found, lines)

    def test_none(self) -> None:
        """Other relations, other origins and nonsense are no monitor."""
        for line in (
            b"<http://evil.example/m>; rel=monitor",
            b"<https://api.example:8080/m>; rel=monitor",
            b"<http://api.example/m>; rel=monitor",
            b"<http://user@api.example:8080/m>; rel=monitor",
            b"<//localhost:8080/m>; rel=monitor",
            b"<http://[::1/m>; rel=monitor",
            b"<http://api.example:x/m>; rel=monitor",
            b"<mailto:m@api.example>; rel=monitor",
            b"</m>; rel=monitoring",
            b"</m>",
            b"monitor",
            b"",
            b"\xff<",
        ):
            self.assertIsNone(monitor_address([line], URL), line)
        self.assertIsNone(monitor_address([], URL))

    def test_no_origin(self) -> None:
        """Where the question itself has none that counts, no address is on the same."""
        for url in ("http://user@api.example/v1/user", "http://api.example:x/v1/user"):
            for line in (b"</m>; rel=monitor", b"<http://me@evil.example/m>; rel=monitor"):
                self.assertIsNone(monitor_address([line], url))

    @settings_for_tests
    @hypothesis.given(strategies.text(alphabet='<>;, \t="relmonitor/:[@\xff', max_size=60))
    def test_garbage(self, text: str) -> None:
        """Whatever it is, it is an address on the same origin, or none."""
        found = monitor_address([text.encode("latin-1")], URL)
        self.assertTrue(found is None or found.startswith("http://api.example:8080"), found)
