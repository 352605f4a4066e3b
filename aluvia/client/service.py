"""
The client's process: one :class:`~aluvia.client.local.LocalProxy`, its admin port, and what a
supervisor sees of them.

.. code-block:: text

    state     startService, stopService and signals
    --------  ------------------------------------------------------------------------------
    STARTING  ports are bound; a port that is taken ends the process with status 73
    RUNNING   SIGHUP: in static mode there is nothing to fetch, which is logged
    DRAINING  after SIGTERM or SIGINT: no new connections, live ones up to drain_timeout;
              a second signal means now
    STOPPED   no listener, timer, connection or descriptor is left
"""

from __future__ import annotations

import signal
import types
import typing

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from aluvia.client.admin import ADMIN_ADDRESS, admin_site
from aluvia.client.admin_site import LocalSite
from aluvia.client.config import Snapshot, static_snapshot
from aluvia.client.counters import Counters
from aluvia.client.local import LocalProxy
from aluvia.client.observed import LiveConnection
from aluvia.client.settings import Settings
from aluvia.client.supervise import CANNOT_CREATE, Supervision, exit_with, local_url, stop_once

log = Logger()


class ClientService(Service):
    """
    ``twistd -n aluvia``; and what its admin port sees (:class:`~aluvia.client.observed.Observed`).

    :param environ: the process's environment; what is for us is taken out of it.
    :param set_signal: installs a handler of a signal, and returns the one before it.
    """

    name = "aluvia"
    last_error: str | None = None

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        environ: typing.MutableMapping[str, str],
        set_signal: typing.Callable[[int, typing.Any], object] = signal.signal,
    ) -> None:
        self.settings = settings
        self.started_at = reactor.seconds()
        self._reactor = reactor
        self._set_signal = set_signal
        self._supervision = Supervision(environ, reactor, settings.port_file)
        self._running: LocalProxy | None = None
        self._admin_site: LocalSite | None = None
        self._admin: IListeningPort | None = None
        self._admin_port: int | None = None
        self._stopping: Deferred[None] | None = None

    @property
    def _local(self) -> LocalProxy:
        assert self._running is not None  # between startService and the end of stopService
        return self._running

    # What the admin port sees.

    @property
    def counters(self) -> Counters:
        """The numbers since the start."""
        return self._local.counters

    @property
    def draining(self) -> bool:
        """Whether it has stopped accepting."""
        return self._local.draining

    @property
    def url(self) -> str:
        """The proxy's, for programs on this machine."""
        return local_url(self._local.host, self._local.port)

    @property
    def connections_open(self) -> int:
        """Clients' connections that are open now, tunnels among them."""
        return self._local.connections_open

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken: not at a cap, and not draining."""
        return self._local.accepting

    def snapshot(self) -> Snapshot | None:
        """The configuration of the moment."""
        return self._local.router.snapshot

    def live(self) -> typing.Iterable[LiveConnection]:
        """What is under way."""
        return self._local.live()

    # The life of the process.

    def startService(self) -> None:
        """Start, as soon as the reactor runs: before that a signal ends the process as it is."""
        super().startService()
        self._reactor.callWhenRunning(self._start)

    def _start(self) -> None:
        """Bind, and say that we are ready; or say why not, and end the process."""
        settings = self.settings
        for line in settings.advice():
            log.warn("{line}", line=line)
        snapshot = static_snapshot(settings, self._reactor.seconds())
        self._running = LocalProxy(settings, snapshot, self._reactor)
        self._stopping = None
        port = "proxy"
        try:
            self._supervision.starting(lambda: stop_once(self._reactor))
            self._local.listen()
            port = "admin"
            self._listen_for_admin()
            self._supervision.ready(self._local.host, self._local.port, self._admin_port)
        except CannotListenError as error:
            why = error.socketError
            self._give_up(
                f"the {port} port {error.interface}:{error.port} cannot be bound: "
                f"{getattr(why, 'strerror', None) or why}"
            )
        except OSError as error:
            self._give_up(str(error))
        else:
            self._set_signal(signal.SIGHUP, self._hung_up)
            self._say_what_to_try()

    def stopService(self) -> Deferred[None]:
        """Drain; called again, stop at once."""
        if self._running is None:
            return succeed(None)
        if self._stopping is None:
            super().stopService()
            self._supervision.stopping()
            for number in (signal.SIGTERM, signal.SIGINT):
                self._set_signal(number, self._signalled_again)
            self._stopping = Deferred.fromCoroutine(self._stop())
        return self._stopping

    async def _stop(self) -> None:
        if self._local.connections_open:
            log.info(
                "Draining {count} connections, up to {timeout} s; a second signal ends them now.",
                count=self._local.connections_open,
                timeout=self.settings.drain_timeout,
            )
        await self._local.stop(self.settings.drain_timeout)
        # The admin port tells of the drain to its end.
        if self._admin is not None and self._admin_site is not None:
            await maybeDeferred(self._admin.stopListening)
            self._admin_site.close()
        self._supervision.stopped()

    def _listen_for_admin(self) -> None:
        if self.settings.admin_port is None:
            return
        self._admin_site = admin_site(self, self._reactor)
        self._admin = self._reactor.listenTCP(
            self.settings.admin_port, self._admin_site, interface=ADMIN_ADDRESS
        )
        where = typing.cast(IPv4Address, self._admin.getHost())
        self._admin_port = where.port
        self._local.also_own(ADMIN_ADDRESS, where.port)

    def _give_up(self, why: str) -> None:
        exit_with(self._reactor, CANNOT_CREATE, why)

    def _say_what_to_try(self) -> None:
        url = self.url
        log.info("The proxy is {url}", url=url)
        if self._admin_port is not None:
            admin = local_url(ADMIN_ADDRESS, self._admin_port)
            log.info("The admin port is {url}", url=admin)
        log.info("Try: curl -x {url} http://example.com/", url=url)

    def _hung_up(self, number: int, frame: types.FrameType | None) -> None:
        self._reactor.callFromThread(
            log.info, "SIGHUP: rules and gateway are static, so there is nothing to fetch."
        )

    def _signalled_again(self, number: int, frame: types.FrameType | None) -> None:
        self._reactor.callFromThread(self._stop_now)

    def _stop_now(self) -> None:
        log.info("Ending {count} connections now.", count=self._local.connections_open)
        Deferred.fromCoroutine(self._local.stop()).addErrback(
            lambda failure: log.failure("Ending failed.", failure)
        )
