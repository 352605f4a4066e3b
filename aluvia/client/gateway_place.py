"""Where a gateway is, before anybody has credentials for it."""

from __future__ import annotations

import attrs

from aluvia.net.parent import ParentProxy


@attrs.frozen
class GatewayPlace:
    """
    Where the gateway is, to which a user's credentials belong.

    :ivar host: canonical.
    """

    host: str
    port: int
    tls: bool

    def with_credentials(self, username: str, password: str) -> ParentProxy:
        """
        The gateway as somebody with these goes through it.

        :raises ValueError: if the credentials cannot be sent; the message does not show them.
        """
        return ParentProxy(self.host, self.port, username, password, self.tls)

    def __str__(self) -> str:
        """Its URL."""
        return str(ParentProxy(self.host, self.port, tls=self.tls))
