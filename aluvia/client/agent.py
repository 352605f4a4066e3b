"""Twisted's web client through a local proxy of this process."""

from __future__ import annotations

import typing

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.web.client import Agent, HTTPConnectionPool, ProxyAgent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from aluvia.client.local import LocalProxy
from aluvia.net.dial import Dialers, Dialing, TCPDialer
from aluvia.net.endpoint import DialerEndpoint, WebEndpoints
from aluvia.net.guard import Guard
from aluvia.net.parent import ParentProxy, ParentProxyDialer
from aluvia.net.resolve import Failed
from aluvia.net.tls import TLSDialer, client_context


@implementer(IAgent)
class LocalAgent:
    """
    Asks in absolute form for ``http://``, and by CONNECT for ``https://``, as browsers do.

    It lives as long as the proxy: what it keeps open is closed by :meth:`close`.
    """

    def __init__(self, proxy: LocalProxy, reactor: typing.Any, connect_timeout: float) -> None:
        tcp = TCPDialer(
            reactor, proxy.resolver, Guard(list), proxy.sweep, connect_timeout=connect_timeout
        )
        dialers = Dialers()
        dialers.add("tcp", tcp)
        through = _Through(
            ParentProxyDialer(reactor, dialers, proxy.sweep, connect_timeout=connect_timeout),
            ParentProxy(proxy.host, proxy.port),
        )
        ways = Dialers()
        ways.add("tcp", through)
        ways.add(
            "tls",
            TLSDialer(
                reactor, through, client_context(), proxy.sweep, connect_timeout=connect_timeout
            ),
        )
        self._pool = HTTPConnectionPool(reactor)
        self._https = Agent.usingEndpointFactory(reactor, WebEndpoints(ways), pool=self._pool)
        self._http = ProxyAgent(DialerEndpoint(tcp, proxy.host, proxy.port), reactor, self._pool)

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


class _Through:
    """A dialer that goes through one parent proxy."""

    def __init__(self, dialer: ParentProxyDialer, parent: ParentProxy) -> None:
        self._dialer = dialer
        self._parent = parent

    def dial(self, host: str, port: int, protocol: IProtocol, failed: Failed) -> Dialing:
        """See :class:`aluvia.net.dial.Dialer`."""
        return self._dialer.dial(self._parent, host, port, protocol, failed)
