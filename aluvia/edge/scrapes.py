"""
What ``/metrics`` shows, made beside the requests (:mod:`aluvia.edge.slices`).

With 2 000 routes it is half a second's work, with 10 000 some seconds'; no request waits for more
than a part of it, however many scrape at once. Rejected: an encoder of our own. It took a third of
the time, and was one more thing that had to know the formats.
"""

from __future__ import annotations

import typing

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from aluvia.edge.slices import in_slices
from aluvia.telemetry.exposition import Exposition, Families

__all__ = ["Scrapes"]


class Scrapes:
    """
    The expositions of an edge, one at a time.

    :param measure: makes the parts of one.
    """

    def __init__(
        self, measure: typing.Callable[[], typing.Iterable[Families]], clock: IReactorTime
    ) -> None:
        self._measure = measure
        self._clock = clock
        self._one_at_a_time = DeferredLock()

    async def scrape(self, accept: str) -> Exposition:
        """
        What somebody gets who asks now. If that is cancelled, no more is done for it.

        :param accept: see :class:`~aluvia.telemetry.exposition.Exposition`.
        """
        exposition = Exposition(accept)
        async with self._one_at_a_time:
            await in_slices(self._measure(), exposition.add, self._clock)
        return exposition
