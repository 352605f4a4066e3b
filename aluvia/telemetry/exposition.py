"""
Prometheus text and OpenMetrics, made from plain numbers at the moment that somebody scrapes.

prometheus-client knows the formats, their escaping and which of them a scraper asks for; we use
that and nothing else of it. Its registry is global and its counters take a lock, so neither is
here: the families are built anew for each scrape, from the numbers that the services keep, and go
out with the process's own (CPU, memory, descriptors) behind them.

It takes 7 to 10 µs for a sample, and half a kilobyte. Whoever has very many gives them to an
:class:`Exposition` in parts.
"""

from __future__ import annotations

import itertools
import typing

from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from aluvia.telemetry.metrics import Histogram

T = typing.TypeVar("T")

#: Pairs of label values and what belongs to them, such as a dictionary's ``items()``.
Rows = typing.Iterable[tuple[tuple[str, ...], T]]


class Families(Collector):
    """
    Families of one scrape, in the order in which they were added.
    """

    def __init__(self, families: typing.Iterable[Metric] = ()) -> None:
        self._families: list[Metric] = [*families]

    def counter(self, name: str, text: str, number: float) -> None:
        """
        Add what only grows; ``name`` is without ``_total``.
        """
        self.counters(name, text, (), [((), number)])

    def counters(self, name: str, text: str, labels: tuple[str, ...], rows: Rows[float]) -> None:
        """
        Add what only grows, by labels.
        """
        family = CounterMetricFamily(name, text, labels=labels)
        for values, number in rows:
            family.add_metric(values, number)
        self._families.append(family)

    def gauge(self, name: str, text: str, number: float) -> None:
        """
        Add what goes up and down.
        """
        self.gauges(name, text, (), [((), number)])

    def gauges(self, name: str, text: str, labels: tuple[str, ...], rows: Rows[float]) -> None:
        """
        Add what goes up and down, by labels.
        """
        family = GaugeMetricFamily(name, text, labels=labels)
        for values, number in rows:
            family.add_metric(values, number)
        self._families.append(family)

    def histograms(
        self, name: str, text: str, labels: tuple[str, ...], rows: Rows[Histogram]
    ) -> None:
        """
        Add distributions, by labels.
        """
        family = HistogramMetricFamily(name, text, labels=labels)
        for values, histogram in rows:
            buckets = [(floatToGoString(bound), n) for bound, n in histogram.cumulative()]
            family.add_metric(values, buckets, histogram.total)
        self._families.append(family)

    def info(self, name: str, text: str, values: typing.Mapping[str, str]) -> None:
        """
        Add facts that are text, such as a version.
        """
        self._families.append(InfoMetricFamily(name, text, value=dict(values)))

    def process(self) -> None:
        """
        Add this process's CPU seconds, memory and descriptors (nothing where there is no
        ``/proc``).
        """
        # With no registry given, the collector registers nowhere.
        self._families.extend(ProcessCollector(registry=None).collect())

    def collect(self) -> typing.Iterable[Metric]:
        """Give the families; the one method that an encoder calls."""
        return self._families


class Exposition:
    """
    What a scraper gets, made of parts.

    Each part is encoded as it comes. A family may be in several of them, in the same way: all of
    its samples stand where the first did, as the formats want it.

    :param accept: the ``Accept`` field: OpenMetrics for a scraper that asks for it, otherwise
        Prometheus text.
    """

    def __init__(self, accept: str) -> None:
        try:
            self._encode, self.content_type = choose_encoder(accept)
        except TypeError:
            # prometheus-client compares the parts of "version=" without asking whether they are
            # numbers. What a scraper cannot say plainly, it does not get.
            self._encode, self.content_type = choose_encoder("")
        self._end = self._encode(Families())
        self._pieces: dict[str, list[bytes]] = {}

    def add(self, families: Families) -> None:
        """Add a part."""
        for family in families.collect():
            text = self._encode(Families([family])).removesuffix(self._end)
            pieces = self._pieces.setdefault(family.name, [])
            # Two lines say what it is; once.
            pieces.append(text.split(b"\n", 2)[2] if pieces else text)

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join([*itertools.chain.from_iterable(self._pieces.values()), self._end])


def expose(families: Families, accept: str) -> tuple[bytes, str]:
    """
    The body and the content type of an :class:`Exposition` that has one part.
    """
    exposition = Exposition(accept)
    exposition.add(families)
    return exposition.body, exposition.content_type
