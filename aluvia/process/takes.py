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
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.target import InvalidHost, canonical_host, parse_authority

#: More than this is no number.
NUMBER_CHARACTERS = 100


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
        """Read digits, and where a fraction makes sense as many behind a point as there are."""
        digits = text.strip()
        pattern = r"[0-9]{1,18}" if self.whole else r"[0-9]{1,18}(\.[0-9]*)?|\.[0-9]+"
        if len(digits) > NUMBER_CHARACTERS or re.fullmatch(pattern, digits) is None:
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
        return self.from_text(string(value))


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
        return self.from_text(string(value))


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
        return self.from_text(string(value))


@attrs.frozen
class Place:
    """An address of this machine and a port, ``127.0.0.1:8080`` or ``[::1]:8080``."""

    def from_text(self, text: str) -> object:
        """Read it, as a pair; port 0 is any free one."""
        address, colon, port = text.strip().rpartition(":")
        bracketed = address.startswith("[") and address.endswith("]")
        if not colon or re.fullmatch("[0-9]{1,5}", port) is None or int(port) > 65535:
            raise ValueError("must be ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080")
        if ":" in address and not bracketed:
            raise ValueError("must have brackets around an IPv6 address, as in [::1]:8080")
        return Address().from_text(address), int(port)

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))


@attrs.frozen
class Gateway:
    """The URL of a parent proxy."""

    def from_text(self, text: str) -> object:
        """Read it; what is wrong is said without the URL, which has a password in it."""
        return ParentProxy.from_url(text.strip())

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))


@attrs.frozen
class Token:
    """A bearer token. White space around it is nobody's."""

    def from_text(self, text: str) -> object:
        """Read it; a blank one counts as none."""
        token = text.strip()
        if not token.isascii() or not (token.isprintable() and " " not in token):
            raise ValueError("holds a character that cannot be sent")
        return token or None

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))


@attrs.frozen
class Identifier:
    """A name that will be a segment of a path."""

    def from_text(self, text: str) -> object:
        """Read it."""
        if re.fullmatch(r"[A-Za-z0-9._~-]{1,200}", text.strip()) is None or text.strip() in "..":
            raise ValueError("must be an identifier: letters, digits and . _ ~ -")
        return text.strip()

    def from_toml(self, value: object) -> object:
        """Take a string, or a number."""
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return self.from_text(string(value))


@attrs.frozen
class HostName:
    """A host: a name or an address, made canonical."""

    def from_text(self, text: str) -> object:
        """Read it, IPv6 with or without brackets."""
        try:
            return canonical_host(text.strip().removeprefix("[").removesuffix("]"))
        except InvalidHost:
            raise ValueError("must be a host name or an address, without a port") from None

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))


@attrs.frozen
class BaseURL:
    """Where an API is: scheme, host, perhaps a port and a path; no more. Kept without its ``/``."""

    def from_text(self, text: str) -> object:
        """Read it."""
        url = text.strip().rstrip("/")
        scheme, separator, rest = url.partition("://")
        authority, _, path = rest.partition("/")
        if not separator or scheme.lower() not in ("http", "https"):
            raise ValueError("must begin with https:// or http://")
        if "@" in authority:
            raise ValueError("must not hold a user name or a password")
        if re.fullmatch(r"[!$&-;=@A-Z_a-z~%]*", path) is None:
            raise ValueError("must end with its path: no query, no fragment, no spaces")
        try:
            place = parse_authority(authority.encode("ascii"))
        except (ProtocolViolation, UnicodeEncodeError):
            raise ValueError("must name a host, and if need be a port") from None
        return f"{scheme.lower()}://{place}{'/' if path else ''}{path}"

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))


class Repeatable:
    """
    What an option takes that may stand several times on the command line. Its ``from_toml`` is
    given an array, and so are the words that stood there.
    """


@attrs.frozen
class Rules(Repeatable):
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


def string(value: object) -> str:
    """
    Take a string from a TOML file.

    :raises ValueError: it is something else.
    """
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
