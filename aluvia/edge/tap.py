"""``twistd aluvia-edge``: the command line, and the service that it starts."""

from __future__ import annotations

import os
import time
import typing

from twisted.application.service import IService
from twisted.python import usage

from aluvia.edge.api_token import VARIABLE
from aluvia.edge.load import load_settings
from aluvia.edge.options import OPTIONS
from aluvia.edge.settings import Settings
from aluvia.process import collector
from aluvia.process.command_line import TableOptions, flags, parameters
from aluvia.process.sources import SettingsError
from aluvia.process.statuses import USAGE
from aluvia.telemetry.logs import make_observer
from aluvia.telemetry.redaction import Redactor
from aluvia.telemetry.twistd_log import WithOwnLog

HELP = """
A reverse proxy whose routes, backends and certificates change while it runs, over a REST API.

  twistd -n --pidfile= aluvia-edge --http 0.0.0.0:8080 --db edge.db

Every option may also stand in a TOML file (--config), under its name, and in the environment:
--idle-timeout is ALUVIA_EDGE_IDLE_TIMEOUT. The command line wins over the environment, which wins
over the file.

Options:
"""

#: What a demo has of its own, and must not touch of the real one's.
_NOT_IN_A_DEMO = frozenset(
    [
        "config",
        "api-token-file",
        "db",
        "routes",
        "certificates",
        "default-certificate",
        "default-key",
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
    besides = (("--demo", "start two backends and routes to them besides, to be tried"),)
    optFlags: typing.ClassVar = [*flags(OPTIONS), ["demo", None, ""]]
    optParameters: typing.ClassVar = parameters(OPTIONS)

    def __init__(self) -> None:
        super().__init__()
        self._networks: list[str] = []
        self._tunnel_places: list[str] = []
        self._notes: list[str] = []

    def opt_trusted_proxy(self, network: str) -> None:
        """Take one more network, or more of them between commas."""
        self._networks.append(network)

    def opt_tunnel_tcp(self, place: str) -> None:
        """Take the port of one more tunnel, or more of them between commas."""
        self._tunnel_places.append(place)

    def opt_api_token(self, token: str) -> typing.NoReturn:
        """Refuse it, which would otherwise be taken for the beginning of another option's name."""
        raise usage.UsageError(
            "--api-token: others can read a command line; give --api-token-file FILE, or set "
            f"${VARIABLE}"
        )

    def load(self, given: dict[str, object]) -> None:
        """Read all sources; to check them, all that they name as well."""
        if self._networks:
            given["trusted-proxy"] = self._networks
        if self._tunnel_places:
            given["tunnel-tcp"] = self._tunnel_places
        environ: typing.Mapping[str, str] = os.environ
        if given.get("demo"):
            # What is set for the real one is left alone, and so is what the real one keeps.
            for name in sorted(_NOT_IN_A_DEMO.intersection(given)):
                raise SettingsError(f"--{name}: --demo has all of its own", USAGE)
            environ = {}
            given["db"] = ":memory:"
        self.settings = load_settings(given, environ)
        if given.get("check") and not given.get("demo"):
            # The store, and what reads certificates, are needed by nobody else so early.
            from aluvia.edge.check import examine  # noqa: PLC0415

            self._notes = examine(self.settings, environ, time.time())

    def report(self) -> str:
        """What would be used."""
        from aluvia.edge.check import report  # noqa: PLC0415

        return report(self.settings, self._notes)


def makeService(options: Options) -> IService:
    """
    What ``twistd`` runs: the edge, and its log in place of twistd's own.

    :raises SystemExit: with 73 if the log file that twistd was told of cannot be opened.
    """
    # Not before twistd's own --reactor was heard; Klein, in the service, installs one too.
    from twisted.internet import reactor  # noqa: PLC0415

    running: typing.Any = reactor
    settings = options.settings
    stream = options.open_log(running.callFromThread)
    running.callWhenRunning(collector.settle)
    redactor = Redactor([os.environ.get(VARIABLE, "").strip()])
    observer = make_observer(settings.log_level, settings.log_format, stream, redactor)
    service: IService
    if options["demo"]:
        # The backends are needed by nothing else.
        from aluvia.demo.edge import EdgeDemo  # noqa: PLC0415

        service = EdgeDemo(settings, running, os.environ, observer.set_level)
    else:
        from aluvia.edge.service import EdgeService  # noqa: PLC0415

        service = EdgeService(settings, running, os.environ, observer.set_level)
    return WithOwnLog(service, observer)
