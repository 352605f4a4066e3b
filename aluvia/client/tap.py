"""
``twistd aluvia``: the command line, and the service that it starts.

A mistake ends the process before anything runs, with one line on standard error: status 64 for what
was typed, 78 for a file. (``twistd`` itself knows only 1 for both, and prints its whole help.)
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import typing

from twisted.application.service import IService
from twisted.python import usage

from aluvia import __version__
from aluvia.client import collector
from aluvia.client.check import report
from aluvia.client.options import OPTIONS
from aluvia.client.service import ClientService
from aluvia.client.settings import USAGE, Settings, SettingsError, load_settings
from aluvia.client.supervise import CANNOT_CREATE
from aluvia.client.takes import Rules, Switch
from aluvia.telemetry.logs import make_observer
from aluvia.telemetry.redaction import Redactor
from aluvia.telemetry.twistd_log import WithOwnLog, log_stream

HELP = """
A local forward proxy: each request goes direct, or through a gateway by hostname rules.

  twistd -n --pidfile= aluvia --gateway-url http://user:pass@127.0.0.1:3128 --rule '*.example.com'

Every option may also stand in a TOML file (--config), under its name, and in the environment:
--idle-timeout is ALUVIA_IDLE_TIMEOUT. The command line wins over the environment, which wins over
the file.

Options:
"""

#: Beside the table: what is said on the command line alone, or names the file.
_BESIDES = (
    ("--config FILE", "a TOML file with any of these options"),
    ("--check", "say what would be used, without passwords, and exit"),
    ("--version", "say which version this is, and exit"),
    ("--help", "say this, and exit"),
)


class Options(usage.Options):
    """
    The command line, and once it is parsed all :attr:`settings`.

    :ivar settings: from the command line, the environment and the file.
    """

    settings: Settings

    synopsis = "[options]"

    optFlags: typing.ClassVar = [
        *([option.name, None, ""] for option in OPTIONS if option.takes == Switch()),
        ["check", None, ""],
    ]
    optParameters: typing.ClassVar = [
        *(
            [option.name, None, None, ""]
            for option in OPTIONS
            if option.takes not in (Switch(), Rules())
        ),
        ["config", None, None, ""],
    ]

    def __init__(self) -> None:
        super().__init__()
        self._rules: list[str] = []

    def opt_rule(self, pattern: str) -> None:
        """Take one more rule."""
        self._rules.append(pattern)

    def opt_version(self) -> typing.NoReturn:
        """Say which version this is, and exit."""
        print(f"aluvia {__version__}")
        raise SystemExit(0)

    def getUsage(self, width: int | None = None) -> str:
        """Show the table, in its order; Twisted's own form has neither order nor values."""
        options = [(f"{option.flag} {option.metavar}".strip(), option.text) for option in OPTIONS]
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
            for name, text in (*options, *_BESIDES)
        ]
        return HELP + "\n".join(parts) + "\n"

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
            flags = {name: value for name, value in self.items() if value not in (None, 0)}
            if self._rules:
                flags["rule"] = self._rules
            self.settings = load_settings(flags, os.environ)
        except usage.UsageError as error:
            _refuse(f"{error} (--help says what there is)", USAGE)
        except SettingsError as error:
            _refuse(str(error), error.status)
        if self["check"]:
            print(report(self.settings), end="")
            raise SystemExit(0)


def makeService(options: Options) -> IService:
    """
    What ``twistd`` runs: the client, and its log in place of twistd's own.

    :raises SystemExit: with 73 if the log file that twistd was told of cannot be opened.
    """
    # Not before twistd's own --reactor was heard.
    from twisted.internet import reactor  # noqa: PLC0415

    running: typing.Any = reactor
    settings = options.settings
    redactor = Redactor()
    for username, password in settings.credentials():
        redactor.add_credentials(username, password)
    twistd_options = {} if options.parent is None else options.parent
    try:
        stream = log_stream(twistd_options or {"nodaemon": True}, running.callFromThread)
    except OSError as error:
        _refuse(f"cannot write the log file {error.filename}: {error.strerror}", CANNOT_CREATE)
    running.callWhenRunning(collector.settle)
    observer = make_observer(settings.log_level, settings.log_format, stream, redactor)
    return WithOwnLog(ClientService(settings, running, os.environ), observer)


def _refuse(text: str, status: int) -> typing.NoReturn:
    sys.stderr.write(f"aluvia: {text}\n")
    raise SystemExit(status)
