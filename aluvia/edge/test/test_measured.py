"""Tests for :mod:`aluvia.edge.measured`, read back with prometheus-client's parser."""

from __future__ import annotations

import typing

from prometheus_client.parser import text_string_to_metric_families

from aluvia import __version__
from aluvia.edge.measured import REJECTED, measure
from aluvia.edge.slices import BATCH
from aluvia.edge.test.completed_request import Completed
from aluvia.edge.test.fake_hub import FakeHub
from aluvia.edge.test.tracker_case import FakeGauges, TrackerCase
from aluvia.telemetry.exposition import Exposition

ORDER = [
    "source",
    "domain",
    "route",
    "vhost",
    "backend",
    "class",
    "cause",
    "carrier",
    "state",
    "tunnel",
    "direction",
    "le",
    "reason",
    "version",
]


def ordered(labels: dict[str, str]) -> list[str]:
    """The values of labels, which the parser may have in any order."""
    assert labels.keys() <= set(ORDER), labels
    return [labels[name] for name in ORDER if name in labels]


class FakeEdge(FakeGauges):
    """An edge, from outside."""

    started_at = 1_700_000_000.0
    draining = False
    accepting = True
    connections_open = 11
    connections_total = 12
    connections_refused = 13
    access_log_lost = 14
    tls_handshakes = 15
    tls_failures: typing.ClassVar[dict[str, int]] = {"client_refused": 16}

    def __init__(self) -> None:
        self.hub: FakeHub | None = FakeHub()


