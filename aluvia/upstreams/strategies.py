"""
Strategies: which of those that may be picked now is picked.

================= ==================================================================== ===========
name              who is picked                                                        cost
================= ==================================================================== ===========
``ROUND_ROBIN``   each in its turn, spread evenly (:mod:`aluvia.upstreams.turns`)      a step
``RANDOM``        anyone, by the dice                                                  a bisection
``IP_HASH``       for one client address always the same                               a look-up
``LEAST_LATENCY`` who is expected to answer first                                      all compared
================= ==================================================================== ===========

All go by weight. Who may be picked is told by :meth:`Strategy.settle`, whenever that changes; what
takes long is done there. A strategy has no state but for this, so that one can take the place of
another at any time.
"""

from __future__ import annotations

import abc
import bisect
import collections.abc
import hashlib
import itertools
import math
import typing
from random import Random

from aluvia.net.addresses import client_place
from aluvia.upstreams.latency import Latency
from aluvia.upstreams.turns import turns

__all__ = [
    "CLIENTS_REMEMBERED",
    "EXPLORING_SECONDS",
    "STRATEGIES",
    "AddressHash",
    "Candidate",
    "LeastLatency",
    "RoundRobin",
    "Strategy",
    "WeightedRandom",
]

#: For how many clients it is remembered where they belong. Over it: all are forgotten, and worked
#: out anew, with the same result.
CLIENTS_REMEMBERED = 4_096
#: What an answer of a member that was never measured is expected to take while a request is there
#: to find out. (While there is none, nothing: so one goes there.)
EXPLORING_SECONDS = 60.0


class Candidate(collections.abc.Hashable, typing.Protocol):
    """What a strategy needs to know of a member. It is told apart by identity."""

    @property
    def id(self) -> str:
        """Its name, which stays."""

    @property
    def active(self) -> int:
        """How many requests are there."""

    @property
    def measured(self) -> Latency:
        """How long it takes."""


C = typing.TypeVar("C", bound=Candidate)
Tried = typing.Collection[typing.Any]
Weights = typing.Sequence[tuple[C, int]]


class Strategy(abc.ABC, typing.Generic[C]):
    """
    One way to pick.

    :param now: the clock.
    """

    def __init__(self, now: typing.Callable[[], float], random: Random) -> None:
        self._now = now
        self._random = random

    @abc.abstractmethod
    def settle(self, weights: Weights[C]) -> None:
        """Pick among these from now on."""

    @abc.abstractmethod
    def pick(self, client: str, tried: Tried) -> C | None:
        """
        Pick one that is not among ``tried``; None if there is none.

        :param client: its address, without a port.
        """

    def suits(self, client: str, candidate: C, weight: int) -> bool:
        """Whether this one might be picked for this client, if it were among the others."""
        return True


class RoundRobin(Strategy[C]):
    """
    Smooth, weighted, worked out beforehand.

    The place in the round stays when the round becomes another: where members often come and go,
    the first would else have more than its share.
    """

    _turns: typing.Sequence[C] = ()
    _at = 0

    def settle(self, weights: Weights[C]) -> None:
        """Work out the round."""
        self._turns = [weights[index][0] for index in turns([weight for _, weight in weights])]
        self._at %= len(self._turns) or 1

    def pick(self, client: str, tried: Tried) -> C | None:
        """Take the next turn."""
        at = self._at
        try:
            member = self._turns[at]
        except IndexError:
            if not at:
                return None
            at = 0
            member = self._turns[0]
        self._at = at + 1
        if tried and member in tried:
            return self._another(tried)
        return member

    def _another(self, tried: Tried) -> C | None:
        """Pass over the turns of those that were tried."""
        for _ in self._turns:
            if self._at >= len(self._turns):
                self._at = 0
            member = self._turns[self._at]
            self._at += 1
            if member not in tried:
                return member
        return None


