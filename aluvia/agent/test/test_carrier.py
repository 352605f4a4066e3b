"""Tests for :mod:`aluvia.agent.carrier`: what is made of a hub's words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.agent.carrier import Place, places_of


class PlacesTests(SynchronousTestCase):
    """Where a hub says that tunnels are, which goes into the log."""

    def test_read(self) -> None:
        """A URL, or else a path."""
        said = [{"id": "app", "path": "/t/app/"}, {"id": "b", "path": "/t/b/", "url": "http://b/"}]
        self.assertEqual(places_of(said), [Place("app", "/t/app/"), Place("b", "http://b/")])

    def test_what_cannot_be_read_is_left_out(self) -> None:
        """So is what would write lines of its own into the log."""
        for bad in (None, "app", [None, {"id": 1, "path": "/"}, {"id": "app"}]):
            self.assertEqual(places_of(bad), [])
        for id, path in (("app", "/\nConnected to elsewhere."), ("a\x1b[2J", "/")):
            self.assertEqual(places_of([{"id": id, "path": path}]), [])
