"""
The edge, whole: its store, its configuration, its data path and its API.

.. code-block:: python

    edge = Edge(http_port=8080, https_port=8443)
    await edge.start()
    await edge.router.add_route(
        Route(
            id="service-a",
            v_host="api.myapp.com",
            backends=(Backend(id="node-1", hostname="10.0.0.1", port=3000),),
        )
    )
    edge.events.subscribe("backend.dead", print)
    ...
    await edge.stop()

Its process is :mod:`aluvia.edge.service`; the REST API is a face over what is here.
"""

from __future__ import annotations

import typing
from pathlib import Path

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredLock, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger

from aluvia.api.problems import Problem
from aluvia.api.site import BoundedSite
from aluvia.edge.certificate_files import CertificateFiles
from aluvia.edge.configuration import Configuration
from aluvia.edge.events import EventBus
from aluvia.edge.fields import Read
from aluvia.edge.hashing_threads import NoThread
from aluvia.edge.ingress import Ingress, tunnel_port
from aluvia.edge.key_pairs import judge_pair
from aluvia.edge.listeners import Listener
from aluvia.edge.load import no_provider
from aluvia.edge.model import AuthProvider, KeyPair, Snapshot, make_id
from aluvia.edge.observing import Observing, SetLogLevel
from aluvia.edge.passwords import hash_secrets
from aluvia.edge.router import Router
from aluvia.edge.routes_file import RoutesFile
from aluvia.edge.settings import IN_MEMORY, Settings
from aluvia.hub.keys import Keys
from aluvia.hub.stored_keys import StoredKeys
from aluvia.net.connecting import ClientWire
from aluvia.net.dial import Connect
from aluvia.net.door import bind, listen_stock, port_of
from aluvia.net.waiting import wait_for
from aluvia.process.sources import SettingsError
from aluvia.process.statuses import CONFIG
from aluvia.process.supervise import local_url
from aluvia.store.engine import Store

if typing.TYPE_CHECKING:
    from aluvia.edge.rest import EdgeAPI

__all__ = ["Edge"]

log = Logger()


