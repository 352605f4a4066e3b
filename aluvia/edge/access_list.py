"""Which client addresses may ask: ``allow`` and ``deny`` of a route."""

from __future__ import annotations

import collections
import ipaddress
import typing

from aluvia.net.addresses import canonical_address

__all__ = ["AccessList"]

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Addresses whose verdict is remembered, for each route.
MOST_REMEMBERED = 4_096


class AccessList:
    """
    Networks that may, and networks that may not.

    The most specific network that an address is in decides; of two alike the one that denies. One
    that is in none may ask if nothing is allowed by name.

    :param allow: such as ``10.0.0.0/8``; empty for everybody.
    """

    def __init__(self, allow: typing.Iterable[str], deny: typing.Iterable[str]) -> None:
        rules = [(ipaddress.ip_network(each), True) for each in allow]
        self._else = not rules
        rules += [(ipaddress.ip_network(each), False) for each in deny]
        # The first that matches decides.
        self._rules: list[tuple[_Network, bool]] = sorted(
            rules, key=lambda rule: (-rule[0].prefixlen, rule[1])
        )
        self._known: collections.OrderedDict[str, bool] = collections.OrderedDict()

    def admits(self, address: str) -> bool:
        """
        Whether this client may ask.

        :param address: a literal.
        """
        known = self._known.get(address)
        if known is None:
            known = self._known[address] = self._judge(address)
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return known

    def _judge(self, address: str) -> bool:
        itself = ipaddress.ip_address(canonical_address(address))
        for network, may in self._rules:
            if itself.version == network.version and itself in network:
                return may
        return self._else
