"""Tests for :mod:`aluvia.telemetry.logs`."""

from __future__ import annotations

import base64
import io
import json
import typing
from urllib.parse import quote

from twisted.logger import LogLevel
from twisted.python.failure import Failure

from aluvia.telemetry.logs import (
    CUT,
    FIELD_CHARS,
    FIELD_DEPTH,
    FIELD_ITEMS,
    FORMATS,
    MESSAGE_CHARS,
    THRESHOLDS,
    TRACEBACK_CHARS,
    make_observer,
)
from aluvia.telemetry.redaction import MARK, Redactor
from aluvia.telemetry.test.log_case import BASIC, PASSWORD, USER, Broken, LogCase, a_failure


class LevelTests(LogCase):
    """What each level shows."""

    def test_levels(self) -> None:
        """Silent: errors only. Info: and warnings and information. Debug: all."""
        shown = {
            "silent": ["error", "critical"],
            "info": ["info", "warn", "error", "critical"],
            "debug": ["debug", "info", "warn", "error", "critical"],
        }
        self.assertEqual(set(shown), set(THRESHOLDS))
        for level, names in shown.items():
            for format in FORMATS:
                log, stream = self.logger(level, format)
                for constant in LogLevel.iterconstants():
                    log.emit(constant, "it is {name}", name=constant.name)
                lines = stream.getvalue().splitlines()
                self.assertEqual(len(names), len(lines))
                for name, line in zip(names, lines, strict=True):
                    self.assertIn(f"it is {name}", line)

    def test_what_servers_make_us_say(self) -> None:
        """A line for each 1xx would let a server fill the log."""
        for level, there in ((LogLevel.info, False), (LogLevel.warn, True)):
            event = {
                "log_format": "Ignoring unexpected 102 response",
                "log_namespace": "twisted.web._newclient",
                "log_level": level,
            }
            self.assertEqual("102" in self.write("debug", "text", event), there)

    def test_no_level(self) -> None:
        """An event without a level, or with a strange one, counts as information."""
        for level in ({}, {"log_level": None}, {"log_level": "error"}, {"log_level": Broken()}):
            event = {"log_format": "hello", **level}
            self.assertIn("hello", self.write("info", "text", event))
            self.assertEqual("", self.write("silent", "text", event))


class TextTests(LogCase):
    """Lines for people."""

    def test_a_line(self) -> None:
        """Time, who, level, message."""
        line = self.write(
            "info",
            "text",
            {
                "log_time": 0.0,
                "log_namespace": "aluvia.test",
                "log_level": LogLevel.warn,
                "log_format": "{a} and {b}",
                "a": 1,
                "b": "two",
            },
        )
        self.assertRegex(line, r"\A\d{4}-\d\d-\d\dT\S+ \[aluvia\.test#warn\] 1 and two\n\Z")

    def test_one_line_for_one_event(self) -> None:
        """Line ends, controls and bidirectional marks in values are escaped."""
        log, stream = self.logger("info", "text")
        log.info(
            "got {it}", it="a\r\n2026-01-01 [x] forged\x1b[2J\x00\x7f\x85\u2028\u202e\ud800\t."
        )
        self.assertTrue(
            stream.getvalue().endswith(
                "got a\\r\\n2026-01-01 [x] forged\\x1b[2J\\x00\\x7f\\x85\\u2028\\u202e\\ud800\\t.\n"
            ),
            stream.getvalue(),
        )
        self.assertEqual(1, stream.getvalue().count("\n"))

    def test_tracebacks_are_indented(self) -> None:
        """Every line behind the first begins with a tab, whatever the exception says."""
        log, stream = self.logger("info", "text")
        log.failure("it broke", a_failure("boom\n2026-01-01 [x] forged\r\x1b[2J"))
        first, *others = stream.getvalue().rstrip("\n").split("\n")
        self.assertTrue(first.endswith("it broke"))
        self.assertGreater(len(others), 3)
        self.assertTrue(all(line.startswith("\t") for line in others))
        self.assertNotIn("\x1b", stream.getvalue())

    def test_older_events(self) -> None:
        """Twisted's older log system comes through, its own name for the sender too."""
        event = {"log_format": "old", "log_system": f"HTTP\n{PASSWORD}", "log_level": LogLevel.info}
        line = self.write("info", "text", event)
        self.assertIn(f"[HTTP\\n{MARK}] old", line)

    def test_a_lesser_encoding(self) -> None:
        """Where the stream cannot take a character, it is escaped, and the line is there."""
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, "ascii")
        make_observer("info", "text", stream, self.redactor)({"log_format": "caf\xe9 \U0001f600"})
        self.assertIn(b"caf\\xe9 \\U0001f600\n", raw.getvalue())


