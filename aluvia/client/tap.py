"""
``twistd aluvia``: the command line, and the service that it starts.

A mistake ends the process before anything runs, with one line on standard error: status 64 for what
was typed, 78 for a file. (``twistd`` itself knows only 1 for both, and prints its whole help.)
"""

from __future__ import annotations

import os
import secrets
import typing

from twisted.application.service import IService

from aluvia.client.check import report
from aluvia.client.load import SettingsError, load_settings
from aluvia.client.options import OPTIONS
from aluvia.client.service import ClientService
from aluvia.client.settings import Settings
from aluvia.process import collector
from aluvia.process.command_line import TableOptions, flags, parameters
from aluvia.process.statuses import USAGE
from aluvia.telemetry.logs import make_observer
from aluvia.telemetry.redaction import Redactor
from aluvia.telemetry.twistd_log import WithOwnLog

HELP = """
A local forward proxy: each request goes direct, or through a gateway by hostname rules.

  twistd -n --pidfile= aluvia --gateway-url http://user:pass@127.0.0.1:3128 --rule '*.example.com'

Every option may also stand in a TOML file (--config), under its name, and in the environment:
--idle-timeout is ALUVIA_IDLE_TIMEOUT. The command line wins over the environment, which wins over
the file.

Options:
"""


#: What a demo says itself, or must leave alone because it is the real one's.
_NOT_IN_A_DEMO = frozenset(
    [
        "config",
        "token",
        "token-file",
        "gateway-url",
        "rule",
        "api-base-url",
        "connection",
        "gateway-protocol",
        "gateway-host",
        "gateway-port",
        "state-file",
        "local-auth-file",
    ]
)


class Options(TableOptions):
    """
    The command line, and once it is parsed all :attr:`settings`.

    :ivar settings: from the command line, the environment and the file.
    """

    settings: Settings

    table = OPTIONS
    heading = HELP
    besides = (("--demo", "start a gateway, a control plane and a site besides, to be tried"),)
    optFlags: typing.ClassVar = [*flags(OPTIONS), ["demo", None, ""]]
    optParameters: typing.ClassVar = parameters(OPTIONS)

    def __init__(self) -> None:
        super().__init__()
        self._rules: list[str] = []

    def opt_rule(self, pattern: str) -> None:
        """Take one more rule."""
        self._rules.append(pattern)

    def load(self, given: dict[str, object]) -> None:
        """Read all sources."""
        if self._rules:
            given["rule"] = self._rules
        environ: typing.Mapping[str, str] = os.environ
        if given.pop("demo", None):
            # What is set for the real one is left alone, and so is what the real one keeps.
            for name in sorted(_NOT_IN_A_DEMO.intersection(given)):
                raise SettingsError(f"--{name}: --demo has all of its own", USAGE)
            # Never used; and a word that no log needs, which would be kept out of it.
            given["token"] = secrets.token_urlsafe()
            environ = {}
        self.settings = load_settings(given, environ)

    def report(self) -> str:
        """What would be used."""
        return report(self.settings)


def makeService(options: Options) -> IService:
    """
    What ``twistd`` runs: the client, and its log in place of twistd's own.

    :raises SystemExit: with 73 if the log file that twistd was told of cannot be opened.
    """
    # Not before twistd's own --reactor was heard.
    from twisted.internet import reactor  # noqa: PLC0415

    running: typing.Any = reactor
    settings = options.settings
    redactor = Redactor([] if settings.token is None else [settings.token])
    for username, password in settings.credentials():
        redactor.add_credentials(username, password)
    stream = options.open_log(running.callFromThread)
    running.callWhenRunning(collector.settle)
    observer = make_observer(settings.log_level, settings.log_format, stream, redactor)
    service: IService
    if options["demo"]:
        # The gateway and its store are not needed by anything else.
        from aluvia.demo.service import DemoService  # noqa: PLC0415

        service = DemoService(settings, running, os.environ, redactor.add_credentials)
    else:
        service = ClientService(settings, running, os.environ, learn=redactor.add_credentials)
    return WithOwnLog(service, observer)
