"""
Programmable proxying on Twisted: one package, one service for each door.

The door that is open now is the **client**, ``twistd -n aluvia``: a local forward proxy that sends
each request direct or through an authenticated gateway, by hostname rules.

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
:mod:`aluvia.telemetry`
    What an operator sees: logs in text and JSON with secrets taken out, and metrics.
:mod:`aluvia.client`
    The client: options, routing, the forward proxy, the admin port, the service and its ``twistd``
    command.
:mod:`aluvia.cli`
    The console script ``aluvia``: ``explain``, ``lint``, ``run``, ``status``.
:mod:`aluvia.testing`
    Public fakes and a fault-injecting peer, for tests here and in programs that use aluvia.

Where to start reading: :mod:`aluvia.client.service`, then :mod:`aluvia.client.proxy`,
:mod:`aluvia.wire.exchange`, and :mod:`aluvia.net.relay`.

Importing this package is cheap: it loads none of the above, and never installs a reactor.
"""

__all__ = ["__version__"]

__version__ = "0.1.0.dev0"
