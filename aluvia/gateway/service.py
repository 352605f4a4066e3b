"""
The gateway's process: its store, its accounts, its proxy, its control plane, and what a supervisor
sees of them.

.. code-block:: text

    state     startService, stopService and signals
    --------  ------------------------------------------------------------------------------
    STARTING  the store is opened and read, then ports are bound. A store that is not ours ends
              the process with status 78, a port that is taken with 73; a signal ends it as it
              ends a running one
    RUNNING   SIGHUP: the certificate is read again, and the store looked at now
    DRAINING  after SIGTERM or SIGINT: no new connections, live ones up to drain_timeout;
              a second signal means now
    STOPPED   no listener, timer, thread, connection or descriptor is left
"""

from __future__ import annotations

import signal
import types
import typing

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.api.site import BoundedSite
from aluvia.api.watch import Watch
from aluvia.forwarding.counters import Counters
from aluvia.gateway.accounts import Accounts
from aluvia.gateway.control_api import ControlAPI
from aluvia.gateway.egress import Egress
from aluvia.gateway.listeners import Certificate
from aluvia.gateway.load import advice
from aluvia.gateway.settings import Settings
from aluvia.net.connecting import ClientWire
from aluvia.net.dial import Connect
from aluvia.process.sources import CONFIG
from aluvia.process.supervise import (
    CANNOT_CREATE,
    SOFTWARE,
    Supervision,
    exit_with,
    local_url,
    stop_once,
)
from aluvia.store.engine import Store
from aluvia.store.errors import StoreError

__all__ = ["GatewayService"]

log = Logger()

#: What the process exits with when a start fails.
_STATUSES = ((StoreError, CONFIG), (ValueError, CONFIG), (OSError, CANNOT_CREATE))


