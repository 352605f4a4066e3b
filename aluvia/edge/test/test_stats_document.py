"""Tests for :mod:`aluvia.edge.stats_document`."""

from __future__ import annotations

import json
import typing

from aluvia import __version__
from aluvia.edge.stats_document import stats
from aluvia.edge.test.completed_request import Completed
from aluvia.edge.test.tracker_case import FakeGauges, TrackerCase

NOTHING = {
    "requests": 0,
    "requestsPerSecond": 0.0,
    "latencyMs": {"mean": None, "p50": None, "p90": None, "p99": None},
    "answers": {"1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0, "none": 0},
    "errors": {"count": 0, "perSecond": 0.0, "byCause": {}},
    "clientGone": 0,
    "retries": 0,
    "bytesUp": 0,
    "bytesDown": 0,
    "queue": {"requests": 0, "meanMs": None},
}

TRAFFIC = {
    "requests": 5,
    "requestsPerSecond": 0.625,
    # Of 10, 10, 10 and 30 ms.
    "latencyMs": {"mean": 15.0, "p50": 9.17, "p90": 32.421, "p99": 32.421},
    "answers": {"1xx": 0, "2xx": 3, "3xx": 0, "4xx": 0, "5xx": 1, "none": 1},
    "errors": {"count": 1, "perSecond": 0.125, "byCause": {"connection_refused": 1}},
    "clientGone": 1,
    "retries": 2,
    "bytesUp": 50,
    "bytesDown": 5000,
    "queue": {"requests": 1, "meanMs": 500.0},
}


class StatsTests(TrackerCase):
    """The documents, as they are after eight seconds."""

    def setUp(self) -> None:
        """Some traffic at one backend of one route."""
        super().setUp()
        track = self.tracker.track("api", "one")
        for _ in range(3):
            track.record(Completed(total=0.01))
        track.record(Completed(status=0, total=9.0, queued=0.5, cause="client_gone"))
        track.record(Completed(status=502, total=0.03, attempts=3, cause="connection_refused"))
        self.pass_seconds(8)

    def stats(self, route_id: str | None = None) -> dict[str, typing.Any]:
        """The document, through JSON."""
        read = json.loads(json.dumps(stats(self.tracker, FakeGauges(), 1_798_000_000.0, route_id)))
        assert isinstance(read, dict)
        return read

    def assert_numbers(self, document: dict[str, typing.Any], expected: object) -> None:
        """In each window, and since the start."""
        everywhere = [*document["windows"].values(), document["sinceStart"]]
        self.assertEqual(["10s", "1m", "5m"], list(document["windows"]))
        for numbers in everywhere:
            self.assertEqual(8.0, numbers.pop("seconds"))
            self.assertEqual(expected, numbers)

    def test_all(self) -> None:
        """Numbers and gauges of all, certificates, and what is running."""
        document = self.stats()
        self.assert_numbers(document, TRAFFIC)
        self.assertEqual(
            (3, 30, 300), (document["inFlight"], document["queued"], document["streams"])
        )
        upload, *_, default = document["certificates"]
        self.assertEqual(
            {
                "source": "upload",
                "domain": "api.example.com",
                "names": ["api.example.com", "*.example.com"],
                "notAfter": "2027-01-01T00:00:00Z",
                "daysLeft": 8.8,
            },
            upload,
        )
        self.assertEqual(
            ("default", "", ["example.org"]),
            (default["source"], default["domain"], default["names"]),
        )
        self.assertEqual({"version": __version__}, document["build"])
        self.assertNotIn("backends", document)

    def test_a_route(self) -> None:
        """Those of a route, and of each backend that it has."""
        document = self.stats("api")
        self.assert_numbers(document, TRAFFIC)
        self.assertEqual(
            (2, 20, 200), (document["inFlight"], document["queued"], document["streams"])
        )
        self.assertEqual(("api", "api.example.com"), (document["route"], document["vHost"]))
        one, two = document["backends"]["one"], document["backends"]["two"]
        self.assert_numbers(one, TRAFFIC)
        self.assert_numbers(two, NOTHING)
        self.assertEqual((2, False), (one["inFlight"], one["isDead"]))
        self.assertEqual((0, True), (two["inFlight"], two["isDead"]))
        self.assertNotIn("certificates", document)

    def test_a_route_without_traffic(self) -> None:
        """Has the same shape."""
        document = self.stats("web")
        self.assert_numbers(document, NOTHING)
        self.assertEqual({}, document["backends"])

    def test_odd_statuses(self) -> None:
        """A status beyond the five classes is shown where there was one."""
        self.tracker.nowhere.record(Completed(status=799))
        answers = self.stats()["windows"]["10s"]["answers"]
        self.assertEqual((1, 3), (answers["7xx"], answers["2xx"]))
        self.assertEqual(5, list(answers).index("7xx"))
