"""``twistd aluvia-agent``: the command line, and the service that it starts."""

from __future__ import annotations

import os
import secrets
import typing

from twisted.application.service import IService
from twisted.python import usage

from aluvia.agent.check import examine, report
from aluvia.agent.load import load_settings
from aluvia.agent.options import KEY_VARIABLES, OPTIONS, SECRET_VARIABLES
from aluvia.agent.service import AgentService
from aluvia.agent.settings import Settings
from aluvia.process import collector
from aluvia.process.command_line import TableOptions, flags, parameters
from aluvia.process.sources import SettingsError
from aluvia.process.statuses import USAGE
from aluvia.telemetry.logs import make_observer
from aluvia.telemetry.redaction import Redactor
from aluvia.telemetry.twistd_log import WithOwnLog

HELP = """
Publishes ports of this machine's network through a hub, and nothing but those that are named.

  twistd -n --pidfile= aluvia-agent --hub wss://hub.example.com/agent --key-file agent.key \\
    --publish app=http://127.0.0.1:3000

Every option may also stand in a TOML file (--config), under its name, and in the environment:
--idle-timeout is ALUVIA_AGENT_IDLE_TIMEOUT. The command line wins over the environment, which wins
over the file.

Options:
"""

#: What a demo has of its own, and must not touch of the real one's.
_NOT_IN_A_DEMO = frozenset(
    [
        "config",
        "check",
        "hub",
        "key-file",
        "group",
        "publish",
        "publish-tcp",
        "carrier",
        "insecure",
        "cafile",
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
    besides = (("--demo", "start an edge with a hub and a site to publish besides, to be tried"),)
    optFlags: typing.ClassVar = [*flags(OPTIONS), ["demo", None, ""]]
    optParameters: typing.ClassVar = parameters(OPTIONS)

    def __init__(self) -> None:
        super().__init__()
        self._publish: list[str] = []
        self._publish_tcp: list[str] = []
        self._notes: list[str] = []

    def opt_publish(self, tunnel: str) -> None:
        """Take one more tunnel to a web server."""
        self._publish.append(tunnel)

    def opt_publish_tcp(self, tunnel: str) -> None:
        """Take one more tunnel to anything else."""
        self._publish_tcp.append(tunnel)

    def opt_key(self, key: str) -> typing.NoReturn:
        """Refuse it, which would otherwise be taken for the beginning of another option's name."""
        raise usage.UsageError(
            "--key: others can read a command line; give --key-file FILE, or set $ALUVIA_AGENT_KEY"
        )

    def load(self, given: dict[str, object]) -> None:
        """Read all sources, and leave no secret in the environment; to check, try the targets."""
        if self._publish:
            given["publish"] = self._publish
        if self._publish_tcp:
            given["publish-tcp"] = self._publish_tcp
        environ: typing.Mapping[str, str] = os.environ
        if given.pop("demo", None):
            # What is set for the real one is left alone, and so is what the real one keeps.
            for name in sorted(_NOT_IN_A_DEMO.intersection(given)):
                raise SettingsError(f"--{name}: --demo has all of its own", USAGE)
            # Where these are is known once they listen.
            token = secrets.token_urlsafe()
            given["hub"] = "ws://127.0.0.1"
            given["publish"] = ["app=http://127.0.0.1", f"private@{token}=http://127.0.0.1"]
            environ = {KEY_VARIABLES[0]: secrets.token_urlsafe(32)}
        self.settings = load_settings(given, environ)
        for variable in SECRET_VARIABLES:
            os.environ.pop(variable, None)
        if given.get("check"):
            self._notes = examine(self.settings)

    def report(self) -> str:
        """What would be used."""
        return report(self.settings, self._notes)


def makeService(options: Options) -> IService:
    """
    What ``twistd`` runs: the agent, and its log in place of twistd's own.

    :raises SystemExit: with 73 if the log file that twistd was told of cannot be opened.
    """
    # Not before twistd's own --reactor was heard.
    from twisted.internet import reactor  # noqa: PLC0415

    running: typing.Any = reactor
    settings = options.settings
    stream = options.open_log(running.callFromThread)
    running.callWhenRunning(collector.settle)
    redactor = Redactor(settings.secrets())
    observer = make_observer(settings.log_level, settings.log_format, stream, redactor)
    service: IService
    if options["demo"]:
        # The edge and the site are needed by nothing else.
        from aluvia.demo.agent import AgentDemo  # noqa: PLC0415

        service = AgentDemo(settings, running, os.environ)
    else:
        service = AgentService(settings, running, os.environ)
    return WithOwnLog(service, observer)
