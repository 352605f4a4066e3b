"""
A door's command line, as ``twistd`` wants it.

A mistake ends the process before anything runs, with one line on standard error: status 64 for what
was typed, 78 for a file. (``twistd`` itself knows only 1 for both, and prints its whole help.)
"""

from __future__ import annotations

import abc
import shutil
import sys
import textwrap
import typing

from twisted.python import usage

from aluvia import __version__
from aluvia.process.options import Option
from aluvia.process.sources import SettingsError
from aluvia.process.statuses import CANNOT_CREATE, USAGE
from aluvia.process.takes import Repeatable, Switch
from aluvia.telemetry.logs import Stream
from aluvia.telemetry.twistd_log import log_stream

__all__ = ["TableOptions", "flags", "parameters", "refuse"]

#: Beside the table: what is said on the command line alone, or names the file.
_BESIDES = (
    ("--config FILE", "a TOML file with any of these options"),
    ("--check", "say what would be used, without passwords, and exit"),
    ("--version", "say which version this is, and exit"),
    ("--help", "say this, and exit"),
)


def flags(table: typing.Iterable[Option]) -> list[list[typing.Any]]:
    """``optFlags`` for a table."""
    switches = [[option.name, None, ""] for option in table if option.takes == Switch()]
    return [*switches, ["check", None, ""]]


def parameters(table: typing.Iterable[Option]) -> list[list[typing.Any]]:
    """``optParameters`` for a table, but for what may be repeated: that has a method each."""
    with_values = [option for option in table if not isinstance(option.takes, Switch | Repeatable)]
    return [*([option.name, None, None, ""] for option in with_values), ["config", None, None, ""]]


class TableOptions(usage.Options, abc.ABC):
    """
    A command line by a table of options.

    :cvar table: the door's.
    :cvar heading: of its help.
    :cvar besides: options of its own that are no settings, and what help says of them.
    """

    table: typing.ClassVar[tuple[Option, ...]]
    heading: typing.ClassVar[str]
    besides: typing.ClassVar[tuple[tuple[str, str], ...]] = ()

    synopsis = "[options]"

    @abc.abstractmethod
    def load(self, given: dict[str, object]) -> None:
        """
        Read all sources, with what was given on the command line.

        :raises SettingsError: something is no good.
        """

    @abc.abstractmethod
    def report(self) -> str:
        """What ``--check`` prints."""

    def opt_version(self) -> typing.NoReturn:
        """Say which version this is, and exit."""
        print(f"aluvia {__version__}")
        raise SystemExit(0)

    def getUsage(self, width: int | None = None) -> str:
        """Show the table, in its order; Twisted's own form has neither order nor values."""
        options = [(f"{each.flag} {each.metavar}".strip(), each.text) for each in self.table]
        columns = max(width or shutil.get_terminal_size().columns, 60)
        left = max(len(name) for name, _ in options) + 4
        indent = " " * left
        parts = [
            textwrap.fill(
                text,
                columns,
                initial_indent=f"  {name}".ljust(left),
                subsequent_indent=indent,
                break_on_hyphens=False,
            )
            for name, text in (*options, *self.besides, *_BESIDES)
        ]
        return self.heading + "\n".join(parts) + "\n"

    def parseArgs(self, *words: str) -> None:  # noqa: N802
        """Refuse what is no option; without showing it, if it looks like a gateway's URL."""
        if words:
            what = "a word" if "@" in words[0] else repr(words[0])
            raise usage.UsageError(f"{what} is no option")

    def parseOptions(self, options: typing.Sequence[str] | None = None) -> None:
        """
        Parse, and load the settings.

        :raises SystemExit: with 64 or 78 for a mistake; with 0 for ``--check``.
        """
        try:
            super().parseOptions(options)
            self.load({name: value for name, value in self.items() if value not in (None, 0)})
        except usage.UsageError as error:
            refuse(f"{error} (--help says what there is)", USAGE)
        except SettingsError as error:
            refuse(str(error), error.status)
        if self["check"]:
            print(self.report(), end="")
            raise SystemExit(0)

    def open_log(self, call_soon: typing.Callable[[typing.Callable[[], object]], object]) -> Stream:
        """
        Open what twistd's own options send the log to.

        :param call_soon: see :func:`~aluvia.telemetry.twistd_log.log_stream`.
        :raises SystemExit: with 73 if it is a file that cannot be opened.
        """
        try:
            return log_stream(self.parent or {"nodaemon": True}, call_soon)
        except OSError as error:
            refuse(f"cannot write the log file {error.filename}: {error.strerror}", CANNOT_CREATE)


def refuse(text: str, status: int) -> typing.NoReturn:
    """End the process before anything runs."""
    sys.stderr.write(f"aluvia: {text}\n")
    raise SystemExit(status)
