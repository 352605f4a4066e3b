"""
The client's process: one :class:`~aluvia.client.local.LocalProxy`, its admin port, and what a
supervisor sees of them.

.. code-block:: text

    state     startService, stopService and signals
    --------  ------------------------------------------------------------------------------
    STARTING  the configuration is fetched, then ports are bound. A token that is refused ends
              the process with status 77, an API without a configuration with 69, a port that
              is taken with 73; a signal ends it as it ends a running one
    RUNNING   SIGHUP: the configuration is fetched now; in static mode there is nothing to
              fetch, which is logged
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
from twisted.python.failure import Failure

from aluvia.client.admin import ADMIN_ADDRESS, admin_site
from aluvia.client.admin_site import LocalSite
from aluvia.client.advice import advice
from aluvia.client.config import Snapshot
from aluvia.client.local import LocalProxy
from aluvia.client.observed import LiveConnection
from aluvia.client.polls import Polls
from aluvia.client.settings import Settings
from aluvia.errors import ApiError, InvalidUserTokenError
from aluvia.forwarding.counters import Counters
from aluvia.process.supervise import (
    CANNOT_CREATE,
    NO_PERMISSION,
    SOFTWARE,
    UNAVAILABLE,
    Supervision,
    exit_with,
    local_url,
    stop_once,
)
from aluvia.telemetry.ledger import Ledger

log = Logger()

#: What the process exits with when a start fails.
_STATUSES = (
    (InvalidUserTokenError, NO_PERMISSION),
    (ApiError, UNAVAILABLE),
    (OSError, CANNOT_CREATE),
)


class ClientService(Service):
    """
    ``twistd -n aluvia``; and what its admin port sees (:class:`~aluvia.client.observed.Observed`).

    :param environ: the process's environment; what is for us is taken out of it.
    :param set_signal: installs a handler of a signal, and returns the one before it.
    :param learn: called with each user name and password that a control plane sends, before they
        are used.
    :param any_port: take any free port where one of the settings is taken, and say so.
    """

    name = "aluvia"

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        environ: typing.MutableMapping[str, str],
        set_signal: typing.Callable[[int, typing.Any], object] = signal.signal,
        learn: typing.Callable[[str, str], None] = lambda name, password: None,
        any_port: bool = False,
    ) -> None:
        self.settings = settings
        self.started_at = reactor.seconds()
        self._reactor = reactor
        self._set_signal = set_signal
        self._learn = learn
        self._any_port = any_port
        self._supervision = Supervision(environ, reactor, settings.port_file)
        self._running: LocalProxy | None = None
        self._admin_site: LocalSite | None = None
        self._admin: IListeningPort | None = None
        self._admin_port: int | None = None
        self._starting: Deferred[None] | None = None
        self._given_up = False
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
        return local_url(self._local.host, self._local.port)

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

    def startService(self) -> None:
        """Start, as soon as the reactor runs: before that a signal ends the process as it is."""
        super().startService()
        self._reactor.callWhenRunning(self._start)

    def _start(self) -> None:
        Deferred.fromCoroutine(self.begin()).addErrback(self._not_started)

    async def begin(self) -> None:
        """
        Fetch, bind, and say that we are ready.

        :raises AluviaError: there is no configuration.
        :raises OSError: a port, or the port file.
        """
        settings = self.settings
        for line in advice(settings):
            log.warn("{line}", line=line)
        self._running = LocalProxy(settings, self._reactor, learn=self._learn)
        self._stopping = None
        self._starting = Deferred.fromCoroutine(self._come_up(self._running))
        await self._starting

    async def _come_up(self, local: LocalProxy) -> None:
        self._supervision.starting(lambda: stop_once(self._reactor))
        self._set_signal(signal.SIGHUP, self._hung_up)
        await local.configure()
        self._bind("proxy", self.settings.port, local.listen)
        if self.settings.admin_port is not None:
            self._bind("admin", self.settings.admin_port, self._listen_for_admin)
        self._supervision.ready(local.host, local.port, self._admin_port)
        self._say_what_to_try()

    def _not_started(self, failure: Failure) -> None:
        """Say why in one line, and end the process."""
        error = failure.value
        if self._given_up:
            # A signal came first; what became of the start is of no interest.
            return
        for kind, status in _STATUSES:
            if isinstance(error, kind):
                exit_with(self._reactor, status, str(error))
                return
        log.failure("The start failed.", failure=failure)
        exit_with(self._reactor, SOFTWARE, "the start failed; the log says why")

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
        if self._starting is not None:
            self._given_up = True
            self._starting.cancel()
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

    def _bind(self, name: str, port: int, listen: typing.Callable[[int], None]) -> None:
        try:
            listen(port)
        except CannotListenError as error:
            if self._any_port and port:
                log.warn(
                    "The {name} port {port} is taken; another one is used.", name=name, port=port
                )
                self._bind(name, 0, listen)
                return
            why = error.socketError
            raise OSError(
                f"the {name} port {error.interface}:{error.port} cannot be bound: "
                f"{getattr(why, 'strerror', None) or why}"
            ) from None

    def _listen_for_admin(self, port: int) -> None:
        site = admin_site(self, self._reactor)
        self._admin = self._reactor.listenTCP(port, site, interface=ADMIN_ADDRESS)
        self._admin_site = site
        where = typing.cast(IPv4Address, self._admin.getHost())
        self._admin_port = where.port
        self._local.also_own(ADMIN_ADDRESS, where.port)

    def _say_what_to_try(self) -> None:
        url = self.url
        log.info("The proxy is {url}", url=url)
        if self._admin_port is not None:
            admin = local_url(ADMIN_ADDRESS, self._admin_port)
            log.info("The admin port is {url}", url=admin)
        log.info("Try: curl -x {url} http://example.com/", url=url)

    def _hung_up(self, number: int, frame: types.FrameType | None) -> None:
        self._reactor.callFromThread(self._fetch_now)

    def _fetch_now(self) -> None:
        control = None if self._running is None else self._running.control
        if control is None:
            log.info("SIGHUP: rules and gateway are static, so there is nothing to fetch.")
        else:
            log.info("SIGHUP: the configuration is fetched now.")
            control.poll_soon()

    def _signalled_again(self, number: int, frame: types.FrameType | None) -> None:
        self._reactor.callFromThread(self._stop_now)

    def _stop_now(self) -> None:
        log.info("Ending {count} connections now.", count=self._local.connections_open)
        Deferred.fromCoroutine(self._local.stop()).addErrback(
            lambda failure: log.failure("Ending failed.", failure)
        )
