"""Tests for :mod:`aluvia.client.api_errors`."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.answer_body import NO_JSON, without_secrets
from aluvia.client.api_errors import DETAILS_CHARACTERS, MESSAGE_CHARACTERS, api_error
from aluvia.client.user_api import Answer
from aluvia.errors import ApiError
from aluvia.telemetry.redaction import Redactor


def unchanged(text: str) -> str:
    """No secrets."""
    return text


class ApiErrorTests(SynchronousTestCase):
    """Every form that errors have."""

    def test_forms(self) -> None:
        """The hosted form, problem details, and whatever else."""
        for body, message, code, details in (
            ({"error": {"code": "c", "message": "m", "details": [1]}}, ": m", "c", [1]),
            ({"title": "t", "detail": "d", "errors": {"a": 1}}, ": d", None, {"a": 1}),
            ({"title": "t"}, ": t", None, None),
            ({"error": {"code": 5, "message": ["m"]}}, ".", None, None),
            ({}, ".", None, None),
            ([], ".", None, None),
            (NO_JSON, ".", None, None),
        ):
            error = api_error(Answer(422, body), unchanged)
            self.assertEqual(str(error), f"The API answered 422{message}")
            self.assertEqual((error.status_code, error.code), (422, code))
            self.assertEqual(error.details, details)

    def test_long(self) -> None:
        """Of a long message the beginning is enough."""
        error = api_error(Answer(500, {"message": "m" * 1_000_000}), unchanged)
        self.assertLess(len(str(error)), MESSAGE_CHARACTERS + 50)

    def test_long_details(self) -> None:
        """Details up to the bound are there as they are, longer ones are not."""
        brackets = len(json.dumps([""]))
        for more in (0, 1):
            details = ["\x1b" + "d" * (DETAILS_CHARACTERS - brackets - len("\\u001b") + more)]
            error = api_error(Answer(422, {"error": {"code": "c", "details": details}}), unchanged)
            self.assertEqual(error.details, None if more else details)
            self.assertEqual(error.code, "c")
        self.assertIn(str(DETAILS_CHARACTERS), ApiError.__doc__ or "")

    def test_one_line(self) -> None:
        """Line ends, what a terminal acts on, and what turns text around, are escaped."""
        for text in ("a\nb", "a\r\nb", "a\x1b[2Jb", "a\x00b", "a\x9bb", "a\u202eb", "a\u2028b"):
            error = api_error(Answer(500, {"error": {"code": text, "message": text}}), unchanged)
            for shown in (str(error), error.code or ""):
                self.assertTrue(shown.isprintable(), repr(shown))
                self.assertIn("a\\", shown)
        for text in ("m" * 1_000_000, "\n" * 1_000_000):
            error = api_error(Answer(500, {"error": {"code": text, "message": text}}), unchanged)
            self.assertLess(len(str(error)), MESSAGE_CHARACTERS + 50)
            self.assertEqual(len(error.code or ""), MESSAGE_CHARACTERS)

    def test_secrets(self) -> None:
        """What the API quotes is taken out, wherever it stands and however it was escaped."""
        redact = Redactor(["secret-token"])
        quoted = "no secret-token here"
        body = {"error": {"code": quoted, "message": quoted, "details": {quoted: [quoted]}}}
        error = api_error(Answer(400, body), redact)
        for text in (str(error), str(error.code), str(error.details)):
            self.assertIn("[redacted]", text)
            self.assertNotIn("secret-token", text)

    def test_no_json_stays_none(self) -> None:
        """A body that cannot be written again, and one that redaction breaks, count as none."""
        self.assertIs(without_secrets(NO_JSON, unchanged), NO_JSON)
        deep: list[object] = []
        for _ in range(100_000):
            deep = [deep]
        self.assertIs(without_secrets(deep, unchanged), NO_JSON)
        self.assertIs(without_secrets({"a": 1}, lambda text: text[1:]), NO_JSON)
