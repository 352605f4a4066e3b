"""Tests for :mod:`aluvia.agent.longpoll`, with a real hub at the other end of cables."""

from __future__ import annotations

import typing

from twisted.internet.error import ConnectionLost
from twisted.logger import capturedLogs, formatEvent

from aluvia.agent.carrier import Ending, Place, Refusal
from aluvia.agent.health import TargetStatus
from aluvia.agent.longpoll import HEARTBEAT_SECONDS, PATIENCE_SECONDS, PULLS, LongPollCarrier, State
from aluvia.agent.test.longpoll_case import LongPollCase
from aluvia.hub.longpoll import LongPollSession
from aluvia.hub.registration import WantedTunnel
from aluvia.hub.test.fake_session import FakeSession
from aluvia.hub.test.poll_case import KEY
from aluvia.net.errors import DialError
from aluvia.net.test.dialling import FakeDialer
from aluvia.wire.frames import Code

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
AWAY = DialError("connection_refused", 502, "The address refused the connection.")


class RegisterTests(LongPollCase):
    """Until it serves."""

    def test_registered(self) -> None:
        """It is known by its instance, has several pulls open, and knows where its tunnel is."""
        self.serving(group="shared")
        self.assertEqual(self.owner.places, [Place("app", "/t/app/")])
        [session] = self.hub.registry.sessions
        session = typing.cast(LongPollSession, session)
        self.assertEqual((session.instance, session.group), ("instance-1", "shared"))
        self.assertEqual(len(session._open), PULLS)

    def test_refused(self) -> None:
        """What the hub says is told in its words, with what it means."""
        self.register("taken", instance="instance-2")
        refusals: list[tuple[str, list[dict[str, str]], Refusal, str]] = [
            ("guess", [{"id": "app"}], "unauthorized", ""),
            ("key-for-one", [{"id": "app"}], "forbidden", "The key may not publish the id app"),
            (KEY, [{"id": "taken"}], "taken", "the id taken is another agent's"),
            (KEY, [], "bad_registration", "tunnels: there is none"),
        ]
        for key, tunnels, refusal, said in refusals:
            self.carrier(key, tunnels=tunnels)
            ending = self.owner.endings.pop()
            self.assertEqual(ending.refusal, refusal)
            self.assertTrue(ending.why.startswith(f"The hub refuses us: {said}"), ending.why)
            self.assertNotIn(key, ending.why)
        self.assertEqual(self.owner.places, [])

    def test_full(self) -> None:
        """The hub says when to come back."""
        self.patch(self.hub.registry, "_limits", self.hub.limits.__class__(sessions=0))
        self.carrier()
        [ending] = self.owner.endings
        self.assertEqual(ending.refusal, "full")
        assert ending.retry_after is not None
        self.assertGreater(ending.retry_after, 0)

    def test_no_hub(self) -> None:
        """Nobody is there, or somebody who knows nothing of it."""
        self.dialer.away = AWAY
        self.carrier()
        self.assertEqual(self.owner.endings, [Ending(AWAY.detail)])
        for status, refusal in (("404 Not Found", None), ("401 Unauthorized", "unauthorized")):
            wires = FakeDialer()
            self.owner.endings.clear()
            self.carrier(dialer=wires)
            [dial] = wires.dials
            self.assertEqual((dial.host, dial.port), ("hub.test", 8910))
            asked = dial.connect()
            self.assertIn(
                b"POST /api/agent/register HTTP/1.1\r\nHost: hub.test:8910", asked.value()
            )
            asked.deliver(f"HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\n<p/>".encode())
            self.turn()
            why = f"The hub answered the registration with {status[:3]}."
            self.assertEqual(self.owner.endings, [Ending(why, typing.cast(typing.Any, refusal))])

    def test_silent(self) -> None:
        """A hub that does not answer is left."""
        wires = FakeDialer()
        self.carrier(dialer=wires)
        wires.dials[0].connect()
        self.pass_seconds(11)
        self.assertEqual(self.owner.endings, [Ending("No answer came in time.")])

    def test_ended_early(self) -> None:
        """Nothing is left, and that is told once."""
        for stop in (LongPollCarrier.drain, LongPollCarrier.end):
            wires = FakeDialer()
            carrier = self.carrier(dialer=wires)
            stop(carrier)
            self.assertEqual(self.owner.endings, [])
            self.turn()
            self.assertTrue(wires.dials[0].cancelled)
            self.assertEqual(len(self.owner.endings), 1)
            self.owner.endings.clear()


