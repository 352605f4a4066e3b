"""Our reader of the compose file against one that reads all of YAML."""

from __future__ import annotations

import typing

from twisted.trial.unittest import SynchronousTestCase

from tests import compose
from tests.peers.support import need_module


class ComposeTests(SynchronousTestCase):
    """The file itself, and what the reader leaves to others."""

    def test_the_file(self) -> None:
        """Both read the same."""
        text = compose.COMPOSE.read_text(encoding="utf-8")
        self.assertEqual(compose.read(text), _with_words(need_module("yaml").safe_load(text)))

    def test_what_is_not_read(self) -> None:
        """What would be read otherwise is refused."""
        for text in (
            "a: [b",
            "a: [{b: c}]",
            "- a",
            "a: b: c",
            "a: |\n  b",
            "  a: b\n c: d",
            "a: 'b'",
            "a: 1",
            "a: no",
        ):
            self.assertRaises(ValueError, compose.read, text)


def _with_words(value: typing.Any) -> typing.Any:
    """A mapping that has nothing in it is none to YAML."""
    if isinstance(value, dict):
        return {name: _with_words(each) for name, each in value.items()}
    return {} if value is None else value
