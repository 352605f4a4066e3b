"""Tests for :mod:`aluvia.wire.json_fields`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.wire.json_fields import fields_from_json, fields_to_json, text_of


class JSONFieldsTests(SynchronousTestCase):
    """There, and back."""

    def test_to_json(self) -> None:
        """Names that differ in case alone are one; values keep their order."""
        fields = [(b"A-b", b"1"), (b"C", b"x"), (b"a-B", b"tw\xc3\xb6")]
        self.assertEqual(fields_to_json(fields), {"A-b": ["1", "tw\u00f6"], "C": ["x"]})

    def test_from_json(self) -> None:
        """Lists, a lone value, and none."""
        read = fields_from_json({"A": ["1", " tw\u00f6\t"], "B": "x", "C": None, "D": []})
        self.assertEqual(read, [(b"A", b"1"), (b"A", b"tw\xc3\xb6"), (b"B", b"x")])
        self.assertEqual(fields_from_json(None), [])

    def test_latin(self) -> None:
        """What is not UTF-8 is Latin-1."""
        self.assertEqual((text_of(b"\xe4"), text_of(b"\xc3\xa4")), ("\u00e4", "\u00e4"))

    def test_what_cannot_be_sent(self) -> None:
        """It is refused, and not repeated."""
        bad: list[object] = [
            [],
            "x",
            {"A": 1},
            {"A": [1]},
            {"A": {"x": "y"}},
            {"A b": ["canary"]},
            {"A": ["canary\r\nB: c"]},
            {"A": ["canary\x00"]},
            {"\u00e4": ["canary"]},
            {"A": ["canary\ud800"]},
            {"": ["x"]},
        ]
        for headers in bad:
            error = self.assertRaises(ValueError, fields_from_json, headers)
            self.assertNotIn("canary", str(error))
