"""
The sources of a door's settings: a table of options, in three spellings.

The command line stands above the environment, which stands above the TOML file. A mistake is said
with its place, and without the value, which may be a secret.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
import typing
from pathlib import Path

import attrs

from aluvia.process.options import Option
from aluvia.process.statuses import CONFIG, USAGE
from aluvia.process.takes import FilePath, Number, NumberOrNone, Repeatable, Switch, Takes

__all__ = [
    "FILE_BYTES",
    "Found",
    "SettingsError",
    "contents",
    "from_everywhere",
    "from_file",
    "from_flags",
    "from_variables",
    "unknown_variables",
    "values_of",
]

#: More than this is no configuration file, and no bundle of authorities.
FILE_BYTES = 1_048_576


class SettingsError(Exception):
    """
    A door cannot run with what it was told. The text is one line for its user, without secrets.

    :ivar status: what the process exits with.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@attrs.frozen
class Found:
    """A value, where it came from, and what a mistake about it means to the process."""

    value: typing.Any
    source: str
    status: int = USAGE

    def mistake(self, text: str) -> SettingsError:
        """What to raise when the value turns out not to do."""
        return SettingsError(f"{self.source}: {text}", self.status)


def from_flags(
    table: typing.Iterable[Option], flags: typing.Mapping[str, object]
) -> dict[str, Found]:
    """
    Read a command line, or what a program gives in place of one; by field.

    :param flags: by option name: texts; for what may be repeated a sequence of them, for a switch
        True; None is not set. Programs may give a number, and for a file any
        :class:`os.PathLike`.
    :raises SettingsError: one is no good.
    """
    return {
        option.field: Found(_read(option, value, option.flag), option.flag)
        for option in table
        if (value := flags.get(option.name)) is not None
    }


def from_variables(
    table: typing.Iterable[Option], environ: typing.Mapping[str, str]
) -> dict[str, Found]:
    """
    Read the environment; by field. An empty variable counts as one that is not set.

    :raises SettingsError: one is no good.
    """
    layer = {}
    for option in table:
        variable = next(filter(environ.get, option.variables), None)
        if variable is not None:
            value = _read(option, environ[variable], variable)
            layer[option.field] = Found(value, variable)
    return layer


def from_file(path: Path, table: typing.Iterable[Option]) -> dict[str, Found]:
    """
    Read a TOML file, by field.

    :raises SettingsError: it cannot be read, a key is none of the table's, or a value is no good.
    """
    source = str(path)
    try:
        keys = tomllib.loads(contents(path, FILE_BYTES, source).decode("utf-8"))
    except UnicodeDecodeError:
        raise SettingsError(f"{source}: is not UTF-8", CONFIG) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source}: {error}", CONFIG) from None
    found = {}
    options = {option.name: option for option in table}
    for key, value in keys.items():
        if key not in options:
            near = difflib.get_close_matches(key.lower().replace("_", "-"), options, 1)
            question = f"; is {near[0]!r} meant?" if near else ""
            raise SettingsError(f"{source}: unknown key {key!r}{question}", CONFIG)
        option = options[key]
        try:
            read = option.takes.from_toml(value)
        except ValueError as error:
            raise SettingsError(f"{key} in {source}: {error}", CONFIG) from None
        if isinstance(read, Path):
            read = path.parent / read
        found[option.field] = Found(read, f"{key} in {source}", CONFIG)
    return found


def contents(path: Path, limit: int, source: str, *, regular: bool = False) -> bytes:
    """
    Read a file that an option names.

    :param regular: whether it must be a file and no pipe, whose reading waits for a writer: for
        what is read again while others are served.
    :raises SettingsError: it cannot be read, or is longer than the limit.
    """
    place = source if source == str(path) else f"{source}: {path}"
    try:
        mode = path.stat().st_mode
        if regular and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise SettingsError(f"{place}: is no regular file", CONFIG)
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise SettingsError(f"{place}: {error.strerror}", CONFIG) from None
    if len(data) > limit:
        raise SettingsError(f"{place}: longer than {limit} bytes", CONFIG)
    return data


def unknown_variables(
    environ: typing.Mapping[str, str], table: typing.Sequence[Option]
) -> dict[str, str]:
    """Variables that look like options and are none, each with the one that it may mean."""
    known = [variable for option in table for variable in option.variables]
    prefix = table[0].prefix
    return {
        variable: near[0]
        for variable in sorted(environ)
        if variable.startswith(prefix) and variable not in (*known, f"{prefix}CONFIG")
        for near in [difflib.get_close_matches(variable, known, 1, 0.85)]
        if near
    }


def _read(option: Option, value: object, source: str) -> object:
    """A value from the command line, the environment or a program."""
    takes = option.takes
    try:
        if isinstance(takes, Switch) and isinstance(value, bool):
            return value
        if isinstance(takes, Repeatable) and isinstance(value, list | tuple):
            return takes.from_toml(list(value))
        return takes.from_text(_text(value, takes))
    except ValueError as error:
        raise SettingsError(f"{source}: {error}", USAGE) from None


def _text(value: object, takes: Takes) -> str:
    """
    The text that a value is, or stands for.

    A whole number may be a name as well, but True is neither, though Python counts it among them.

    :raises ValueError: it stands for none.
    """
    if isinstance(takes, FilePath) and isinstance(value, os.PathLike):
        value = os.fspath(value)
    numbers = (int, float) if isinstance(takes, Number | NumberOrNone) else (int,)
    if isinstance(value, numbers) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"cannot be read from a value of the type {type(value).__name__}")
    return value


def from_everywhere(
    table: typing.Sequence[Option],
    prefix: str,
    flags: typing.Mapping[str, object],
    environ: typing.Mapping[str, str],
) -> dict[str, Found]:
    """
    What a door's options are: the command line wins over the environment, and that over the file.

    :param prefix: of the door's variables; ``CONFIG`` behind it names the file.
    :param flags: by option name, as they stood on the command line.
    :raises SettingsError: with the place that is wrong.
    """
    found: dict[str, Found] = {}
    config = flags.get("config") or environ.get(f"{prefix}CONFIG")
    if config:
        found |= from_file(Path(str(config)), table)
    return found | from_variables(table, environ) | from_flags(table, flags)


def values_of(found: typing.Mapping[str, Found]) -> dict[str, typing.Any]:
    """The values, by field. Paths are absolute: daemons change directory."""
    return {
        field: each.value.absolute() if isinstance(each.value, Path) else each.value
        for field, each in found.items()
    }