class ServingTests(LongPollCase):
    """Requests, and the calls that carry them."""

    def test_a_request(self) -> None:
        """From the visitor to the target, and back; one line in the log, without the query."""
        self.serving()
        visitor = self.visitor().ask(b"/page?token=canary", b"POST", [], b"body")
        self.carry()
        wire = self.reach()
        self.assertTrue(wire.value().startswith(b"POST /page?token=canary HTTP/1.1\r\n"))
        self.assertTrue(wire.value().endswith(b"\r\n\r\nbody"))
        with capturedLogs() as events:
            self.say(ANSWER)
        self.assertEqual((visitor.status, visitor.body), (200, b"abc"))
        self.assertTrue(wire.closing)
        lines = [formatEvent(event) for event in events]
        self.assertEqual(lines, ["app: POST /page 200, 3 bytes in 0.0 ms"])

    def test_one_slow_request_does_not_hold_up_the_others(self) -> None:
        """More of them than there are pulls, and one more."""
        self.serving()
        slow = [self.visitor().ask() for _ in range(2 * PULLS)]
        self.carry()
        for attempt in self.connect.attempts:
            attempt.connect()
        quick = self.visitor().ask()
        self.carry()
        self.reach()
        self.say(ANSWER)
        self.assertEqual(quick.body, b"abc")
        self.assertEqual([each.head for each in slow], [None] * 2 * PULLS)

    def test_as_many_as_there_may_be(self) -> None:
        """The others wait at the hub until there is room."""
        self.patch(self.requests, "_most", 1)
        self.serving()
        visitors = [self.visitor().ask() for _ in range(PULLS + 2)]
        self.carry()
        self.assertEqual(len(self.connect.attempts), PULLS)
        [session] = self.hub.registry.sessions
        for attempt in self.connect.attempts:
            attempt.connect()
        self.pass_seconds(20)
        self.assertLess(session.last_seen, self.hub.now())
        with capturedLogs():
            for attempt in self.connect.attempts[:PULLS]:
                self.say(ANSWER, attempt.wire)
            self.pass_seconds(1)
        self.assertEqual([each.body for each in visitors[:PULLS]], [b"abc"] * PULLS)
        self.assertEqual(len(self.connect.attempts), PULLS + 2)

    def test_heartbeats(self) -> None:
        """They are sent, and how targets are is not: there is no call for it."""
        carrier = self.serving()
        said = self.written()
        carrier.tell("app", TargetStatus(True))
        self.pass_seconds(int(HEARTBEAT_SECONDS) + 2)
        self.assertEqual(self.written()[len(said) :].count(b"POST /api/agent/heartbeat"), 1)

    def test_connections_are_kept(self) -> None:
        """A pull that is over is followed by another on the same one."""
        self.serving()
        self.assertEqual(len(self.dialer.cables), PULLS)
        self.pass_seconds(30)
        for _ in range(3):
            visitor = self.visitor().ask()
            self.carry()
            self.reach()
            with capturedLogs():
                self.say(ANSWER)
            self.assertEqual(visitor.body, b"abc")
        self.assertLessEqual(len(self.dialer.cables), PULLS + 1)

    def test_a_kept_connection_that_is_gone(self) -> None:
        """A call is made once more, at once, on a fresh one."""
        self.serving()
        with capturedLogs():
            for cut in (False, True):
                visitor = self.visitor().ask()
                self.carry()
                self.reach()
                kept = self.dialer.cables[-1]
                kept.cut = cut
                self.say(ANSWER)
        self.assertEqual(visitor.body, b"")
        kept.far.lose(ConnectionLost())
        self.carry()
        self.assertEqual(visitor.body, b"abc")
        self.assertEqual(self.owner.endings, [])

    def test_a_lost_request_after_a_lost_poll(self) -> None:
        """Every pull is cut off before a request was written: the next one brings it."""
        self.serving()
        for cable in self.dialer.cables:
            cable.cut = True
        for cable in [*self.dialer.cables]:
            cable.near.lose(ConnectionLost())
        visitor = self.visitor().ask()
        self.carry()
        self.assertEqual(self.connect.attempts, [])
        for cable in [*self.dialer.cables]:
            cable.far.lose(ConnectionLost())
        self.pass_seconds(int(PATIENCE_SECONDS))
        self.reach()
        with capturedLogs():
            self.say(ANSWER)
        self.assertEqual(visitor.body, b"abc")
        self.assertEqual(len(self.connect.attempts), 1)
        self.assertEqual(self.owner.endings, [])

    def test_an_answer_that_does_not_arrive(self) -> None:
        """It is sent again."""
        self.serving()
        visitor = self.visitor().ask()
        self.carry()
        self.reach()
        self.dialer.away = AWAY
        for cable in [*self.dialer.cables]:
            cable.far.lose(ConnectionLost())
        with capturedLogs():
            self.say(ANSWER)
            self.dialer.away = None
            self.pass_seconds(5)
        self.assertEqual(visitor.body, b"abc")

    def test_a_visitor_who_left(self) -> None:
        """The hub wants no answer any more, and that is no trouble."""
        self.serving()
        visitor = self.visitor().ask()
        self.carry()
        self.reach()
        visitor.leave()
        with capturedLogs():
            self.say(ANSWER)
        self.pass_seconds(2)
        self.assertEqual((self.owner.endings, len(self.requests)), ([], 0))