class MeasureTests(TrackerCase):
    """What a scrape shows."""

    def setUp(self) -> None:
        """An edge."""
        super().setUp()
        self.edge = FakeEdge()

    def scrape(self) -> dict[str, float]:
        """Every sample of ours: its name and the values of its labels, and its number."""
        exposition = Exposition("")
        for families in measure(self.tracker, self.edge, 1_700_000_042.0):
            exposition.add(families)
        return {
            " ".join([sample.name.removeprefix("aluvia_edge_"), *ordered(sample.labels)]): (
                sample.value
            )
            for family in text_string_to_metric_families(exposition.body.decode())
            for sample in family.samples
            if sample.name.startswith("aluvia_edge_") and not sample.name.endswith("_created")
        }

    def assert_samples(self, expected: dict[str, float]) -> None:
        """Of the families that these are of, there are these and no others."""
        names = {key.partition(" ")[0] for key in expected}
        found = {key: n for key, n in self.scrape().items() if key.partition(" ")[0] in names}
        self.assertEqual(expected, found)

    def test_requests(self) -> None:
        """By place and class; also what had no route, no backend, or no answer."""
        one = self.tracker.track("api", "one")
        one.record(Completed(bytes_up=1, bytes_down=2))
        one.record(Completed(bytes_up=1, bytes_down=2))
        one.record(Completed(status=503, cause="connection_refused", bytes_up=0, bytes_down=3))
        refused = self.tracker.track("api")
        refused.record(Completed(status=503, cause=REJECTED, bytes_up=0, bytes_down=0))
        gone = Completed(status=0, cause="client_gone", bytes_up=0, bytes_down=0)
        self.tracker.nowhere.record(gone)
        self.tracker.track("web", "one")
        self.assert_samples(
            {
                "requests_total api api.example.com one 2xx": 2,
                "requests_total api api.example.com one 5xx": 1,
                "requests_total api api.example.com  5xx": 1,
                "requests_total    none": 1,
                "failures_total api api.example.com one connection_refused": 1,
                "failures_total api api.example.com  connection_limit_reached": 1,
                "failures_total    client_gone": 1,
                "bytes_total api api.example.com one up": 2,
                "bytes_total api api.example.com one down": 7,
                "bytes_total api api.example.com  up": 0,
                "bytes_total api api.example.com  down": 0,
                "bytes_total    up": 0,
                "bytes_total    down": 0,
                "queue_rejected_total api api.example.com": 1,
            }
        )

    def test_routes(self) -> None:
        """Latencies, retries and queue of a route are those of all its places, also former ones."""
        for backend, total in (("one", 0.001), ("two", 0.003), ("", 31.0)):
            self.tracker.track("api", backend).record(
                Completed(total=total, attempts=2, queued=0.25)
            )
        self.tracker.forget_backend("api", "two")
        bounds = "0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 30.0 +Inf"
        counts = [1, 1, *[2] * 12, 3]
        expected: dict[str, float] = {
            f"latency_seconds_bucket api api.example.com {bound}": count
            for bound, count in zip(bounds.split(), counts, strict=True)
        }
        self.assert_samples(
            {
                **expected,
                "latency_seconds_sum api api.example.com": 31.004,
                "latency_seconds_count api api.example.com": 3,
                "retries_total api api.example.com": 3,
                "queued_total api api.example.com": 3,
                "queue_seconds_total api api.example.com": 0.75,
            }
        )

    def test_gauges(self) -> None:
        """What is so now, of each route and backend that there is."""
        self.assert_samples(
            {
                "in_flight api api.example.com": 2,
                "in_flight web *.example.com": 1,
                "queue_length api api.example.com": 20,
                "queue_length web *.example.com": 10,
                "streams api api.example.com": 200,
                "streams web *.example.com": 100,
                "backend_alive api api.example.com one": 1,
                "backend_alive api api.example.com two": 0,
                "backend_in_flight api api.example.com one": 2,
                "backend_in_flight api api.example.com two": 0,
                "certificate_not_after_seconds upload api.example.com": 1_798_761_600,
                "certificate_not_after_seconds route api.example.com": 1_798_761_601,
                "certificate_not_after_seconds default ": 1_798_761_603,
            }
        )

    def test_the_process(self) -> None:
        """Connections, the access log, and what is running for how long."""
        self.assert_samples(
            {
                "connections_open": 11,
                "connections_total": 12,
                "connections_refused_total": 13,
                "accepting": 1,
                "draining": 0,
                "access_log_lost_lines_total": 14,
                "tls_handshakes_total": 15,
                "tls_failures_total client_refused": 16,
                "uptime_seconds": 42,
                f"build_info {__version__}": 1,
            }
        )

    def test_it_takes_long(self) -> None:
        """There are parts, none of which is of more than some routes or backends."""
        for route in range(100):
            self.tracker.track(f"r{route}", "one").record(Completed())
        samples = [
            sum(len(family.samples) for family in families.collect())
            for families in measure(self.tracker, self.edge, 1_700_000_042.0)
        ]
        self.assertGreater(sum(samples), 100 * 20)
        self.assertLess(max(samples), BATCH * 25)
        self.assertEqual(100, sum(key.startswith("latency_seconds_sum") for key in self.scrape()))

    def test_agents(self) -> None:
        """How many are connected, over what; how many were refused, and why."""
        hub = self.edge.hub = FakeHub()
        hub.publish("app", "web")
        hub.publish("old", carrier="longpoll")
        hub.registry.withdraw(hub.publish("gone"))
        hub.refusals["taken"] = 3
        self.assert_samples(
            {
                "hub_sessions wss": 1,
                "hub_sessions longpoll": 1,
                "hub_refusals_total unauthorized": 0,
                "hub_refusals_total forbidden": 0,
                "hub_refusals_total bad_registration": 0,
                "hub_refusals_total taken": 3,
                "hub_refusals_total full": 0,
                "hub_tunnels online": 3,
                "hub_tunnels offline": 1,
            }
        )

    def test_tunnels(self) -> None:
        """What each has done; without a visitor it has its gauges alone."""
        hub = self.edge.hub = FakeHub()
        hub.publish("app")
        hub.registry.withdraw(hub.publish("gone"))
        meter = hub.registry.tunnels["app"].meter
        meter.streams_open = 4
        meter.record(200, 0.002, 10, 20, ok=True, now=5.0)
        meter.record(502, 1.5, 1, 2, ok=True, now=6.0)
        self.assert_samples(
            {
                "tunnel_online app": 1,
                "tunnel_online gone": 0,
                "tunnel_streams app": 4,
                "tunnel_streams gone": 0,
                "tunnel_requests_total app": 2,
                "tunnel_errors_total app": 1,
                "tunnel_bytes_total app in": 11,
                "tunnel_bytes_total app out": 22,
                "tunnel_latency_seconds_sum app": 1.502,
                "tunnel_latency_seconds_count app": 2,
            }
        )
        buckets = {key for key in self.scrape() if key.startswith("tunnel_latency_seconds_bucket")}
        self.assertEqual(len(buckets), len(meter.latencies.counts))

    def test_ten_thousand_tunnels_take_long(self) -> None:
        """No part is of more than some of them."""
        hub = self.edge.hub = FakeHub()
        for number in range(100):
            hub.publish(*(f"t{number}-{each}" for each in range(100)))
        for tunnel in hub.registry.tunnels.values():
            tunnel.meter.record(200, 0.1, 1, 1, ok=True, now=5.0)
        samples = [
            sum(len(family.samples) for family in families.collect())
            for families in measure(self.tracker, self.edge, 1_700_000_042.0)
        ]
        self.assertGreater(sum(samples), 10_000 * 20)
        self.assertLess(max(samples), BATCH * 25)

    def test_no_hub(self) -> None:
        """There is nothing to say of it."""
        self.edge.hub = None
        names = [key for key in self.scrape() if key.startswith(("hub_", "tunnel_"))]
        self.assertEqual(names, [])

    def test_what_is_gone(self) -> None:
        """A route that was forgotten has no lines any more; nothing but its gauges is left."""
        self.tracker.track("api", "one").record(Completed())
        self.tracker.forget("api")
        self.assertEqual([], [key for key in self.scrape() if key.startswith("requests")])
