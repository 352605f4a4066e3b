"""
The gateway's process: its store, its accounts, its proxy, its control plane, and what a supervisor
sees of them.

The table of its states is :mod:`aluvia.process.door_service`'s. To start is to open and read the
store, then to bind the ports: a store that is not ours, or a certificate that is no good, ends the
process with status 78, a port that is taken with 73. SIGHUP reads the certificate again, and looks
at the store now.
"""

from __future__ import annotations

import signal
import typing

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger

from aluvia.api.site import BoundedSite
from aluvia.api.watch import Watch
from aluvia.forwarding.counters import Counters
from aluvia.gateway.accounts import Accounts
from aluvia.gateway.control_api import ControlAPI
from aluvia.gateway.egress import Egress
from aluvia.gateway.load import advice
from aluvia.gateway.settings import Settings
from aluvia.net.connecting import ClientWire
from aluvia.net.dial import Connect
from aluvia.net.door import bind_error, listen_stock, port_of
from aluvia.net.tls_port import Certificate
from aluvia.process.door_service import DoorService, SetSignal
from aluvia.process.statuses import CANNOT_CREATE, CONFIG
from aluvia.process.supervise import local_url
from aluvia.store.accounts import Account, still_admits
from aluvia.store.engine import Store
from aluvia.store.errors import StoreError

__all__ = ["GatewayService"]

log = Logger()


class GatewayService(DoorService):
    """
    ``twistd -n aluvia-gateway``; and what its API shows of it
    (:class:`~aluvia.gateway.observed.Observed`).

    :param environ: the process's environment; what is for us is taken out of it.
    :param set_signal: installs a handler of a signal, and returns the one before it.
    :param connect: makes the connections to targets.
    """

    name = "aluvia-gateway"
    statuses = ((StoreError, CONFIG), (ValueError, CONFIG), (OSError, CANNOT_CREATE))

    door: Egress | None

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
        self._store = Store(settings.db, reactor.callFromThread)
        self._watch = Watch(reactor)
        self._accounts = Accounts(self._store, reactor, self._account_changed)
        self._certificate: Certificate | None = None
        self._connect = connect
        self._api_site: BoundedSite | None = None
        self._api: IListeningPort | None = None

    # What the API sees.

    @property
    def counters(self) -> Counters:
        """The numbers since the start."""
        return self._egress.counters

    @property
    def connections_open(self) -> int:
        """Clients' connections that are open now, tunnels among them."""
        return self._egress.connections_open

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken: not at a cap, and not draining."""
        return self._egress.accepting

    @property
    def draining(self) -> bool:
        """Whether it has stopped accepting."""
        return self._egress.draining

    @property
    def connections_refused(self) -> int:
        """How many were reset, since their address had enough."""
        return self._egress.connections_refused

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
    def _egress(self) -> Egress:
        assert self.door is not None  # the API listens only since there is one
        return self.door

    # The life of the process.

    async def come_up(self) -> dict[str, object]:
        """
        Open, read, and bind.

        :raises StoreError: the store cannot be opened, or is not ours.
        :raises ValueError: the certificate is no good.
        :raises OSError: a port.
        """
        settings = self.settings
        for line in advice(settings):
            log.warn("{line}", line=line)
        if settings.cert is not None and settings.key is not None:
            self._certificate = Certificate(settings.cert, settings.key)
        await self._store.open()
        await self._accounts.start()
        self.door = egress = Egress(
            settings, self._accounts, self.reactor, self._certificate, connect=self._connect
        )
        name = "proxy"
        try:
            egress.open()
            name = "API"
            self._listen_for_api()
        except CannotListenError as error:
            raise bind_error(name, error) from None
        return {
            **{name: egress.place(name)[1] for name in egress.ports},
            "api": self._api_port,
            "url": local_url(*egress.place("proxy")),
            "api_url": self.api_url,
        }

    def came_up(self) -> None:
        """Say where it is."""
        egress = self._egress
        log.info("The proxy is {url}", url=local_url(*egress.place("proxy")))
        if "proxy_tls" in egress.ports:
            url = local_url(*egress.place("proxy_tls")).replace("http:", "https:", 1)
            log.info("Inside TLS it is {url}", url=url)
        log.info("The control plane is {url}", url=self.api_url)
        if not len(self._accounts):
            log.info(
                "There is no account yet. Try: aluvia account add NAME --db {path}",
                path=str(self.settings.db),
            )

    @property
    def api_url(self) -> str:
        """The control plane's base URL."""
        return f"{local_url(self.settings.api[0], self._api_port)}/v1"

    @property
    def _api_port(self) -> int:
        assert self._api is not None  # since the start
        return port_of(self._api)

    def going_down(self) -> None:
        """Monitors are answered now; whoever asks again finds the API until the drain is over."""
        self._watch.end()

    async def gone_down(self) -> None:
        """End the API, and the store behind it."""
        if self._api is not None and self._api_site is not None:
            await maybeDeferred(self._api.stopListening)
            self._api_site.close()
            # What was closed just now is gone in the next turn.
            await deferLater(self.reactor, 0)
        await self._accounts.stop()
        await self._store.close()

    def read_again(self) -> None:
        """Read the certificate, and look at the store."""
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

    def _account_changed(self, before: Account | None, after: Account | None) -> None:
        account = before or after
        assert account is not None  # or nothing has changed
        self._watch.changed(account.name)
        if self.door is not None and not still_admits(before, after):
            self.door.expel(account.name)

    def _listen_for_api(self) -> None:
        address, port = self.settings.api
        self._api_site = ControlAPI(self._accounts, self._watch, self, self.reactor).site()
        self._api = listen_stock(self.reactor, address, port, self._api_site)
        self._egress.own.append((address, self._api_port))