class EndTests(LongPollCase):
    """Its end."""

    def test_a_session_that_is_over(self) -> None:
        """The hub knows it no more: it is to register again; what was under way is dropped."""
        self.serving()
        self.visitor().ask()
        self.carry()
        wire = self.reach()
        [session] = self.hub.registry.sessions
        with capturedLogs() as events:
            session.end(Code.NO_ERROR, "It is over.")
            self.carry()
        self.assertEqual(self.owner.endings, [Ending("The hub knows our session no more.")])
        self.assertTrue(wire.aborted)
        self.assertIn("app: GET / was not answered", formatEvent(events[-1]) or "")
        self.assertEqual(len(self.requests), 0)

    def test_a_hub_that_goes_away(self) -> None:
        """It is waited for for a while."""
        self.serving()
        self.dialer.away = AWAY
        for cable in [*self.dialer.cables]:
            cable.far.lose(ConnectionLost())
        self.pass_seconds(int(PATIENCE_SECONDS) - 1)
        self.assertEqual(self.owner.endings, [])
        self.pass_seconds(5)
        self.assertEqual(self.owner.endings, [Ending(AWAY.detail)])

    def test_a_half_open_connection(self) -> None:
        """Packets are dropped, and no FIN comes: no call waits for ever."""
        self.serving()
        for cable in self.dialer.cables:
            cable.cut = True
        self.pass_seconds(36)
        self.assertGreater(len(self.dialer.cables), PULLS)
        self.assertEqual(self.owner.endings, [])

    def test_drain(self) -> None:
        """Answers that are under way are given; then it pulls no more, and the hub knows it."""
        carrier = self.serving()
        visitor = self.visitor().ask()
        self.carry()
        self.reach()
        carrier.drain()
        self.carry()
        self.assertEqual(self.visitor().error.error, "destination_unavailable")
        self.assertEqual(self.owner.endings, [])
        with capturedLogs():
            self.say(ANSWER)
        self.assertEqual(visitor.body, b"abc")
        self.assertEqual(self.owner.endings, [Ending("It was drained.")])
        self.assertEqual(self.hub.registry.sessions, {})
        before = len(self.written())
        self.pass_seconds(60)
        self.assertEqual(len(self.written()), before)

    def test_drained_at_once(self) -> None:
        """With nothing under way."""
        carrier = self.serving()
        with capturedLogs():
            carrier.drain()
            self.carry()
        self.assertEqual(self.owner.endings, [Ending("It was drained.")])
        self.assertEqual(carrier.state, State.OVER)

    def test_end(self) -> None:
        """At once, and once."""
        carrier = self.serving()
        self.visitor().ask()
        self.carry()
        wire = self.reach()
        with capturedLogs():
            carrier.end()
            carrier.end()
            self.assertEqual(self.owner.endings, [])
            self.carry()
        self.assertTrue(wire.aborted)
        self.assertEqual(len(self.owner.endings), 1)
        self.calls.close()
        self.assertTrue(all(cable.far.disconnecting for cable in self.dialer.cables))

    def test_a_websocket_takes_over(self) -> None:
        """What is under way is answered; what comes now goes the new way. Nobody sees a gap."""
        carrier = self.serving()
        kept = self.visitor().ask()
        self.carry()
        self.reach()
        with capturedLogs():
            self.say(ANSWER)
        kept.connection.requester = None
        waits = self.visitor().ask()
        self.carry()
        self.reach()
        [before] = self.hub.registry.sessions
        new = FakeSession("instance-1")
        new.permit = before.permit
        self.hub.registry.register(new, [WantedTunnel("app")])
        carrier.drain()
        self.carry()
        self.assertTrue(kept.stale)
        self.visitor()
        self.assertEqual(len(new.asked), 1)
        with capturedLogs():
            self.say(ANSWER)
        self.assertEqual(waits.body, b"abc")
        self.assertEqual(self.owner.endings, [Ending("It was drained.")])

    def test_nothing_secret_is_shown(self) -> None:
        """The key and the session's id are in no log, no repr, and the key in no target."""
        with capturedLogs() as events:
            carrier = self.carrier(tunnels=[{"id": "app", "token": "canary"}])
            [session_id] = self.polls.sessions
            written = self.written()
            carrier.end()
            self.carry()
        lines = [formatEvent(event) for event in events]
        shown = repr([carrier, self.calls, self.owner.endings, self.owner.places, lines])
        for secret in (KEY, "canary", session_id):
            self.assertNotIn(secret, shown)
        for line in written.split(b"\r\n"):
            if line.endswith(b" HTTP/1.1"):
                self.assertNotIn(KEY.encode(), line)
        self.assertEqual(written.count(KEY.encode()), 1)
