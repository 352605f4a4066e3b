"""
The relay: once bytes are opaque, two connections are joined, and nothing of HTTP is left between.

.. code-block:: text

    each direction   what comes from its source goes to its sink, in order, and no more of it is
                     held than a bound: while the sink is full the source is not read
    a FIN            passes on when everything before it is out; the other direction lives on
    both FINs        both connections close
    an RST           resets the other connection
    idle_timeout     nothing moved either way for that long: both are reset
    abort()          both are reset

Over our TLS (:class:`~aluvia.net.tls_wire.TLSWire`) a ``close_notify`` is that FIN, both ways. A
FIN without one is a connection cut off: it counts as an RST, unless it answers our own. Stock TLS
has no half-close: a FIN that passes on closes the connection, after what came before it is written.

:func:`relay` chooses between two that behave alike. :class:`~aluvia.net.splice.WireRelay` is for
two of our own transports and works below Python's buffers; :class:`~aluvia.net.plain.PlainRelay` is
for all others, and is Twisted's producers and consumers.
"""

from __future__ import annotations

import typing

from aluvia.net.joined import IDLE, Ended, Relay
from aluvia.net.plain import PlainRelay
from aluvia.net.splice import WireRelay
from aluvia.net.transport import Wire
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

__all__ = ["IDLE", "Ended", "PlainRelay", "Relay", "WireRelay", "relay"]


def relay(
    left: typing.Any,
    right: typing.Any,
    *,
    ended: Ended,
    limits: Limits = DEFAULT_LIMITS,
    left_eof: bool = False,
) -> Relay:
    """
    Join two connections with the best relay for them; :meth:`Relay.start` begins.

    :param left: a transport, by custom the client's.
    :param right: a transport, by custom the upstream's.
    :param ended: called once, when both are closed; with ``None`` after two FINs, else with why.
    :param left_eof: the left one's FIN has come already.
    """
    if isinstance(left, Wire) and isinstance(right, Wire) and not (left.TLS or right.TLS):
        return WireRelay(left, right, ended=ended, limits=limits, left_eof=left_eof)
    return PlainRelay(left, right, ended=ended, limits=limits, left_eof=left_eof)
