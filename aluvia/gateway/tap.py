"""``twistd aluvia-gateway``: the command line, and the service that it starts."""

from __future__ import annotations

import os
import typing

from twisted.application.service import IService

from aluvia.gateway.load import load_settings, report
from aluvia.gateway.options import OPTIONS
from aluvia.gateway.settings import Settings
from aluvia.process import collector
from aluvia.process.command_line import TableOptions, flags, parameters
from aluvia.telemetry.logs import make_observer
from aluvia.telemetry.redaction import Redactor
from aluvia.telemetry.twistd_log import WithOwnLog

HELP = """
An authenticated forward proxy, and the control plane that its clients follow.

  twistd -n --pidfile= aluvia-gateway --proxy 0.0.0.0:8080 --db gateway.db

Every option may also stand in a TOML file (--config), under its name, and in the environment:
--idle-timeout is ALUVIA_GATEWAY_IDLE_TIMEOUT. The command line wins over the environment, which
wins over the file.

Options:
"""


class Options(TableOptions):
    """
    The command line, and once it is parsed all :attr:`settings`.

    :ivar settings: from the command line, the environment and the file.
    """

    settings: Settings

    table = OPTIONS
    heading = HELP
    optFlags: typing.ClassVar = flags(OPTIONS)
    optParameters: typing.ClassVar = parameters(OPTIONS)

    def load(self, given: dict[str, object]) -> None:
        """Read all sources."""
        self.settings = load_settings(given, os.environ)

    def report(self) -> str:
        """What would be used."""
        return report(self.settings)


def makeService(options: Options) -> IService:
    """
    What ``twistd`` runs: the gateway, and its log in place of twistd's own.

    :raises SystemExit: with 73 if the log file that twistd was told of cannot be opened.
    """
    # Not before twistd's own --reactor was heard; Klein, in the service, installs one too.
    from twisted.internet import reactor  # noqa: PLC0415

    from aluvia.gateway.service import GatewayService  # noqa: PLC0415

    running: typing.Any = reactor
    settings = options.settings
    stream = options.open_log(running.callFromThread)
    running.callWhenRunning(collector.settle)
    observer = make_observer(settings.log_level, settings.log_format, stream, Redactor())
    return WithOwnLog(GatewayService(settings, running, os.environ), observer)
