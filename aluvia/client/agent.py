"""Twisted's web client through a local proxy of this process."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.web.client import Agent, HTTPConnectionPool, ProxyAgent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from aluvia.client.local import LocalProxy
from aluvia.net.endpoint import DialerEndpoint, WebEndpoints
from aluvia.net.guard import Guard
from aluvia.net.parent import ParentProxy, Through


@implementer(IAgent)
class LocalAgent:
    """
    Asks in absolute form for ``http://``, and by CONNECT for ``https://``, as browsers do.

    It lives as long as the proxy: what it keeps open is closed by :meth:`close`.
    """

    def __init__(self, proxy: LocalProxy) -> None:
        reactor = proxy.reactor
        # What it dials is the proxy alone.
        dialers = proxy.dialers(Guard(list))
        through = Through(proxy.parent_proxies(dialers), ParentProxy(proxy.host, proxy.port))
        self._pool = HTTPConnectionPool(reactor)
        self._https = Agent.usingEndpointFactory(
            reactor, WebEndpoints(proxy.over_tls(through)), pool=self._pool
        )
        to_proxy = DialerEndpoint(dialers["tcp"], proxy.host, proxy.port)
        self._http = ProxyAgent(to_proxy, reactor, self._pool)

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        """As :meth:`twisted.web.iweb.IAgent.request`."""
        agent = self._https if uri[:6].lower() == b"https:" else self._http
        asking: Deferred[IResponse] = agent.request(method, uri, headers, bodyProducer)
        return asking

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._pool.closeCachedConnections()
