"""
The turns of a weighted round robin, worked out beforehand: a list of who is next, to go round in.

The order is that of the smooth weighted round robin: at each turn everybody gains its weight, the
one that has most is next, and pays the sum of all weights. ``5, 1, 1`` makes ``a a b a c a a``
rather than five turns of the first in a row, and over one round each has exactly its weight.

Those of one weight are always served in their order, one after the other. So it is enough to keep
one account for each weight there is, and a thousand members of one weight cost no more than one.
"""

from __future__ import annotations

import math
import typing

__all__ = ["MOST_TURNS", "TURNS_EACH", "bounded", "turns"]

#: The longest round, in turns; where there are so many members that it would not be fair,
#: TURNS_EACH for each of them. Weights that would take more are rounded.
MOST_TURNS = 2_048
TURNS_EACH = 8


def turns(weights: typing.Sequence[int]) -> list[int]:
    """
    Return one round: the index of who has the turn, for each turn.

    :param weights: each 1 or more. The round is as long as their sum, divided by what divides all
        of them; see :data:`MOST_TURNS`.
    """
    weights = bounded(weights)
    groups: dict[int, _Group] = {}
    for index, weight in enumerate(weights):
        groups.setdefault(weight, _Group(weight)).indices.append(index)
    if len(groups) <= 1:
        return list(range(len(weights)))
    total = sum(weights)
    accounts = list(groups.values())
    order = []
    for _ in range(total):
        best = accounts[0]
        for group in accounts:
            group.gained += group.weight
            if group.gained > best.gained or (
                group.gained == best.gained and group.indices[group.at] < best.indices[best.at]
            ):
                best = group
        order.append(best.indices[best.at])
        best.at += 1
        if best.at == len(best.indices):
            # All of them have had as many turns as the first had.
            best.at = 0
            best.gained -= total
    return order


def bounded(weights: typing.Sequence[int]) -> list[int]:
    """Return the smallest weights of the same proportions, or nearly so, for a round that ends."""
    least = _least(weights)
    total = sum(least)
    most = max(MOST_TURNS, TURNS_EACH * len(least))
    if total <= most:
        return least
    return _least([max(1, weight * most // total) for weight in least])


def _least(weights: typing.Sequence[int]) -> list[int]:
    divisor = math.gcd(*weights)
    return [weight // divisor for weight in weights]


class _Group:
    """Those of one weight, and the account of the one of them that is next."""

    __slots__ = ("at", "gained", "indices", "weight")

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.indices: list[int] = []
        self.at = 0
        self.gained = 0
