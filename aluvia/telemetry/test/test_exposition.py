"""Tests for :mod:`aluvia.telemetry.exposition`, read back with prometheus-client's parsers."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from aluvia.telemetry.exposition import Exposition, Families, expose
from aluvia.telemetry.metrics import Histogram
from aluvia.testing.properties import settings_for_tests


def example() -> Families:
    """One family of each kind."""
    histogram = Histogram((0.5, 1.0))
    histogram.observe(0.25)
    histogram.observe(7)
    families = Families()
    requests = {("direct",): 3, ("gateway",): 4}
    families.counters("a_requests", "Requests.", ("way",), requests.items())
    families.counter("a_starts", "Starts.", 1)
    families.gauge("a_open", "Open.", 2)
    families.gauges("a_in_flight", "In flight.", ("way",), [(("direct",), 5)])
    families.histograms("a_seconds", "Seconds.", ("way",), [(("direct",), histogram)])
    families.info("a_build", "Build.", {"version": '1"\n'})
    return families


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of a Prometheus text."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class ExposeTests(SynchronousTestCase):
    """Families in the format that was asked for."""

    def test_prometheus_text(self) -> None:
        """Without a wish, and with ``text/plain``, the answer is Prometheus text."""
        for accept in ("", "*/*", "text/plain;version=0.0.4"):
            body, content_type = expose(example(), accept)
            self.assertTrue(content_type.startswith("text/plain; version=0.0.4"), content_type)
            read = samples(body.decode())
            self.assertEqual(3, read["a_requests_total", (("way", "direct"),)])
            self.assertEqual(1, read["a_starts_total", ()])
            self.assertEqual(2, read["a_open", ()])
            self.assertEqual(5, read["a_in_flight", (("way", "direct"),)])
            self.assertEqual(1, read["a_seconds_bucket", (("le", "0.5"), ("way", "direct"))])
            self.assertEqual(2, read["a_seconds_bucket", (("le", "+Inf"), ("way", "direct"))])
            self.assertEqual(7.25, read["a_seconds_sum", (("way", "direct"),)])
            self.assertEqual(1, read["a_build_info", (("version", '1"\n'),)])

    def test_openmetrics(self) -> None:
        """A scraper that asks for OpenMetrics gets it, valid by the strict parser."""
        body, content_type = expose(example(), "application/openmetrics-text;version=1.0.0")
        self.assertTrue(content_type.startswith("application/openmetrics-text"), content_type)
        names = [f.name for f in openmetrics.text_string_to_metric_families(body.decode())]
        expected = ["a_requests", "a_starts", "a_open", "a_in_flight", "a_seconds", "a_build"]
        self.assertEqual(expected, names)

    def test_one_family_in_two_places(self) -> None:
        """In whatever parts it comes, it is what it would have been in one."""
        whole, first, second = Families(), Families(), Families()
        of_one, of_two = [(("1",), 1.0)], [(("2",), 2.0), (("3",), 3.0)]
        whole.counters("a_sent", "Sent.", ("to",), [*of_one, *of_two])
        whole.gauges("a_open", "Open\n", ("to",), [*of_one, *of_two])
        for part, rows in ((first, of_one), (second, of_two)):
            part.counters("a_sent", "Sent.", ("to",), rows)
            part.gauges("a_open", "Open\n", ("to",), rows)
        for accept in ("", "application/openmetrics-text"):
            encode, content_type = choose_encoder(accept)
            exposition = Exposition(accept)
            exposition.add(first)
            exposition.add(second)
            exposition.add(Families())
            self.assertEqual(
                (encode(whole), content_type), (exposition.body, exposition.content_type)
            )

    def test_the_process(self) -> None:
        """The process's own numbers come along where there is a ``/proc``."""
        families = Families()
        families.process()
        body, _ = expose(families, "")
        self.assertGreater(samples(body.decode())["process_open_fds", ()], 0)

    def test_nothing_global(self) -> None:
        """The registry that prometheus-client shares knows nothing of ours."""
        example().process()
        self.assertNotIn("a_requests", {family.name for family in REGISTRY.collect()})

    def test_versions_that_are_no_numbers(self) -> None:
        """A version that makes no sense gets plain text, not an exception."""
        for version in ("abc", "1.x", "", "٣", "1.0.0.0.0.0", "-1"):
            for kind in ("text/plain", "application/openmetrics-text"):
                body, _ = expose(example(), f"{kind};version={version}")
                self.assertIn(b"a_requests_total", body)

    @settings_for_tests
    @hypothesis.given(strategies.text(alphabet="aptx/lion-me.;=, q0123456789*\x00é"))
    def test_any_accept(self, accept: str) -> None:
        """Whatever stands in ``Accept``, there is an answer."""
        body, _ = expose(example(), accept)
        self.assertIn(b"a_requests_total", body)
