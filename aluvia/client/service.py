"""
The client's process: one :class:`~aluvia.client.local.LocalProxy`, its admin port, and what a
supervisor sees of them.

The table of its states is :mod:`aluvia.process.door_service`'s. To start is to fetch the
configuration, then to bind the ports: a token that is refused ends the process with status 77, an
API without a configuration with 69, a port that is taken with 73. SIGHUP fetches the configuration
now.
"""

from __future__ import annotations

import signal
import typing

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger

from aluvia.api.site import BoundedSite
from aluvia.client.admin import ADMIN_ADDRESS, admin_site
from aluvia.client.advice import advice
from aluvia.client.config import Snapshot
from aluvia.client.local import LocalProxy
from aluvia.client.observed import LiveConnection
from aluvia.client.polls import Polls
from aluvia.client.settings import Settings
from aluvia.errors import ApiError, InvalidUserTokenError
from aluvia.forwarding.counters import Counters
from aluvia.net.door import bind, listen_stock, port_of
from aluvia.process.door_service import DoorService, SetSignal
from aluvia.process.statuses import CANNOT_CREATE, NO_PERMISSION, UNAVAILABLE
from aluvia.process.supervise import local_url
from aluvia.telemetry.ledger import Ledger

log = Logger()


class ClientService(DoorService):
    """
    ``twistd -n aluvia``; and what its admin port sees (:class:`~aluvia.client.observed.Observed`).

    :param environ: the process's environment; what is for us is taken out of it.
    :param set_signal: installs a handler of a signal, and returns the one before it.
    :param learn: called with each user name and password that a control plane sends, before they
        are used.
    :param movable: the ports (``proxy``, ``admin``) in whose place any free one does, where they
        are taken.
    """

    name = "aluvia"
    statuses = (
        (InvalidUserTokenError, NO_PERMISSION),
        (ApiError, UNAVAILABLE),
        (OSError, CANNOT_CREATE),
    )

    door: LocalProxy | None

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        environ: typing.MutableMapping[str, str],
        set_signal: SetSignal = signal.signal,
        learn: typing.Callable[[str, str], None] = lambda name, password: None,
        movable: typing.Container[str] = (),
    ) -> None:
        super().__init__(reactor, environ, settings.port_file, settings.drain_timeout, set_signal)
        self.settings = settings
        self._learn = learn
        self._movable = movable
        self._admin_site: BoundedSite | None = None
        self._admin: IListeningPort | None = None

    @property
    def _local(self) -> LocalProxy:
        assert self.door is not None  # since the start
        return self.door

    # What the admin port sees.

    @property
    def counters(self) -> Counters:
        """The numbers since the start."""
        return self._local.counters

    @property
    def ledger(self) -> Ledger:
        """What each host has cost since the start."""
        return self._local.ledger

    @property
    def draining(self) -> bool:
        """Whether it has stopped accepting."""
        return self._local.draining

    @property
    def url(self) -> str:
        """The proxy's, for programs on this machine."""
        return self._local.url

    @property
    def admin_url(self) -> str | None:
        """The admin port's; None if there is none."""
        return None if self._admin_port is None else local_url(ADMIN_ADDRESS, self._admin_port)

    @property
    def connections_open(self) -> int:
        """Clients' connections that are open now, tunnels among them."""
        return self._local.connections_open

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken: not at a cap, and not draining."""
        return self._local.accepting

    @property
    def last_error(self) -> str | None:
        """Why the configuration could not be renewed, if that is so."""
        control = self._local.control
        problem = None if control is None else control.problem
        return None if problem is None else problem.sentence

    @property
    def token_refused(self) -> bool:
        """Whether the control plane refuses the token."""
        control = self._local.control
        return control is not None and control.token_refused

    @property
    def renewed_at(self) -> float | None:
        """When the configuration last was known to be right; None before it ever was."""
        control, snapshot = self._local.control, self.snapshot()
        if control is not None:
            return control.renewed_at
        return None if snapshot is None else snapshot.fetched_at

    @property
    def polls(self) -> Polls | None:
        """What asking the control plane came to; None in static mode."""
        return None if self._local.control is None else self._local.control.polls

    def snapshot(self) -> Snapshot | None:
        """The configuration of the moment."""
        return self._local.router.snapshot

    def live(self) -> typing.Iterable[LiveConnection]:
        """What is under way."""
        return self._local.live()

    # The life of the process.

    async def come_up(self) -> dict[str, object]:
        """
        Fetch, and bind.

        :raises AluviaError: there is no configuration.
        :raises OSError: a port.
        """
        settings = self.settings
        for line in advice(settings):
            log.warn("{line}", line=line)
        self.door = local = LocalProxy(settings, self.reactor, learn=self._learn)
        await local.configure()
        bind("proxy", settings.port, local.open, self._movable)
        if settings.admin_port is not None:
            bind("admin", settings.admin_port, self._listen_for_admin, self._movable)
        return {"proxy": local.port, "admin": self._admin_port, "url": self.url}

    def came_up(self) -> None:
        """Say where it is, and what to try."""
        url = self.url
        log.info("The proxy is {url}", url=url)
        if self.admin_url is not None:
            log.info("The admin port is {url}", url=self.admin_url)
        user = "" if self.settings.local_users is None else "-U USER:PASSWORD "
        log.info("Try: curl {user}-x {url} http://example.com/", url=url, user=user)

    async def gone_down(self) -> None:
        """The admin port has told of the drain to its end."""
        if self._admin is not None and self._admin_site is not None:
            await maybeDeferred(self._admin.stopListening)
            self._admin_site.close()
            # What was closed just now is gone in the next turn.
            await deferLater(self.reactor, 0)

    def read_again(self) -> None:
        """Fetch the configuration."""
        control = None if self.door is None else self.door.control
        if control is None:
            log.info("SIGHUP: rules and gateway are static, so there is nothing to fetch.")
        else:
            log.info("SIGHUP: the configuration is fetched now.")
            control.poll_soon()

    def _listen_for_admin(self, port: int) -> None:
        site = admin_site(self, self.reactor)
        self._admin = listen_stock(self.reactor, ADMIN_ADDRESS, port, site)
        self._admin_site = site
        self._local.own.append((ADMIN_ADDRESS, port_of(self._admin)))

    @property
    def _admin_port(self) -> int | None:
        return None if self._admin is None else port_of(self._admin)