class JSONTests(LogCase):
    """Lines for programs."""

    def test_a_line(self) -> None:
        """One object, with the event's own fields apart."""
        line = self.write(
            "info",
            "json",
            {
                "log_time": 1.5,
                "log_namespace": "aluvia.test",
                "log_level": LogLevel.warn,
                "log_format": "{a} and {b}",
                "a": 1,
                "b": b"tw\xff",
                "c": [1.5, float("inf"), {"x": None, 2: True}],
            },
        )
        self.assertEqual(
            {
                "time": "1970-01-01T00:00:01.500+00:00",
                "level": "warn",
                "logger": "aluvia.test",
                "message": "1 and b'tw\\xff'",
                "fields": {
                    "a": 1,
                    "b": "tw\\xff",
                    "c": [1.5, "inf", {"x": None, "2": True}],
                },
            },
            json.loads(line),
        )
        self.assertEqual(1, line.count("\n"))

    def test_tracebacks(self) -> None:
        """They are a field, on the same line."""
        log, stream = self.logger("info", "json")
        log.failure("it broke", a_failure())
        record = json.loads(stream.getvalue())
        self.assertEqual("it broke", record["message"])
        self.assertIn("ValueError: boom", record["traceback"])

    def test_plain_events_have_no_empty_parts(self) -> None:
        """Without fields and failure there are no members for them."""
        log, stream = self.logger("info", "json")
        log.info("hello")
        record = json.loads(stream.getvalue())
        self.assertEqual({"time", "level", "logger", "message"}, set(record))

    def test_bounds(self) -> None:
        """Messages, tracebacks and fields are cut, and say so; deep and long ones too."""
        deep: object = "bottom"
        for _ in range(FIELD_DEPTH + 5):
            deep = [deep]
        line = self.write(
            "info",
            "json",
            {
                "log_format": "x" * MESSAGE_CHARS + "yy",
                "log_failure": a_failure("z" * TRACEBACK_CHARS),
                "long": "v" * (FIELD_CHARS + 1),
                "many": list(range(FIELD_ITEMS * 2)),
                "deep": deep,
                "huge": 10**5000,
            },
        )
        record = json.loads(line)
        self.assertEqual("x" * MESSAGE_CHARS + CUT, record["message"])
        self.assertEqual(TRACEBACK_CHARS + len(CUT), len(record["traceback"]))
        self.assertEqual("v" * FIELD_CHARS + CUT, record["fields"]["long"])
        self.assertEqual(FIELD_ITEMS, len(record["fields"]["many"]))
        self.assertIn("[", record["fields"]["deep"][0][0][0])
        self.assertIn("bits", record["fields"]["huge"])


