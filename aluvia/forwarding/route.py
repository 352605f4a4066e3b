"""The way of one request."""

from __future__ import annotations

import attrs

from aluvia.net.parent import ParentProxy
from aluvia.wire.headers import Field

#: The names of the two ways, in metrics and in ``/connections``.
DIRECT = "direct"
GATEWAY = "gateway"


@attrs.frozen(slots=True)
class Route:
    """
    A decision, with what is needed to follow it.

    :ivar gateway: the parent proxy to go through; None means direct.
    :ivar rule: the rule that settled it; None if no rule matched.
    :ivar told: fields that a client is given with an answer that came through.
    :ivar request_id: what the client calls its request; empty if it did not say.
    :ivar way: ``direct`` or ``gateway``.
    """

    gateway: ParentProxy | None
    rule: str | None
    told: tuple[Field, ...] = ()
    request_id: str = ""
    way: str = attrs.field(init=False)

    @way.default
    def _way(self) -> str:
        return DIRECT if self.gateway is None else GATEWAY
