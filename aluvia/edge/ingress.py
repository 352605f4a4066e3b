"""The data path of the edge, whole: its ports, its routes, and its ways to backends."""

from __future__ import annotations

import math
import typing

import attrs
from twisted.internet.interfaces import IProtocolFactory

from aluvia.edge.access_log import open_access_log
from aluvia.edge.applied import Applied
from aluvia.edge.auth import Authenticators, Means
from aluvia.edge.backends import TUNNEL, Places
from aluvia.edge.certificates import Certificates, Presented
from aluvia.edge.events import Event, EventBus, EventName
from aluvia.edge.hashing_threads import HashingThreads
from aluvia.edge.listeners import Listener, open_listener
from aluvia.edge.reverse import Connections, ReverseProxy
from aluvia.edge.routing import RouteTable
from aluvia.edge.settings import Settings, TunnelPlace
from aluvia.edge.statistics import Tracker
from aluvia.edge.tls_listening import TLSCounters, TLSListening
from aluvia.edge.trusted import TrustedProxies
from aluvia.edge.tunnel_ports import TunnelPort
from aluvia.edge.tunnel_view import Ways
from aluvia.edge.tunnels import Tunnels
from aluvia.hub.hub import Hub
from aluvia.hub.keys import Keys
from aluvia.hub.registry import Tunnel
from aluvia.hub.site import HubConnections, HubSite
from aluvia.net.connecting import ClientWire
from aluvia.net.dial import Connect, Dialer, TCPDialer
from aluvia.net.door import Door, bind
from aluvia.net.guard import Guard
from aluvia.net.tls_port import Certificate, tls_connections
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.target import Authority

__all__ = ["Ingress", "tunnel_port"]

#: Of what asks hooks; seconds. They have a time-out of their own besides.
CONNECT_SECONDS = 10.0


