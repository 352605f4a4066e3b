"""
The edge's process: an :class:`~aluvia.edge.edge.Edge`, and what a supervisor sees of it.

The table of its states is :mod:`aluvia.process.door_service`'s. To start is to open the store, to
put in force what is in it and in the routes file, and then to bind the ports, so that there is no
moment in which a host has no route. A store, a routes file or a certificate that is no good ends
the process with status 78, a port that is taken, or a store that another edge has, with 73. SIGHUP
reads the routes file and the certificates again, and reopens the access log; one that comes during
the start does so behind it.
"""

from __future__ import annotations

import signal
import typing

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from aluvia.edge.api_token import have_token
from aluvia.edge.edge import Edge
from aluvia.edge.ingress import Ingress, tunnel_port
from aluvia.edge.load import advice
from aluvia.edge.observing import SetLogLevel
from aluvia.edge.settings import IN_MEMORY, Settings
from aluvia.net.connecting import ClientWire
from aluvia.net.dial import Connect
from aluvia.process.door_service import DoorService, SetSignal
from aluvia.process.sources import SettingsError
from aluvia.process.statuses import CANNOT_CREATE, CONFIG
from aluvia.store.errors import StoreError, StoreInUseError
from aluvia.wire.target import Authority

__all__ = ["EdgeService"]

log = Logger()


class EdgeService(DoorService):
    """
    ``twistd -n aluvia-edge``.

    :param environ: the process's environment; what is for us is taken out of it.
    :param set_log_level: for who asks for another one.
    :param set_signal: installs a handler of a signal, and returns the one before it.
    :param connect: makes the connections to backends.
    :param movable: the ports (``http``, ``https``, ``API``) in whose place any free one does, where
        they are taken.
    """

    statuses = (
        (StoreInUseError, CANNOT_CREATE),
        (StoreError, CONFIG),
        (SettingsError, CONFIG),
        (ValueError, CONFIG),
        (OSError, CANNOT_CREATE),
    )

    door: Ingress | None

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        environ: typing.MutableMapping[str, str],
        set_log_level: SetLogLevel | None = None,
        set_signal: SetSignal = signal.signal,
        connect: Connect = ClientWire.connect,
        movable: typing.Container[str] = (),
    ) -> None:
        super().__init__(reactor, environ, settings.port_file, settings.drain_timeout, set_signal)
        self.settings = settings
        self.edge: Edge | None = None
        self._up = False
        self._hung_up_meanwhile = False
        self._environ = environ
        self._set_log_level = set_log_level
        self._connect = connect
        self._movable = movable

    async def come_up(self) -> dict[str, object]:
        """
        Find the token, and start.

        :raises StoreError: the store cannot be opened, or is not ours.
        :raises ValueError: the token, the routes file or a certificate is no good.
        :raises OSError: a port, or a file.
        """
        self._up = self._hung_up_meanwhile = False
        settings = self.settings
        for line in advice(settings):
            log.warn("{line}", line=line)
        token = have_token(settings.api_token_file, self._environ, settings.own_token_file)
        self.edge = edge = Edge(
            settings,
            token=token.token,
            reactor=self.reactor,
            connect=self._connect,
            set_log_level=self._set_log_level,
            movable=self._movable,
        )
        self.door = edge.ingress
        if token.ours:
            log.info("The API's token is in {path}", path=str(token.path))
        await edge.start()
        self._up = True
        if self._hung_up_meanwhile:
            self.read_again()
        ports = {name: edge.ingress.place(name)[1] for name in edge.ingress.ports}
        urls = {f"{name}_url": url for name, url in edge.urls.items()}
        return {**ports, **urls, "api": edge.api_port}

    def came_up(self) -> None:
        """Say where it is."""
        assert self.edge is not None  # since it came up
        for name, url in self.edge.urls.items():
            log.info("{name} is at {url}", name=name, url=url)
        for tunnel in self.settings.tunnel_tcp:
            name = tunnel_port(tunnel.id)
            if name in self.edge.ingress.ports:
                place = Authority(*self.edge.ingress.place(name))
                log.info("The TCP tunnel {id} is at {place}", id=tunnel.id, place=str(place))
        if not self.edge.router.routes:
            log.info(
                "There is no route yet: {tunnels}POST one to {url}/api/v1/routes",
                tunnels=_about_tunnels(self.settings),
                url=self.edge.urls["api"],
            )

        if self.edge.wants_keys and self.settings.db == IN_MEMORY:
            log.warn("No agent can have a key: they are kept in the store, which wants --db FILE.")
        elif self.edge.wants_keys:
            log.info(
                "No agent has a key yet: aluvia agent-key add NAME --db {db} --key-file FILE",
                db=str(self.settings.db),
            )

    def going_down(self) -> None:
        """Whoever waits for a change is answered now."""
        if self.edge is not None:
            self.edge.let_watchers_go()

    async def gone_down(self) -> None:
        """End the rest."""
        if self.edge is not None:
            await self.edge.end()

    def read_again(self) -> None:
        """SIGHUP: the routes file, the certificates, and a new file for the access log."""
        edge = self.edge
        if edge is None or not self._up:
            # What it means to read again may have been read before it was changed, or not yet.
            self._hung_up_meanwhile = True
            return
        edge.reopen_access_log()
        edge.read_certificates()
        try:
            edge.read_hub_certificate()
        except ValueError as error:
            log.error("SIGHUP: the hub's certificate stays as it was: {why}", why=str(error))
        reading = Deferred.fromCoroutine(edge.read_routes())
        reading.addCallbacks(lambda _: log.info("SIGHUP: files were read again."), self._not_read)
        reading.addErrback(lambda failure: log.failure("SIGHUP: reading failed.", failure))

    def _not_read(self, failure: typing.Any) -> None:
        failure.trap(SettingsError)
        log.error("SIGHUP: the routes stay as they were: {why}", why=failure.getErrorMessage())


def _about_tunnels(settings: Settings) -> str:
    """Where visitors find what agents publish, which needs no route; nothing without a hub."""
    if settings.hub is None:
        return ""
    paths = ["/t/ID/"] if settings.tunnel_paths else []
    hosts = [f"ID.{settings.tunnel_domain}"] if settings.tunnel_domain else []
    where = " and ".join([*hosts, *paths])
    return f"tunnels are at {where} without one; or " if where else ""
