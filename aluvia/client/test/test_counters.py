"""Tests for :mod:`aluvia.forwarding.counters` and :mod:`aluvia.client.admin_metrics`."""

from __future__ import annotations

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from aluvia import __version__
from aluvia.client.admin_metrics import measure
from aluvia.client.config import Snapshot
from aluvia.client.observed import LiveConnection
from aluvia.client.polls import Polls
from aluvia.client.test.fake_observed import FakeObserved
from aluvia.forwarding.counters import Counters
from aluvia.rules import RuleSet
from aluvia.telemetry.exposition import expose


def scrape(observed: FakeObserved, now: float) -> dict[str, float]:
    """Every sample of ours, by its name and the values of its labels."""
    text = expose(measure(observed, now), "")[0].decode()
    return {
        " ".join(
            [sample.name, *(value for _, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class CountersTests(SynchronousTestCase):
    """The numbers."""

    def test_counting(self) -> None:
        """Each method counts what it says, under its labels."""
        counters = Counters()
        counters.request_ended("direct", "ok")
        counters.request_ended("direct", "ok")
        counters.request_ended("gateway", "dns_error")
        counters.bytes_moved("direct", 1, 20)
        counters.bytes_moved("direct", 2, 30)
        counters.connected("gateway", 0.5)
        counters.connected("gateway", 1.5)
        self.assertEqual({("direct", "ok"): 2, ("gateway", "dns_error"): 1}, counters.requests)
        self.assertEqual(({"direct": 3}, {"direct": 50}), (counters.bytes_up, counters.bytes_down))
        self.assertEqual(2, counters.connect_seconds["gateway"].count)

    def test_no_room_for_more(self) -> None:
        """A misspelt count is an error, not a new attribute."""
        self.assertRaises(AttributeError, setattr, Counters(), "tunnel_open", 1)


class MeasureTests(SynchronousTestCase):
    """What a scrape shows."""

    def test_all_of_it(self) -> None:
        """Counts, distributions, the configuration, the process, and what is running."""
        observed = FakeObserved(started_at=90.0)
        observed.now = Snapshot(
            gateway=None, rules=RuleSet.compile(["*"], 7), revision=7, fetched_at=95.0
        )
        counters = observed.counters
        counters.request_ended("direct", "ok")
        counters.bytes_moved("direct", 1, 20)
        counters.connected("direct", 0.02)
        counters.tunnels_open = 3
        counters.connections_total = 5
        observed.connections_open = 6
        samples = scrape(observed, 100.0)
        for name, value in {
            "aluvia_requests_total ok direct": 1,
            "aluvia_bytes_total up direct": 1,
            "aluvia_bytes_total down direct": 20,
            "aluvia_connect_seconds_count direct": 1,
            "aluvia_tunnels_open": 3,
            "aluvia_connections_total": 5,
            "aluvia_connections_open": 6,
            "aluvia_accepting": 1,
            "aluvia_configured": 1,
            "aluvia_config_revision": 7,
            "aluvia_config_age_seconds": 5,
            "aluvia_rules": 1,
            "aluvia_draining": 0,
            "aluvia_uptime_seconds": 10,
            f"aluvia_build_info {__version__}": 1,
        }.items():
            self.assertEqual(value, samples[name], name)

    def test_polls(self) -> None:
        """What asking the control plane came to, and how long it took; nothing without one."""
        observed = FakeObserved()
        self.assertFalse(any("poll" in name for name in scrape(observed, 1.0)))
        observed.polls = Polls()
        for count, seconds in enumerate((0.02, 3.0)):
            self.assertEqual(count, scrape(observed, 1.0)["aluvia_poll_seconds_count"])
            observed.polls.count("unchanged")
            observed.polls.seconds.observe(seconds)
        samples = scrape(observed, 1.0)
        self.assertEqual(2, samples["aluvia_poll_seconds_count"])
        self.assertEqual(3.02, samples["aluvia_poll_seconds_sum"])
        self.assertEqual(2, samples["aluvia_polls_total unchanged"])

    def test_living_bytes_count(self) -> None:
        """What open tunnels have carried is there before they end, and counts once."""
        observed = FakeObserved()
        observed.counters.bytes_moved("gateway", 1, 2)
        observed.flows = [
            LiveConnection("a.example", 443, "gateway", None, 10, 20, 1.0),
            LiveConnection("b.example", 443, "direct", None, 100, 200, 1.0),
        ]
        samples = scrape(observed, 1.0)
        self.assertEqual(11, samples["aluvia_bytes_total up gateway"])
        self.assertEqual(22, samples["aluvia_bytes_total down gateway"])
        self.assertEqual(200, samples["aluvia_bytes_total down direct"])

    def test_without_a_configuration(self) -> None:
        """Nothing is said of one that is not there."""
        samples = scrape(FakeObserved(), 1.0)
        self.assertEqual(0, samples["aluvia_configured"])
        self.assertNotIn("aluvia_config_revision", samples)

    def test_openmetrics(self) -> None:
        """The strict parser takes it."""
        observed = FakeObserved()
        observed.counters.connected("direct", 0.02)
        body, _ = expose(measure(observed, 5.0), "application/openmetrics-text")
        self.assertTrue(list(openmetrics.text_string_to_metric_families(body.decode())))