class GatewayService(Service):
    """
    ``twistd -n aluvia-gateway``; and what its API shows of it
    (:class:`~aluvia.gateway.observed.Observed`).

    :param environ: the process's environment; what is for us is taken out of it.
    :param set_signal: installs a handler of a signal, and returns the one before it.
    :param connect: makes the connections to targets.
    """

    name = "aluvia-gateway"

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        environ: typing.MutableMapping[str, str],
        set_signal: typing.Callable[[int, typing.Any], object] = signal.signal,
        connect: Connect = ClientWire.connect,
    ) -> None:
        self.settings = settings
        self.started_at = reactor.seconds()
        self._reactor = reactor
        self._set_signal = set_signal
        self._supervision = Supervision(environ, reactor, settings.port_file)
        self._store = Store(settings.db, reactor.callFromThread)
        self._watch = Watch(reactor)
        self._accounts = Accounts(self._store, reactor, self._account_changed)
        self._certificate: Certificate | None = None
        self._egress: Egress | None = None
        self._api_site: BoundedSite | None = None
        self._api: IListeningPort | None = None
        self._api_port = 0
        self._connect = connect
        self._starting: Deferred[None] | None = None
        self._given_up = False
        self._stopping: Deferred[None] | None = None

    # What the API sees.

    @property
    def counters(self) -> Counters:
        """The numbers since the start."""
        return self._running.counters

    @property
    def connections_open(self) -> int:
        """Clients' connections that are open now, tunnels among them."""
        return 0 if self._egress is None else self._egress.connections_open

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken: not at a cap, and not draining."""
        return self._running.accepting

    @property
    def draining(self) -> bool:
        """Whether it has stopped accepting."""
        return self._running.draining

    @property
    def account_count(self) -> int:
        """How many accounts there are."""
        return len(self._accounts)

    @property
    def monitors_waiting(self) -> int:
        """How many clients wait for a change of their account."""
        return self._watch.waiting

    @property
    def store_problem(self) -> str | None:
        """Why the store cannot be looked at, if that is so."""
        return self._accounts.problem

    @property
    def _running(self) -> Egress:
        assert self._egress is not None  # the API listens only while there is one
        return self._egress

    # The life of the process.

    def startService(self) -> None:
        """Start, as soon as the reactor runs: before that a signal ends the process as it is."""
        super().startService()
        self._reactor.callWhenRunning(self._start)

    def _start(self) -> None:
        Deferred.fromCoroutine(self.begin()).addErrback(self._not_started)

    async def begin(self) -> dict[str, int]:
        """
        Open, read, bind, and say that we are ready.

        :return: the ports, by name: ``proxy``, ``api``, and ``proxy_tls`` where there is one.
        :raises StoreError: the store cannot be opened, or is not ours.
        :raises ValueError: the certificate is no good.
        :raises OSError: a port, or the port file.
        """
        for line in advice(self.settings):
            log.warn("{line}", line=line)
        self._starting = Deferred.fromCoroutine(self._come_up())
        await self._starting
        ports = {name: self._running.place(name)[1] for name in self._running.ports}
        return {**ports, "api": self._api_port}

    async def _come_up(self) -> None:
        settings = self.settings
        self._supervision.starting(lambda: stop_once(self._reactor))
        self._set_signal(signal.SIGHUP, self._hung_up)
        if settings.cert is not None and settings.key is not None:
            self._certificate = Certificate(settings.cert, settings.key)
        await self._store.open()
        await self._accounts.start()
        self._egress = Egress(
            settings, self._accounts, self._reactor, self._certificate, connect=self._connect
        )
        try:
            self._egress.listen()
            api = self._listen_for_api()
        except CannotListenError as error:
            why = error.socketError
            raise OSError(
                f"{error.interface}:{error.port} cannot be bound: "
                f"{getattr(why, 'strerror', None) or why}"
            ) from None
        self._say_where(api)

    def _listen_for_api(self) -> tuple[str, int]:
        address, port = self.settings.api
        self._api_site = ControlAPI(self._accounts, self._watch, self, self._reactor).site()
        self._api = self._reactor.listenTCP(port, self._api_site, interface=address)
        where = typing.cast(IPv4Address | IPv6Address, self._api.getHost())
        self._running.also_own(where.host, where.port)
        self._api_port = where.port
        return where.host, where.port

    def _account_changed(self, name: str) -> None:
        self._watch.changed(name)
        if self._egress is not None and self._accounts.named(name) is None:
            self._egress.expel(name)

    def _say_where(self, api: tuple[str, int]) -> None:
        places = {name: self._running.place(name) for name in self._running.ports}
        url, api_url = local_url(*places["proxy"]), f"{local_url(*api)}/v1"
        ports = {name: port for name, (_, port) in places.items()}
        self._supervision.ready_at({**ports, "api": api[1], "url": url, "api_url": api_url})
        log.info("The proxy is {url}", url=url)
        if "proxy_tls" in places:
            tls_url = local_url(*places["proxy_tls"]).replace("http:", "https:", 1)
            log.info("Inside TLS it is {url}", url=tls_url)
        log.info("The control plane is {url}", url=api_url)
        if not len(self._accounts):
            log.info(
                "There is no account yet. Try: aluvia account add NAME --db {path}",
                path=str(self.settings.db),
            )

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
        if self._starting is None:
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
        if self.connections_open:
            log.info(
                "Draining {count} connections, up to {timeout} s; a second signal ends them now.",
                count=self.connections_open,
                timeout=self.settings.drain_timeout,
            )
        # Monitors are answered now, and whoever asks again finds the API until the drain is over.
        self._watch.end()
        if self._egress is not None:
            await self._egress.stop(self.settings.drain_timeout)
        if self._api is not None and self._api_site is not None:
            await maybeDeferred(self._api.stopListening)
            self._api_site.close()
        await self._accounts.stop()
        await self._store.close()
        self._supervision.stopped()

    # Signals.

    def _hung_up(self, number: int, frame: types.FrameType | None) -> None:
        self._reactor.callFromThread(self._read_again)

    def _read_again(self) -> None:
        if self._certificate is not None:
            try:
                self._certificate.read_again()
            except ValueError as error:
                log.error("SIGHUP: the certificate stays as it was: {error}", error=error)
            else:
                log.info("SIGHUP: the certificate was read again.")
        log.info("SIGHUP: the accounts are looked at now.")
        looked = Deferred.fromCoroutine(self._accounts.look_now())
        looked.addErrback(lambda failure: failure.trap(CancelledError) and None)

    def _signalled_again(self, number: int, frame: types.FrameType | None) -> None:
        self._reactor.callFromThread(self._stop_now)

    def _stop_now(self) -> None:
        if self._egress is None:
            return
        log.info("Ending {count} connections now.", count=self.connections_open)
        Deferred.fromCoroutine(self._egress.stop()).addErrback(
            lambda failure: log.failure("Ending failed.", failure)
        )