class Ingress(Door):
    """
    The reverse proxy. Its ports are ``http`` and ``https``, and one for each ``--tunnel-tcp``.

    :param connect: makes the connections to backends.
    :param movable: the ports in whose place any free one does, where they are taken.
    :param keys: of the agents of its hub; None for no hub.
    :param api_token: of the API, that the hub's port asks for as well where it shows tunnels.
    :ivar hub: whose tunnels can be reached; None for none.
    :ivar bus: tells what happens here.
    :ivar tracker: what has happened.
    :ivar certificates: those in force.
    :ivar threads: for what takes the processor for long.
    :ivar applied: what the configuration has become.
    :ivar hub_certificate: of the hub's port; None where it has none.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        *,
        connect: Connect = ClientWire.connect,
        limits: Limits = DEFAULT_LIMITS,
        movable: typing.Container[str] = (),
        keys: Keys | None = None,
        api_token: str | None = None,
    ) -> None:
        super().__init__(
            reactor,
            max_connections=settings.max_connections,
            connect_timeout=CONNECT_SECONDS,
            limits=attrs.evolve(limits, keep_alive_seconds=settings.idle_timeout),
        )
        self.bus = EventBus()
        self.tracker = Tracker(reactor, self.sweep)
        self.certificates = Certificates(reactor)
        self.tls_counters = TLSCounters()
        self._settings = settings
        self._guard = Guard(self._own_places)
        self._connect = connect
        self._movable = movable
        self.threads = HashingThreads(reactor.callFromThread)
        self.proxy = ReverseProxy(
            self,
            self.certificates,
            TrustedProxies(settings.trusted_proxies),
            self.tracker,
            self.bus,
        )
        means = Means(reactor, self.over_tls(self._tcp(CONNECT_SECONDS)), self.threads)
        self._authenticators = Authenticators(means)
        self._api_token = api_token
        self.hub_certificate: Certificate | None = None
        self.hub: Hub | None = None
        if keys is not None:
            self.hub = hub = Hub(keys, reactor, self.sweep, public_url=self._url_of_tunnel)
            self.proxy.tunnels = Tunnels(
                hub, settings, self.proxy, reactor, self._authenticators.get
            )
            self.proxy.tunnel_domain = settings.tunnel_domain or ""
            self.proxy.routes = RouteTable((), self.proxy.tunnel_domain)
        self.applied = Applied(
            reactor,
            self.proxy,
            self.certificates,
            Places(reactor, self.sweep, self._tcp, None if self.hub is None else self.hub.dialer),
            self._guard,
            self.bus,
            self._authenticators,
        )

    def use_certificate_files(
        self, files: typing.Sequence[Presented], given: Presented | None
    ) -> None:
        """Put in force what was read from files, and tell what became of each."""
        before = self.certificates.map
        was = {each.domain: each.pair for each in _with(before.files, before.given)}
        self.certificates.use_files(files, given)
        now = {each.domain: each.pair for each in _with(files, given)}
        for domain in [*was, *(domain for domain in now if domain not in was)]:
            if was.get(domain) == now.get(domain):
                continue
            change = "removed" if domain not in now else "changed" if domain in was else "added"
            data = {"domain": domain, "change": change}
            self.bus.publish(Event(EventName.CERTIFICATE_CHANGED, data, self.reactor.seconds()))

    def open(self) -> None:
        """
        Open the ports, and take connections.

        :raises ValueError: systemd has not given us what one is to be.
        :raises OSError: one cannot be bound, or the access log not be opened. :meth:`stop` is still
            to be called.
        """
        settings = self._settings
        if settings.access_log is not None:
            self.proxy.access_log = open_access_log(str(settings.access_log), self.sweep)
        if settings.http is not None:
            self._listen("http", settings.http, Connections(self.proxy, secure=False))
        if settings.https is not None:
            inside = TLSListening(
                Connections(self.proxy, secure=True),
                self.certificates,
                self.sweep,
                self.reactor,
                counters=self.tls_counters,
                limits=self.limits,
            )
            self._listen("https", settings.https, inside)
            self.proxy.https_port = self.place("https")[1]
        for tunnel in settings.tunnel_tcp:
            self._listen_for_tunnel(tunnel)
        if self.hub is not None and settings.hub is not None:
            if settings.hub_cert is not None and settings.hub_key is not None:
                self.hub_certificate = Certificate(settings.hub_cert, settings.hub_key)
            self._listen_for_agents(self.hub, *settings.hub)
        if settings.public_https_port is not None:
            self.proxy.https_port = settings.public_https_port
        self.admit(settings.max_connections_per_address)

    def _listen(self, name: str, listener: Listener, factory: IProtocolFactory) -> None:
        def at(port: int) -> None:
            open_listener(self, name, attrs.evolve(listener, port=port), factory)

        bind(name, listener.port, at, self._movable)

    def _listen_for_tunnel(self, tunnel: TunnelPlace) -> None:
        hub, tunnels = self.hub, self.proxy.tunnels
        if hub is None or tunnels is None:
            return
        name = tunnel_port(tunnel.id)
        factory = TunnelPort(
            tunnel.id, hub.dialer, tunnels, self.sweep, self.limits, self._settings.tunnel_streams
        )

        def at(port: int) -> None:
            self.listen(name, tunnel.address, port, factory)

        bind(name, tunnel.port, at, self._movable)

    def _listen_for_agents(self, hub: Hub, address: str, port: int) -> None:
        """
        Open the hub's port.

        :raises ValueError: its certificate is no good.
        """
        factory: typing.Any = HubConnections(HubSite(hub, self._api_token), self.sweep, self.limits)
        if self.hub_certificate is not None:
            factory = tls_connections(self.hub_certificate, factory, self.reactor)

        def at(port: int) -> None:
            self.listen("hub", address, port, factory)

        bind("hub", port, at, self._movable)

    def _url_of_tunnel(self, id: str) -> str | None:
        """Where visitors reach a tunnel; None where that depends on how they call this machine."""
        assert self.hub is not None  # whose tunnel it is
        tunnel = self.hub.registry.tunnels.get(id)
        if tunnel is not None and tunnel.kind == "tcp":
            port = tunnel_port(id)
            return f"tcp://{Authority(*self.place(port))}" if port in self.ports else None
        domain = self.proxy.tunnel_domain
        if not domain:
            return None
        host = f"{id}.{domain}"
        if self.certificates.usable(host):
            return _url("https", host, self.proxy.https_port or 443)
        return _url("http", host, self.place("http")[1]) if "http" in self.ports else None

    def ways_into_tunnels(self) -> Ways:
        """How visitors reach each tunnel, as all is configured now."""
        by_route: dict[str, list[str]] = {}
        for live in self.applied.routes.values():
            # Of thousands of routes few lead there.
            for member in live.members if live.tunnelled else ():
                if member.target.way == TUNNEL:
                    where = f"{live.v_host}{live.path_prefix or ''}"
                    by_route.setdefault(member.target.host, []).append(where)
        ports = {each.id: f"tunnel {each.id}" for each in self._settings.tunnel_tcp}

        def ways(tunnel: Tunnel) -> list[str]:
            if tunnel.kind == "tcp":
                name = ports.get(tunnel.id, "")
                return [str(Authority(*self.place(name)))] if name in self.ports else []
            url = self._url_of_tunnel(tunnel.id)
            paths = [f"/t/{tunnel.id}/"] if self._settings.tunnel_paths else []
            return [*([] if url is None else [url]), *paths, *by_route.get(tunnel.id, [])]

        return ways

    async def closing(self) -> None:
        """Probe nobody any more, and let agents go behind the last visitor."""
        self.applied.stop()
        if self.hub is not None:
            self.hub.close()
            self.sweep.watch(_AgentsLast(self, self.hub))

    def drained(self) -> None:
        """Every client is gone; what a backend has yet to take goes with them."""
        if self.hub is not None:
            self.hub.stop()
        self.proxy.end()
        self.tracker.stop()

    async def closed(self) -> None:
        """End what answers for nobody any more. After :meth:`stop`."""
        try:
            await self._authenticators.stop()
        finally:
            self.threads.stop()
            if self.proxy.access_log is not None:
                self.proxy.access_log.close()

    def _own_places(self) -> list[tuple[str, int]]:
        """Where it listens; also before it does, for what is configured by then."""
        wanted = [self._settings.http, self._settings.https]
        return [
            *self.own,
            *((each.address, each.port) for each in wanted if each is not None and each.address),
        ]

    def _tcp(self, connect_timeout: float) -> Dialer:
        return TCPDialer(
            self.reactor,
            self.resolver,
            self._guard,
            self.sweep,
            connect=self._connect,
            connect_timeout=connect_timeout,
        )


class _AgentsLast:
    """Drains a hub when no visitor is left: who waits for a turn needs a stream then."""

    #: The sweep calls us at every look.
    deadline = -math.inf

    def __init__(self, ingress: Ingress, hub: Hub) -> None:
        self._ingress = ingress
        self._hub = hub
        self.deadline_passed(0.0)

    def deadline_passed(self, now: float) -> None:
        """See whether there is one."""
        ports = self._ingress.ports.items()
        if not any(port.wires for name, port in ports if name != "hub"):
            self.deadline = math.inf
            self._hub.drain()


def _url(scheme: str, host: str, port: int) -> str:
    usual = port == (443 if scheme == "https" else 80)
    return f"{scheme}://{Authority(host, None if usual else port)}/"


def tunnel_port(id: str) -> str:
    """What the port of a TCP tunnel is called."""
    return f"tunnel {id}"


def _with(files: typing.Sequence[Presented], given: Presented | None) -> list[Presented]:
    return [*files] if given is None else [*files, given]
