"""
Programmable proxying on Twisted: one package, one service for each door.

The doors that are open now are the **client**, ``twistd -n aluvia``, a local forward proxy that
sends each request direct or through an authenticated gateway, by hostname rules; the **gateway**,
``twistd -n aluvia-gateway``, with the control plane that clients follow; the **edge**,
``twistd -n aluvia-edge``, a reverse proxy whose routes, backends and certificates change while it
runs; and the **agent**, ``twistd -n aluvia-agent``, which publishes ports of its own network
through the edge's hub.

The packages, from the bottom up; each imports only what stands above it in this list:

:mod:`aluvia.wire`
    Bytes and their meaning, without I/O, clock or logging: HTTP/1.1 heads, bodies and the
    request/response cycle, targets and the one canonical form of a host, Proxy-Status, and every
    bound (:mod:`aluvia.wire.limits`).
:mod:`aluvia.rules`
    Hostname rules, without I/O: which way a request goes, and why.
:mod:`aluvia.net`
    Mechanism on Twisted, without policy: the port and the transports, the relay that moves opaque
    bytes in the kernel, dialers, the address guard, TLS, idle connections, deadlines.
:mod:`aluvia.upstreams`
    Which of several members is asked, and whether they are well. Knows nothing of requests.
:mod:`aluvia.telemetry`
    What an operator sees: logs in text and JSON with secrets taken out, and metrics.
:mod:`aluvia.process`
    A door's process: options, their three sources, signals and supervisors.
:mod:`aluvia.store` and :mod:`aluvia.api`
    What outlives a process, in SQLite; and the manners of a REST API. Loaded by those who run them.
:mod:`aluvia.hub`
    Where agents connect: their keys, what they offer, and the way to it, which is a dialer. The
    edge mounts it.
:mod:`aluvia.forwarding`
    The way of a request through a proxy of any kind, and all of it through a forward proxy.
:mod:`aluvia.client`
    The client: options, routing, the forward proxy, the admin port, the service and its ``twistd``
    command.
:mod:`aluvia.gateway`
    The gateway: accounts, the authenticated forward proxy, the control plane, the service and its
    ``twistd`` command.
:mod:`aluvia.edge`
    The edge: routes and their configuration, the reverse proxy, certificates, authentication,
    statistics, the REST API, the service and its ``twistd`` command.
:mod:`aluvia.agent`
    The agent: declared targets, streams to them, the session with a hub, the service and its
    ``twistd`` command.
:mod:`aluvia.cli`
    The console script ``aluvia``: ``run``, ``explain``, ``lint``, ``status``, ``doctor``,
    ``account``, ``agent-key`` and ``hash-password``.
:mod:`aluvia.integrations`
    For programs that are not Twisted's: :func:`aluvia.launch`, which runs the client in a process
    of its own; and for Scrapy.
:mod:`aluvia.testing`
    Public fakes and a fault-injecting peer, for tests here and in programs that use aluvia.
:mod:`aluvia.demo`
    Doors together in one process, to be tried.

Where to start reading: :mod:`aluvia.client.service`, then :mod:`aluvia.forwarding.proxy`,
:mod:`aluvia.wire.exchange`, and :mod:`aluvia.net.relay`. Of the edge: :mod:`aluvia.edge.service`,
:mod:`aluvia.edge.downstream`, :mod:`aluvia.edge.passage`, :mod:`aluvia.edge.configuration`. Of
tunnels: :mod:`aluvia.edge.tunnels`, :mod:`aluvia.hub.registry`, :mod:`aluvia.net.mux`,
:mod:`aluvia.agent.session`.

Importing this package is cheap: of the above it loads :func:`launch` and what that is made of,
nothing of Twisted, and it never installs a reactor.
"""

from aluvia.integrations.launch import launch

__all__ = ["__version__", "launch"]

__version__ = "0.1.0.dev0"
