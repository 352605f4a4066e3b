"""
The dialer ``tunnel``: a connection to the target of a published tunnel, through its agent.

.. code-block:: text

    the tunnel                                  Proxy-Status             answer
    ------------------------------------------  -----------------------  ------
    is not known                                destination_not_found    502
    is known, and no agent has it now           destination_unavailable  502
    its target refuses connections              connection_refused       502
    its target does not answer in time          connection_timeout       504
    has as many streams as it may               connection_limit_reached 503

Of a tunnel that several agents have they are asked in turn, and the next one where one has no
connection to give.
"""

from __future__ import annotations

import typing

from twisted.internet.interfaces import IProtocol

from aluvia.hub.registry import Offer, Registry
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.mux_opening import lost_carrier
from aluvia.net.resolve import Failed

__all__ = ["TunnelDialer"]

#: What another member may do better.
_ANOTHER = frozenset(["connection_limit_reached", "connection_refused", "destination_unavailable"])


class TunnelDialer:
    """Dials tunnels: the host is a tunnel's id, the port is 0."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def dial(self, host: str, port: int, protocol: IProtocol, failed: Failed) -> Dialing:
        """Connect a protocol; see :meth:`aluvia.net.dial.Dialer.dial`."""
        tunnel = self._registry.tunnels.get(host)
        dialing = _TunnelDialing(protocol, failed)
        if tunnel is None:
            error = DialError("destination_not_found", 502, "There is no such tunnel.")
            dialing.begin(host, [], error)
        else:
            dialing.begin(host, tunnel.turns(), lost_carrier())
        return dialing


class _TunnelDialing:
    """
    One dial, over the members of a tunnel.

    A member may refuse before it has returned. So they are asked in a loop, in which a refusal is
    left, and not each from within the refusal of the one before: there may be thousands.
    """

    __slots__ = ("_asking", "_dialing", "_failed", "_id", "_left", "_over", "_protocol", "_refusal")

    def __init__(self, protocol: IProtocol, failed: Failed) -> None:
        self._protocol = protocol
        self._failed = failed
        self._id = ""
        self._left: typing.Iterator[Offer] = iter(())
        self._refusal: DialError | None = None
        self._asking = False
        self._dialing: Dialing | None = None
        self._over = False

    def begin(self, id: str, offers: typing.Sequence[Offer], error: DialError) -> None:
        """Ask the first of them; or fail."""
        self._id = id
        self._left = iter(offers)
        self._refused(error)

    def cancel(self) -> None:
        """Leave nothing; see :meth:`aluvia.net.dial.Dialing.cancel`."""
        self._over = True
        if self._dialing is not None:
            self._dialing.cancel()

    def _refused(self, error: DialError) -> None:
        self._dialing, self._refusal = None, error
        if self._asking:
            return
        self._asking = True
        while self._refusal is not None and not self._over:
            error, self._refusal = self._refusal, None
            offer = next(self._left, None) if error.error in _ANOTHER else None
            if offer is None:
                self._over = True
                self._failed(error)
            else:
                self._ask(offer)
        self._asking = False

    def _ask(self, offer: Offer) -> None:
        dialing = offer.session.open(self._id, self._protocol, self._refused)
        if self._over:
            # Cancelled meanwhile, when there was nothing yet to cancel.
            dialing.cancel()
        elif self._refusal is None:
            self._dialing = dialing
