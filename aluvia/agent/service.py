"""
The agent's process, as a supervisor sees it.

The table of its states is :mod:`aluvia.process.door_service`'s. It is ready when it has started,
and not when it has reached the hub: a hub that is away is waited for, for as long as it takes, and
a supervisor that gave up would help nobody. The port file says how that stands, and is written anew
whenever it changes.

SIGHUP changes nothing: what is published is read at the start alone. To publish something else is
to register anew, which ends all streams; a restart is as good.
"""

from __future__ import annotations

import signal
import typing

from twisted.logger import Logger

from aluvia.agent.agent import Agent
from aluvia.agent.check import advice
from aluvia.agent.settings import Settings
from aluvia.net.connecting import ClientWire
from aluvia.net.dial import Connect
from aluvia.process.door_service import DoorService, SetSignal
from aluvia.process.statuses import CANNOT_CREATE

__all__ = ["AgentService"]

log = Logger()


class AgentService(DoorService):
    """
    ``twistd -n aluvia-agent``.

    :param environ: the process's environment; what is for us is taken out of it.
    :param set_signal: installs a handler of a signal, and returns the one before it.
    :param connect: makes all connections.
    """

    name = "aluvia-agent"
    statuses = ((OSError, CANNOT_CREATE),)

    door: Agent | None

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        environ: typing.MutableMapping[str, str],
        set_signal: SetSignal = signal.signal,
        connect: Connect = ClientWire.connect,
    ) -> None:
        super().__init__(reactor, environ, settings.port_file, settings.drain_timeout, set_signal)
        self.settings = settings
        self._connect = connect
        self._told: dict[str, object] | None = None

    async def come_up(self) -> dict[str, object]:
        """Begin to connect, for ever."""
        settings = self.settings
        for line in advice(settings):
            log.warn("{line}", line=line)
        for tunnel in settings.tunnels:
            log.info("{id} publishes {target}", id=tunnel.id, target=tunnel.target)
        self.door = Agent(settings, self.reactor, connect=self._connect, changed=self.changed)
        self.door.start()
        self._told = self._where()
        return self._told

    def going_down(self) -> None:
        """The port file has gone, and is not to come again."""
        self._told = None

    async def gone_down(self) -> None:
        """There is nothing besides."""

    def read_again(self) -> None:
        """SIGHUP."""
        log.info("SIGHUP: the options are read at the start alone; restart to publish others.")

    def changed(self) -> None:
        """Whether the hub has us may be otherwise now."""
        if self._told is not None and self._where() != self._told:
            self._told = self._where()
            self.tell_again(self._told)

    def _where(self) -> dict[str, object]:
        """What the port file says."""
        assert self.door is not None  # since it came up
        where = self.door.where()
        return {
            "hub": str(self.settings.hub),
            "online": self.door.online,
            "tunnels": {each.id: where.get(each.id) for each in self.settings.tunnels},
        }
