"""
What options take: how a value is read from text, and how one from a TOML file is judged.

Text comes from the command line and the environment. TOML has types, and a value of the wrong one
is a mistake there: ``port = "18787"`` is no port.
"""

from __future__ import annotations

import ipaddress
import re
import typing
from pathlib import Path

import attrs

from aluvia.net.parent import ParentProxy


class Takes(typing.Protocol):
    """
    What an option takes. Both methods raise :class:`ValueError` with what is to be said behind the
    option's name and a colon; it never shows the value, which may be a secret.
    """

    def from_text(self, text: str) -> object:
        """Read a word of the command line or the value of a variable."""

    def from_toml(self, value: object) -> object:
        """Judge a value from a TOML file."""


@attrs.frozen
class Number:
    """A number within bounds; ``whole`` ones have no fraction."""

    low: float
    high: float
    whole: bool = False
    unit: str = ""

    def from_text(self, text: str) -> object:
        """Read digits."""
        pattern = r"[0-9]{1,18}" if self.whole else r"[0-9]{1,18}(\.[0-9]{0,9})?|\.[0-9]{1,9}"
        if re.fullmatch(pattern, text.strip()) is None:
            raise ValueError(f"must be {self._what()}")
        return self._within(int(text) if self.whole else float(text))

    def from_toml(self, value: object) -> object:
        """Take an integer, and a float where a fraction makes sense."""
        fits = int if self.whole else (int, float)
        if not isinstance(value, fits) or isinstance(value, bool):
            raise ValueError(f"must be {self._what()}, not {toml_type(value)}")
        return self._within(value)

    def _within(self, number: float) -> object:
        # No comparison with a NaN is true.
        if not self.low <= number <= self.high:
            raise ValueError(f"must be {self._what()}")
        return number if self.whole else float(number)

    def _what(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{kind}{self.unit} from {self.low:g} to {self.high:.0f}"


@attrs.frozen
class NumberOrNone:
    """A number, or the word ``none``."""

    number: Number

    def from_text(self, text: str) -> object:
        """Read it."""
        if text.strip().lower() == "none":
            return None
        return _or_none(self.number.from_text, text)

    def from_toml(self, value: object) -> object:
        """Take it; TOML has no none of its own, so the word stands for it there too."""
        return None if value == "none" else _or_none(self.number.from_toml, value)


def _or_none(read: typing.Callable[[typing.Any], object], value: object) -> object:
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f'{error}, or "none"') from None


@attrs.frozen
class Word:
    """One of some words."""

    words: tuple[str, ...]

    def from_text(self, text: str) -> object:
        """Compare as it is; white space around it does not count."""
        if text.strip() not in self.words:
            raise ValueError(f"must be {' or '.join(self.words)}")
        return text.strip()

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(_string(value))


@attrs.frozen
class Switch:
    """On or off. On the command line its name alone means on."""

    def from_text(self, text: str) -> object:
        """Read one of the usual words."""
        match text.strip().lower():
            case "1" | "true" | "yes" | "on":
                return True
            case "0" | "false" | "no" | "off":
                return False
        raise ValueError("must be true or false")

    def from_toml(self, value: object) -> object:
        """Take a boolean."""
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, not {toml_type(value)}")
        return value


@attrs.frozen
class FilePath:
    """A file; a relative name in a TOML file counts from where that file is."""

    def from_text(self, text: str) -> object:
        """Take it, with ``~`` for a home directory."""
        if not text.strip() or "\0" in text:
            raise ValueError("must name a file")
        try:
            return Path(text).expanduser()
        except RuntimeError:
            raise ValueError("names a home directory that is not there") from None

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(_string(value))


@attrs.frozen
class Address:
    """An address of this machine, as a literal; ``localhost`` is ``127.0.0.1``."""

    def from_text(self, text: str) -> object:
        """Read it, IPv6 with or without brackets."""
        name = text.strip().lower()
        if name == "localhost":
            return "127.0.0.1"
        try:
            return str(ipaddress.ip_address(name.removeprefix("[").removesuffix("]")))
        except ValueError:
            raise ValueError("must be an IP address of this machine, or localhost") from None

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(_string(value))


@attrs.frozen
class Gateway:
    """The URL of a parent proxy."""

    def from_text(self, text: str) -> object:
        """Read it; what is wrong is said without the URL, which has a password in it."""
        return ParentProxy.from_url(text.strip())

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(_string(value))


@attrs.frozen
class Rules:
    """Rules. In a text they stand between commas or white space, neither of which a rule has."""

    def from_text(self, text: str) -> object:
        """Read a list. In ``- example.com`` the sign belongs to the name behind it."""
        joined = re.sub(r"(^|[,\s])-\s+", r"\1-", text)
        return tuple(filter(None, re.split(r"[,\s]+", joined)))

    def from_toml(self, value: object) -> object:
        """Take an array of strings."""
        if not isinstance(value, list) or not all(isinstance(rule, str) for rule in value):
            raise ValueError("must be an array of strings")
        return tuple(value)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {toml_type(value)}")
    return value


def toml_type(value: object) -> str:
    """What TOML calls the type of a value, with its article."""
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a float",
        str: "a string",
        list: "an array",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")