class WeightedRandom(Strategy[C]):
    """By the dice."""

    _members: typing.Sequence[C] = ()
    _sums: typing.Sequence[int] = ()

    def settle(self, weights: Weights[C]) -> None:
        """Add up the weights."""
        self._members = [member for member, _ in weights]
        self._sums = list(itertools.accumulate(weight for _, weight in weights))

    def pick(self, client: str, tried: Tried) -> C | None:
        """Throw the dice."""
        members, sums = self._members, self._sums
        if tried:
            gone = 0
            kept, fewer = [], []
            for index, member in enumerate(members):
                if member in tried:
                    gone += sums[index] - (sums[index - 1] if index else 0)
                else:
                    kept.append(member)
                    fewer.append(sums[index] - gone)
            members, sums = kept, fewer
        if not members:
            return None
        return members[bisect.bisect(sums, self._random.random() * sums[-1], 0, len(sums) - 1)]


class AddressHash(Strategy[C]):
    """
    Weighted rendezvous: each member draws a number for each client, and the least one wins.

    What one draws does not depend on the others. So a client moves only if the one that it is with
    goes, or another comes that draws less; and which do so is decided by weight. All edges that
    know the members by the same ids agree, before a restart and after it.

    The draws are exponentially distributed, with the weight as their rate: the least of them is of
    each with a probability that is its share.
    """

    def __init__(self, now: typing.Callable[[], float], random: Random) -> None:
        super().__init__(now, random)
        self._weights: list[tuple[C, int, bytes]] = []
        self._homes: dict[str, tuple[float, C]] = {}

    def settle(self, weights: Weights[C]) -> None:
        """Forget where clients belong: it may be elsewhere."""
        self._weights = [(member, weight, _seed(member)) for member, weight in weights]
        self._homes.clear()

    def pick(self, client: str, tried: Tried) -> C | None:
        """Find the one that it belongs to; if that was tried, the next."""
        home = self._homes.get(client)
        if home is None:
            if not self._weights:
                return None
            home = self._home(client)
        if not tried or home[1] not in tried:
            return home[1]
        place = client_place(client)
        left = [each for each in self._weights if each[0] not in tried]
        if not left:
            return None
        return min(left, key=lambda each: _draw(place, each[2]) / each[1])[0]

    def suits(self, client: str, candidate: C, weight: int) -> bool:
        """Whether it belongs there: a trial is for one of its own clients, so that none moves."""
        if not self._weights:
            return True
        home = self._homes.get(client) or self._home(client)
        return _draw(client_place(client), _seed(candidate)) / weight < home[0]

    def _home(self, client: str) -> tuple[float, C]:
        place = client_place(client)
        home = min(
            ((_draw(place, seed) / weight, member) for member, weight, seed in self._weights),
            key=lambda each: each[0],
        )
        if len(self._homes) >= CLIENTS_REMEMBERED:
            self._homes.clear()
        self._homes[client] = home
        return home


def _seed(member: Candidate) -> bytes:
    """What makes its draws its own."""
    return hashlib.blake2b(member.id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _draw(place: bytes, seed: bytes) -> float:
    """Draw from an exponential distribution: the same for the same two."""
    digest = hashlib.blake2b(seed + place, digest_size=8).digest()
    # 52 bits and a half: neither 0 nor, as a float, 1.
    return -math.log(((int.from_bytes(digest, "big") >> 12) + 0.5) / (1 << 52))


class LeastLatency(Strategy[C]):
    """
    Who is expected to answer first: the latency (:mod:`aluvia.upstreams.latency`) times the
    requests that it would then have, by weight.

    Of which nothing is known, that is explored, by one request at a time.
    """

    _weights: Weights[C] = ()

    def settle(self, weights: Weights[C]) -> None:
        """Compare these."""
        self._weights = weights

    def pick(self, client: str, tried: Tried) -> C | None:
        """Compare all."""
        now = self._now()
        best = None
        least = math.inf
        for member, weight in self._weights:
            active = member.active
            cost = member.measured.cost(now)
            if cost is None:
                cost = EXPLORING_SECONDS if active else 0.0
            expected = cost * (active + 1) / weight
            if expected < least and member not in tried:
                least = expected
                best = member
        return best


#: The strategies by their names.
STRATEGIES: typing.Mapping[str, type[Strategy[typing.Any]]] = {
    "ROUND_ROBIN": RoundRobin,
    "RANDOM": WeightedRandom,
    "IP_HASH": AddressHash,
    "LEAST_LATENCY": LeastLatency,
}
