"""Tests for :mod:`aluvia.edge.events`."""

from __future__ import annotations

import json

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.events import (
    NAME_CHARS,
    TARGET_BYTES,
    Event,
    EventBus,
    EventName,
    Subscription,
    completed_event,
    shown_target,
)
from aluvia.edge.test.completed_request import Completed
from aluvia.telemetry.logs import CUT
from aluvia.telemetry.redaction import MARK

DEAD = Event("backend.dead", {"backend": "one"}, 1.0)
ALIVE = Event(EventName.BACKEND_ALIVE, {"backend": "one"}, 2.0)


class EventBusTests(SynchronousTestCase):
    """Who hears what, and when."""

    def setUp(self) -> None:
        """A bus, and what was heard."""
        self.bus = EventBus()
        self.heard: list[tuple[str, Event]] = []

    def listen(self, who: str, name: str | None) -> Subscription:
        """Subscribe one who writes down what it hears."""
        return self.bus.subscribe(name, lambda event: self.heard.append((who, event)))

    def test_by_name(self) -> None:
        """A subscriber hears events of its name, and with None all, in the order of subscribing."""
        self.listen("dead", "backend.dead")
        self.listen("all", None)
        self.listen("alive", EventName.BACKEND_ALIVE)
        self.listen("dead again", EventName.BACKEND_DEAD)
        self.bus.publish(DEAD)
        self.assertEqual(
            [("dead", DEAD), ("all", DEAD), ("dead again", DEAD)],
            self.heard,
        )
        self.heard.clear()
        self.bus.publish(ALIVE)
        self.assertEqual([("all", ALIVE), ("alive", ALIVE)], self.heard)

    def test_unknown_names(self) -> None:
        """An event that there is not can neither be subscribed to nor be made."""
        self.assertRaises(ValueError, self.bus.subscribe, "backend.born", print)
        self.assertRaises(ValueError, Event, "backend.born", {}, 0.0)
        self.assertFalse(self.bus.wanted("backend.born"))

    def test_wanted(self) -> None:
        """An event is wanted as long as one listens to it, or to all."""
        self.assertFalse(self.bus.wanted("backend.dead"))
        one = self.listen("one", "backend.dead")
        self.assertTrue(self.bus.wanted(EventName.BACKEND_DEAD))
        self.assertFalse(self.bus.wanted("backend.alive"))
        every = self.listen("all", None)
        one.cancel()
        self.assertTrue(self.bus.wanted("backend.dead"))
        self.assertTrue(self.bus.wanted("backend.alive"))
        every.cancel()
        every.cancel()
        self.assertFalse(self.bus.wanted("backend.dead"))
        self.assertFalse(every.active)

    def test_cancelling_while_publishing(self) -> None:
        """Who was cancelled by an earlier subscriber does not hear the event; the others do."""
        subscriptions: list[Subscription] = []

        def cancel(event: Event) -> None:
            subscriptions[0].cancel()
            subscriptions[2].cancel()

        subscriptions.append(self.bus.subscribe(None, cancel))
        subscriptions.append(self.listen("second", None))
        subscriptions.append(self.listen("third", None))
        subscriptions.append(self.listen("fourth", None))
        self.bus.publish(DEAD)
        self.bus.publish(ALIVE)
        self.assertEqual(
            [("second", DEAD), ("fourth", DEAD), ("second", ALIVE), ("fourth", ALIVE)], self.heard
        )

    def test_subscribing_while_publishing(self) -> None:
        """Who comes while an event is told hears the next one."""
        self.bus.subscribe(
            "backend.dead", lambda event: self.listen("late", None) if not self.heard else None
        )
        self.bus.publish(DEAD)
        self.assertEqual([], self.heard)
        self.bus.publish(ALIVE)
        self.assertEqual([("late", ALIVE)], self.heard)

    def test_publishing_while_publishing(self) -> None:
        """An event that follows from another is told at once."""
        self.bus.subscribe("backend.dead", lambda event: self.bus.publish(ALIVE))
        self.listen("all", None)
        self.bus.publish(DEAD)
        self.assertEqual([("all", ALIVE), ("all", DEAD)], self.heard)

    def test_a_subscriber_that_fails(self) -> None:
        """The others still hear; it is logged at the first, second, fourth, … time, not each."""

        def fail(event: Event) -> None:
            raise RuntimeError("a bug")

        self.bus.subscribe(None, fail)
        self.listen("other", None)
        with capturedLogs() as logged:
            for _ in range(9):
                self.bus.publish(DEAD)
        self.assertEqual(9, len(self.heard))
        self.assertEqual(
            [
                f"A subscriber to backend.dead failed; that was time {times}."
                for times in (1, 2, 4, 8)
            ],
            [formatEvent(event) for event in logged],
        )
        self.assertEqual(4, len(self.flushLoggedErrors(RuntimeError)))


class CompletedEventTests(SynchronousTestCase):
    """What is told of a request."""

    def test_all_of_it(self) -> None:
        """In the names of the API, in terms of JSON, at the time of its end."""
        request = Completed(target=b"/a?key=s3cret", connect=-1.0, cause="client_gone", started=5.0)
        event = completed_event(request)
        self.assertEqual(EventName.REQUEST_COMPLETED, event.name)
        self.assertEqual(5.004, event.at)
        self.assertEqual(
            {
                "requestId": "3d6f0a6e-0000-4000-8000-000000000001",
                "connectionId": "c-1",
                "client": "192.0.2.1",
                "method": "GET",
                "target": "/a?",
                "vHost": "api.example.com",
                "route": "api",
                "backend": "one",
                "attempts": 1,
                "status": 200,
                "bytesUp": 10,
                "bytesDown": 1000,
                "queueMs": 0.0,
                "connectMs": None,
                "firstByteMs": 3.0,
                "totalMs": 4.0,
                "cause": "client_gone",
                "upgraded": False,
            },
            json.loads(json.dumps(event.data)),
        )

    def test_what_a_client_chooses_is_bounded(self) -> None:
        """The request id, the method and the target are cut, and the cut is marked."""
        data = completed_event(
            Completed(request_id="i" * 9_000, method=b"M" * 9_000, target=b"/" * 9_000)
        ).data
        self.assertEqual("i" * NAME_CHARS + CUT, data["requestId"])
        self.assertEqual("M" * NAME_CHARS + CUT, data["method"])
        self.assertEqual("/" * TARGET_BYTES + CUT, data["target"])

    def test_targets(self) -> None:
        """Of a target there is the path, and nothing that a secret may be in."""
        for target, shown in (
            (b"/", "/"),
            (b"/a%20b/@c", "/a%20b/@c"),
            (b"/a?token=s3cret", "/a?"),
            (b"/a?", "/a?"),
            (b"/a#s3cret", "/a"),
            (b"/a?b#s3cret", "/a?"),
            (b"/a#b?s3cret", "/a?"),
            (b"/caf\xc3\xa9\xff", "/café\\xff"),
            (b"*", "*"),
            (b"", ""),
            (b"http://a.example/b?s3cret", "http://a.example/b?"),
            (b"http://user:s3cret@a.example/b", MARK),
            (b"http://user:s3/cr?et@a.example/b", MARK),
            (b"user:s3cret@a.example:443", MARK),
        ):
            self.assertEqual(shown, shown_target(target), target)
