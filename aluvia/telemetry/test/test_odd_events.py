"""Tests for :mod:`aluvia.telemetry.logs`: events that no decent program logs."""

from __future__ import annotations

import json
import typing

import hypothesis
from hypothesis import strategies
from twisted.logger import LegacyLogObserverWrapper, LogLevel
from twisted.python.failure import Failure

from aluvia.telemetry.logs import (
    FORMATS,
    escape,
)
from aluvia.telemetry.test.log_case import PASSWORD, Broken, LogCase
from aluvia.testing.properties import settings_for_tests


class WeirdTests(LogCase):
    """Events that no decent program logs."""

    def test_weird_events(self) -> None:
        """Each leaves its line (in JSON: one object), and none raises."""
        recursive: list[object] = []
        recursive.append(recursive)
        events: list[dict[str, typing.Any]] = [
            {},
            {"log_format": None},
            {"log_format": b"bytes {x}", "x": 1},
            {"log_format": b"\xff"},
            {"log_format": 7},
            {"log_format": "{x.y.z()}", "x": object()},
            {"log_format": "x", "log_time": "yesterday"},
            {"log_format": "x", "log_time": float("nan")},
            {"log_format": "x", "log_time": 1e300},
            {"log_format": "x", "log_time": -5},
            {"log_format": "x", "log_namespace": 5},
            {"log_format": "x", "log_namespace": "a\nb"},
            {"log_format": "x", "log_system": Broken()},
            {"log_format": "x", "log_failure": "none"},
            {"log_format": "x", "log_failure": Failure(Broken(), Broken)},
            {"log_format": "x", "it": Broken(), "them": {Broken(): Broken()}},
            {"log_format": "x", "it": recursive},
            {"log_format": "x", 5: "a key"},  # type: ignore[dict-item]
            {"log_format": "\ud800", "it": "\udcff"},
        ]
        for event in events:
            for format in FORMATS:
                text = self.write("debug", format, dict(event))
                self.assertTrue(text.endswith("\n"), event)
                if format == "json":
                    self.assertIsInstance(json.loads(text), dict)

    def test_the_last_resort(self) -> None:
        """Where even that fails, the line names the kind of failure and nothing else."""

        class Keys(dict[str, typing.Any]):
            """An event that breaks whoever reads it."""

            def items(self) -> typing.Any:
                raise RuntimeError(PASSWORD)

        text = self.write("info", "json", Keys(log_format="x"))
        self.assertIn("could not be shown", text)
        self.assertNotIn("canary", text)

    def test_beside_the_older_log(self) -> None:
        """An event that went through Twisted's older log system before reads the same."""
        event = {"log_format": "hello {a}", "a": 1, "log_level": LogLevel.info, "log_time": 1.0}
        LegacyLogObserverWrapper(lambda legacy: None)(event)  # type: ignore[arg-type]
        self.assertEqual({"a": 1}, json.loads(self.write("info", "json", event))["fields"])

    @settings_for_tests
    @hypothesis.given(strategies.text())
    def test_escape(self, text: str) -> None:
        """What is escaped is one line, printable, and can be encoded."""
        shown = escape(text)
        self.assertLessEqual(len(shown.splitlines()), 1)
        shown.encode()
        self.assertFalse(any(ord(character) < 32 for character in shown))

    @settings_for_tests
    @hypothesis.given(
        strategies.dictionaries(
            strategies.text(),
            strategies.recursive(
                strategies.none() | strategies.floats() | strategies.text() | strategies.binary(),
                lambda inner: (
                    strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner)
                ),
            ),
        )
    )
    def test_any_event(self, event: dict[str, typing.Any]) -> None:
        """Whatever is in an event, text has its tab rule and JSON is JSON."""
        text = self.write("debug", "text", dict(event)).rstrip("\n").split("\n")
        self.assertTrue(all(line.startswith("\t") for line in text[1:]))
        json.loads(self.write("debug", "json", dict(event)))