class SecretTests(LogCase):
    """Canaries, everywhere, at every level."""

    def assert_clean(self, text: str) -> None:
        """No form of a canary is there."""
        for form in (
            "canary",
            "päss",
            "p\\xe4ss",
            "p\\u00e4ss",
            "p\\xc3\\xa4ss",
            quote(PASSWORD, safe=""),
            BASIC,
            base64.b64encode(PASSWORD.encode()).decode(),
            base64.b64encode(USER.encode()).decode().rstrip("="),
        ):
            self.assertNotIn(form, text)

    def test_everywhere(self) -> None:
        """In formats, values, keys, nested values, bytes, tracebacks, senders."""
        secrets = {
            "plain": PASSWORD,
            "bytes": PASSWORD.encode(),
            "url": f"http://{USER}:{quote(PASSWORD, safe='')}@gate:1",
            "header": {b"Proxy-Authorization": [b"Basic " + BASIC.encode()]},
            "nested": [[[[[PASSWORD]]]], {PASSWORD: USER}],
            "set": {USER},
            PASSWORD: "a key",
            "failure_value": ValueError(PASSWORD),
        }
        for level in THRESHOLDS:
            for format in FORMATS:
                log, stream = self.logger(level, format)
                for constant in LogLevel.iterconstants():
                    log.emit(constant, "{plain} {url} {header} {nested} {bytes}", **secrets)
                    log.emit(constant, f"in the format: {USER} {BASIC}")
                    log.failure(
                        "{plain}", a_failure(f"{USER}:{PASSWORD} {BASIC}"), constant, **secrets
                    )
                    log.emit(constant, "hello", log_system=PASSWORD)
                self.assertIn(MARK, stream.getvalue())
                self.assert_clean(stream.getvalue())

    def test_in_what_cannot_be_shown(self) -> None:
        """Nor in what is said of an event that cannot be formatted."""
        for format in FORMATS:
            log, stream = self.logger("debug", format)
            log.info("{it}", it=Broken(), other=PASSWORD)
            log.info("{missing}", other=PASSWORD)
            log.info("{", other=PASSWORD)
            self.assertEqual(3, stream.getvalue().count("\n"))
            self.assert_clean(stream.getvalue())

    def test_tracebacks_that_cannot_be_shown(self) -> None:
        """They say so, by the kind of their failure alone."""

        class Hidden(Failure):
            """A failure that breaks whoever shows it."""

            def getTraceback(self, *args: object, **options: object) -> typing.NoReturn:  # noqa: N802
                raise RuntimeError(PASSWORD)

        for format in FORMATS:
            log, stream = self.logger("debug", format)
            log.failure("it broke", Hidden(ValueError()))
            self.assertIn("RuntimeError", stream.getvalue())
            self.assert_clean(stream.getvalue())

    def test_numbers(self) -> None:
        """A password of digits is one in a number's clothes too."""
        redactor = Redactor(["8467351902"])
        stream = io.StringIO()
        make_observer("info", "json", stream, redactor)({"log_format": "x", "n": 8467351902})
        self.assertEqual({"n": MARK}, json.loads(stream.getvalue())["fields"])

    def test_secrets_of_strangers(self) -> None:
        """What looks like credentials goes, without anybody having told of it."""
        event: dict[str, typing.Any] = {
            "log_format": "{line}",
            "line": "Proxy-Authorization: Basic c3RyYW5nZXI6c2VjcmV0",
            "sent": {"authorization": [b"Bearer stranger-secret"]},
            "url": "http://stranger:secret@host",
            "log_failure": a_failure("Basic c3RyYW5nZXI6c2VjcmV0\nBearer stranger-secret"),
        }
        for format in ("text", "json"):
            stream = io.StringIO()
            make_observer("info", format, stream, Redactor())(event)
            for secret in ("c3RyYW5nZXI6c2VjcmV0", "stranger"):
                self.assertNotIn(secret, stream.getvalue())
            self.assertIn(f"Basic {MARK}", stream.getvalue())
        self.assertEqual(json.loads(stream.getvalue())["fields"]["url"], f"http://{MARK}@host")

    def test_secrets_learnt_later(self) -> None:
        """Credentials that came while we run are hidden from then on."""
        log, stream = self.logger("info", "text")
        self.redactor.add("rotated-secret")
        log.info("now {it}", it="rotated-secret")
        self.assertNotIn("rotated", stream.getvalue())
