"""
Prometheus text and OpenMetrics, made from plain numbers at the moment that somebody scrapes.

prometheus-client knows the formats, their escaping and which of them a scraper asks for; we use
that and nothing else of it. Its registry is global and its counters take a lock, so neither is
here: the families are built anew for each scrape, from the numbers that the services keep, and go
out with the process's own (CPU, memory, descriptors) behind them.
"""

from __future__ import annotations

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

    def __init__(self) -> None:
        self._families: list[Metric] = []

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


def expose(families: Families, accept: str) -> tuple[bytes, str]:
    """
    The body and the content type that fit an ``Accept`` field: OpenMetrics for a scraper that
    asks for it, otherwise Prometheus text.
    """
    try:
        encode, content_type = choose_encoder(accept)
    except TypeError:
        # prometheus-client compares the parts of "version=" without asking whether they are
        # numbers. What a scraper cannot say plainly, it does not get.
        encode, content_type = choose_encoder("")
    return encode(families), content_type
