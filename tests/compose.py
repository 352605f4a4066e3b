"""
The compose file, read as an engine reads it, and no more of YAML than it uses.

Block mappings, flow lists of words (over several lines as well), quoted words, comments, anchors
that are merged (``<<: *anchor``), and ``${NAME:-default}``. Whatever else is there is an error;
``tests/peers`` compares with a real parser.
"""

from __future__ import annotations

import re
import typing

from tests.checkout import CHECKOUT

COMPOSE = CHECKOUT / "docker-compose.yml"

Mapping = dict[str, typing.Any]

_line = re.compile(r'( *)("[^"]*"|[\w<.-]+):(?: &(\w+)| \*(\w+)| (\S.*))?').fullmatch
_word = re.compile(r'\s*("[^"]*"|[^\s,"\[\]{}#&*!|>%@`][^,"\[\]{}]*?)\s*(?:,|$)')

_plain = re.compile(r"[\w/.<-][^,\"\[\]{}]*").fullmatch
_something_else = re.compile(r"(?i)\d[\d.:_-]*|yes|no|on|off|y|n|null|- .*").fullmatch


def services(environ: typing.Mapping[str, str]) -> dict[str, Mapping]:
    """Each service by its name, with its variables filled in."""
    return typing.cast(
        dict[str, Mapping],
        filled_in(read(COMPOSE.read_text(encoding="utf-8"))["services"], environ),
    )


def read(text: str) -> Mapping:
    """
    Read a document.

    :raises ValueError: it has what is not read here.
    """
    root: Mapping = {}
    anchors: dict[str, Mapping] = {}
    below: Mapping
    # The mappings that are open, each with the column of its keys; -1: not known yet.
    open_mappings: list[tuple[int, Mapping]] = [(0, root)]
    for line in _whole_lines(text):
        found = _line(line)
        if found is None:
            raise ValueError(line)
        column, name = len(found[1]), _scalar(found[2])
        if open_mappings[-1][0] == -1:
            _, below = open_mappings.pop()
            if column > open_mappings[-1][0]:
                open_mappings.append((column, below))
        while open_mappings[-1][0] > column:
            open_mappings.pop()
        if open_mappings[-1][0] != column:
            raise ValueError(line)
        into = open_mappings[-1][1]
        if found[4] is not None:
            into.update(anchors[found[4]])
        elif found[5] is not None:
            into[name] = _value(found[5])
        else:
            below = {}
            into[name] = below
            open_mappings.append((-1, below))
            if found[3] is not None:
                anchors[found[3]] = below
    return root


def filled_in(value: typing.Any, environ: typing.Mapping[str, str]) -> typing.Any:
    """Put in each ``${NAME:-default}``."""
    if isinstance(value, dict):
        return {key: filled_in(each, environ) for key, each in value.items()}
    if isinstance(value, list):
        return [filled_in(each, environ) for each in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda m: environ.get(m[1]) or m[2], value)
    return value


def _whole_lines(text: str) -> typing.Iterator[str]:
    """Without comments and empty lines, and each list on one line."""
    whole = ""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            whole = f"{whole} {line.strip()}" if whole else line
            if whole.count("[") == whole.count("]"):
                yield whole.rstrip()
                whole = ""
    if whole:
        raise ValueError(whole)


def _value(text: str) -> typing.Any:
    if not text.startswith("["):
        return {"true": True, "false": False}.get(text, _scalar(text))
    words, at, inside = [], 0, text[1:-1]
    while at < len(inside):
        found = _word.match(inside, at)
        if found is None or not text.endswith("]"):
            raise ValueError(text)
        words.append(_scalar(found[1]))
        at = found.end()
    return words


def _scalar(text: str) -> str:
    """A word; one that YAML reads as anything else is refused."""
    quoted = re.fullmatch(r'"([^"\\]*)"', text)
    if quoted is not None:
        return quoted[1]
    if _plain(text) is None or ": " in text or " #" in text or _something_else(text):
        raise ValueError(text)
    return text