class Edge:
    """
    An edge. Of each port 0 is any free one, and None is none.

    :param settings: all of them; else what the other parameters say, on this machine's loopback,
        and in memory.
    :param token: what the API asks for; None for no API.
    :param connect: makes the connections to backends.
    :param movable: the ports (``http``, ``https``, ``API``) in whose place any free one does, where
        they are taken.
    :param keys: of agents; those in the store, unless it is said.
    :ivar events: what happens here; see :mod:`aluvia.edge.events`.
    :ivar ingress: its data path.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        http_port: int | None = 0,
        https_port: int | None = None,
        token: str | None = None,
        api_port: int = 0,
        db: Path = IN_MEMORY,
        reactor: typing.Any = None,
        connect: Connect = ClientWire.connect,
        set_log_level: SetLogLevel | None = None,
        movable: typing.Container[str] = (),
        keys: Keys | None = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor  # noqa: PLC0415
        if settings is None:
            settings = Settings(
                http=_on_loopback(http_port),
                https=_on_loopback(https_port),
                api=("127.0.0.1", api_port),
                db=db,
            )
        self.settings = settings
        self._store = Store(settings.db, reactor.callFromThread, alone=True)
        self._stored_keys: StoredKeys | None = None
        if settings.hub is not None and keys is None:
            keys = self._stored_keys = StoredKeys(self._store, reactor)
        self.ingress = Ingress(
            settings, reactor, connect=connect, movable=movable, keys=keys, api_token=token
        )
        self.events: EventBus = self.ingress.bus
        self._reactor = reactor
        self._token = token
        self._movable = movable
        self._configuration = Configuration(self._store, self.ingress.applied, self.events, reactor)
        self._judges = attrs.evolve(self.ingress.applied.judges, pair=self._judge_pair)
        self._router = Router(self._configuration, judges=self._judges)
        self._observing = Observing(
            self.ingress, reactor.seconds, settings.log_level, set_log_level
        )
        if token is not None:
            # Also before it listens, for what is configured by then.
            self.ingress.own.append(settings.api)
        self._files = _certificate_files(settings, self.ingress)
        self._reading = DeferredLock()
        self._begun = False
        self._ending: Deferred[None] | None = None
        self._api: EdgeAPI | None = None
        self._api_site: BoundedSite | None = None
        self._api_port: IListeningPort | None = None

    @property
    def router(self) -> Router:
        """Its routes."""
        return self._router

    @property
    def urls(self) -> dict[str, str]:
        """
        Where it listens, by the names ``http``, ``https``, ``hub`` and ``api``. Since the start.
        """
        no_urls = {tunnel_port(each.id) for each in self.settings.tunnel_tcp}
        urls = {
            name: local_url(*self.ingress.place(name))
            for name in self.ingress.ports
            if name not in no_urls
        }
        if "https" in urls:
            urls["https"] = urls["https"].replace("http:", "https:", 1)
        if "hub" in urls:
            # As an agent is told of it.
            secure = self.ingress.hub_certificate is not None
            scheme = "wss:" if secure else "ws:"
            urls["hub"] = urls["hub"].replace("http:", scheme, 1) + "/agent"
        if self._api_port is not None:
            urls["api"] = local_url(self.settings.api[0], port_of(self._api_port))
        return urls

    @property
    def api_port(self) -> int | None:
        """Of the REST API; None where there is none. Since the start."""
        return None if self._api_port is None else port_of(self._api_port)

    async def start(self) -> None:
        """
        Read what is kept, put it in force, and listen. Where that fails nothing is left behind.

        :raises RuntimeError: it was started, or stopped, before: an edge has one life.
        :raises CancelledError: it was stopped meanwhile.
        :raises StoreInUseError: another edge runs with that store.
        :raises StoreError: the store cannot be opened, or is not ours, or is damaged.
        :raises SettingsError: the routes file cannot be used; it has a line for each fault.
        :raises ValueError: a certificate cannot be used, or there is no such socket.
        :raises OSError: a port cannot be bound, or a file cannot be opened.
        """
        if self._begun or self.ingress.draining:
            raise RuntimeError("An edge is started once; make another one to start again.")
        self._begun = True
        try:
            await self._start()
        except BaseException as error:
            stopped = self.ingress.draining
            await self.stop()
            if stopped and not isinstance(error, CancelledError):
                # Of what comes of it that the store, say, was closed under our hands.
                raise CancelledError from error
            raise

    async def _start(self) -> None:
        await self._store.open()
        if self._files is not None:
            self._files.start()
        if self._stored_keys is not None:
            await self._stored_keys.start()
        await self._configuration.start()
        await self.read_routes()
        for line in no_provider(self.settings, self._configuration.state):
            log.warn("{line}", line=line)
        if self.ingress.draining:
            raise CancelledError
        self.ingress.open()
        if self._token is not None:
            self._listen_for_api(self._token)

    async def read_routes(self) -> None:
        """
        Read the routes file, if there is one, and put it in force.

        :raises SettingsError: it cannot be used, or not now; what was in force stays so.
        """
        path = self.settings.routes
        if path is None:
            return
        # Of two readings the one that began last is in force in the end.
        await self._reading.acquire()
        try:
            await self._read_routes(path)
        except NoThread as error:
            raise SettingsError(f"{path}: it was not read: {error}", CONFIG) from None
        finally:
            self._reading.release()

    async def _read_routes(self, path: Path) -> None:
        before = self._configuration.state

        def over(file: RoutesFile, snapshot: Snapshot) -> Read[Snapshot]:
            return file.over(snapshot, make_id, judges=self._judges)

        def read() -> tuple[RoutesFile, Read[Snapshot]]:
            file = RoutesFile(path, before.providers)
            return file, over(file, before)

        # Passwords in it take their time to hash, thousands of routes to judge, and the reactor has
        # none.
        file, found = await self.ingress.threads.do(read)

        def edit(snapshot: Snapshot) -> Snapshot:
            nonlocal before, found
            if snapshot is not before:
                # Something was changed meanwhile, and stays so where the file does not say it.
                before, found = snapshot, over(file, snapshot)
            return found.value

        try:
            after = await self._configuration.change(edit)
        except Problem as problem:
            raise file.refused(problem) from None
        for note in found.notes:
            log.info("{path}: {note}", path=str(path), note=note)
        if after is not before:
            log.info(
                "{path} is in force; what was changed over the API in the sections that it has is "
                "not, any more.",
                path=str(path),
            )

    @property
    def wants_keys(self) -> bool:
        """Whether there is a hub, and no agent has a key for it."""
        return self._stored_keys is not None and not len(self._stored_keys)

    def read_certificates(self) -> None:
        """Look at the certificate files now."""
        if self._files is not None:
            self._files.look_now()

    def read_hub_certificate(self) -> None:
        """
        Use what the files of the hub's certificate have now, for agents who come from now on.

        :raises ValueError: they are no good now; what was used before stays in use.
        """
        if self.ingress.hub_certificate is not None:
            self.ingress.hub_certificate.read_again()

    def reopen_access_log(self) -> None:
        """Write on in a new file, where the old one was moved away."""
        if self.ingress.proxy.access_log is not None:
            self.ingress.proxy.access_log.reopen()

    def let_watchers_go(self) -> None:
        """Whoever waits for a change, or listens to events, is answered."""
        self._configuration.watch.end()
        if self._api is not None:
            self._api.end()

    async def stop(self, drain_timeout: float = 0.0) -> None:
        """
        Take no new connections, give live ones so many seconds, and leave nothing behind.

        It may be called again, also to end at once.
        """
        self.let_watchers_go()
        await self.ingress.stop(drain_timeout)
        await self.end()

    async def end(self) -> None:
        """End what is behind the data path. After that has stopped. It may be called again."""
        if self._ending is None:
            self._ending = Deferred.fromCoroutine(self._end())
        await wait_for(self._ending)

    async def _end(self) -> None:
        try:
            if self._api_port is not None and self._api_site is not None:
                await maybeDeferred(self._api_port.stopListening)
                self._api_site.close()
                # What was closed just now is gone in the next turn.
                await deferLater(self._reactor, 0)
            if self._files is not None:
                self._files.stop()
            await self._configuration.stop()
            if self._stored_keys is not None:
                await self._stored_keys.stop()
            await self.ingress.closed()
        finally:
            # Whatever that came to: nobody else can open it before.
            await self._store.close()

    def _listen_for_api(self, token: str) -> None:
        # Klein installs a reactor: not before there is one that was chosen.
        from aluvia.edge.rest import EdgeAPI  # noqa: PLC0415
        from aluvia.edge.rest_documents import Documents  # noqa: PLC0415

        documents = Documents(
            make_id=make_id,
            hash_secrets=self._hash_secrets,
            judges=self._judges,
        )
        self._api = EdgeAPI(
            self._configuration, documents, self._observing, self.events, token, self._reactor
        )
        self._api_site = site = self._api.site()
        address, port = self.settings.api

        def at(port: int) -> None:
            self._api_port = listen_stock(self._reactor, address, port, site)
            self.ingress.own.append((address, port_of(self._api_port)))

        bind("API", port, at, self._movable)

    async def _hash_secrets(
        self, document: object, known: typing.Mapping[str, AuthProvider]
    ) -> typing.Any:
        return await hash_secrets(document, self.ingress.threads, known)

    def _judge_pair(self, pair: KeyPair, domain: str) -> list[str]:
        return judge_pair(pair, domain, self._reactor.seconds())


def _on_loopback(port: int | None) -> Listener | None:
    return None if port is None else Listener(address="127.0.0.1", port=port)


def _certificate_files(settings: Settings, ingress: Ingress) -> CertificateFiles | None:
    default = None
    if settings.default_certificate is not None and settings.default_key is not None:
        default = settings.default_certificate, settings.default_key
    if default is None and settings.certificates is None:
        return None
    return CertificateFiles(
        ingress.sweep,
        ingress.use_certificate_files,
        directory=settings.certificates,
        default=default,
    )
