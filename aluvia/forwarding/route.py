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
    :ivar account: whose request it is, where there are accounts. No two of them share an upstream
        connection.
    :ivar told: fields that a client is given with an answer that came through.
    :ivar way: ``direct`` or ``gateway``.
    """

    gateway: ParentProxy | None
    rule: str | None
    account: str | None = None
    told: tuple[Field, ...] = ()
    way: str = attrs.field(init=False)

    @way.default
    def _way(self) -> str:
        return DIRECT if self.gateway is None else GATEWAY
