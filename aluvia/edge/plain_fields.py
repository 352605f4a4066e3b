"""
Kinds of value that need nothing but the value: numbers, texts, choices.

What judges one is a function of the value alone. Types are what JSON says: true is no number, and
1.0 is no whole one.
"""

from __future__ import annotations

import enum
import re
import typing

import attrs

from aluvia.edge.bounds import ID_CHARS
from aluvia.edge.reading import Place, Wrong

__all__ = ["FLAG", "ID", "Choice", "Number", "Plain", "Whole", "limited", "pattern"]

V = typing.TypeVar("V")

_id = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII).fullmatch


@attrs.frozen
class Plain(typing.Generic[V]):
    """
    A value that is shown as it is kept.

    :ivar judge: returns it in its one spelling, or raises :class:`~aluvia.edge.reading.Wrong`.
    """

    judge: typing.Callable[[object], V]

    def read(self, place: Place) -> V:
        """Judge it."""
        return self.judge(place.value)

    def show(self, value: V, secrets: bool) -> typing.Any:
        """Show it."""
        return value


@attrs.frozen
class Whole:
    """A whole number."""

    least: int
    most: int

    def read(self, place: Place) -> int:
        """Judge it."""
        value = place.value
        # By its very type: True is an int.
        if type(value) is not int or not self.least <= value <= self.most:
            raise Wrong(f"must be a whole number from {self.least} to {self.most}")
        return value

    def show(self, value: int, secrets: bool) -> typing.Any:
        """Show it."""
        return value


@attrs.frozen
class Number:
    """
    A number, whole or not.

    :ivar least: 0 for anything above it.
    """

    most: float
    least: float = 0

    def read(self, place: Place) -> float:
        """Judge it."""
        value = place.value
        # JSON's 1e999 is infinite, and a long integer is more than any float; what is no number is
        # not less than anything either.
        if type(value) not in (int, float) or not self._is_within(value):
            least = f"from {self.least:g}" if self.least else "above 0 and"
            raise Wrong(f"must be a number {least} up to {self.most:g}")
        return float(value)

    def show(self, value: float, secrets: bool) -> typing.Any:
        """Show it, without a point where it needs none."""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def _is_within(self, value: float) -> bool:
        return value > 0 and self.least <= value <= self.most


@attrs.frozen
class Choice:
    """One of an enumeration's values, as a text."""

    among: type[enum.Enum]

    def read(self, place: Place) -> enum.Enum:
        """Find it."""
        for choice in self.among:
            if choice.value == place.value:
                return choice
        names = ", ".join(choice.value for choice in self.among)
        raise Wrong(f"must be one of {names}")

    def show(self, value: enum.Enum, secrets: bool) -> typing.Any:
        """Show it."""
        return value.value if isinstance(value, self.among) else value


def limited(value: object, most: int, least: int = 1) -> str:
    """
    A text of so many characters.

    :raises Wrong: it is none.
    """
    if not isinstance(value, str):
        raise Wrong("must be a string")
    if not least <= len(value) <= most:
        raise Wrong(f"must have {least} to {most} characters")
    return value


def pattern(expression: str, most: int, must: str) -> Plain[str]:
    """A text that is so made; ``must`` says how."""
    matches = re.compile(expression, re.ASCII).fullmatch

    def judge(value: object) -> str:
        text = limited(value, most)
        if matches(text) is None:
            raise Wrong(must)
        return text

    return Plain(judge)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong("must be true or false")
    return value


def _identifier(value: object) -> str:
    text = limited(value, ID_CHARS)
    if _id(text) is None or text in (".", ".."):
        # It is a segment of paths, and stands for itself there (RFC 3986 sections 2.3 and 3.3).
        raise Wrong("must be of letters, digits, and - . _ ~, and neither . nor ..")
    return text


FLAG: typing.Final = Plain(_flag)

#: What things are called by in paths.
ID: typing.Final = Plain(_identifier)
