"""Tests for :mod:`aluvia.agent.choice`, and of what a session makes of it."""

from __future__ import annotations

from twisted.logger import capturedLogs

from aluvia.agent.carrier import Ending
from aluvia.agent.choice import AGAIN_SECONDS, SHORT_SECONDS
from aluvia.agent.session import State
from aluvia.agent.test.test_session import LOST, Carriers, FakeCarrier, SessionCase

NO_WEBSOCKET = Ending("The server answered 404, and not 101.", no_websocket=True)
AWAY = Ending("The address refused the connection.")


class ChoiceCase(SessionCase):
    """A session that may choose."""

    carrier: Carriers = "auto"

    def setUp(self) -> None:
        """It rests for no time at all."""
        super().setUp()
        self.jitter = 0.0

    def end_with(self, ending: Ending) -> str:
        """The carrier there is ends; the kind of the next."""
        with capturedLogs():
            self.carriers[-1].lose(ending)
            self.wait()
        return self.carriers[-1].kind

    def fall_back(self) -> FakeCarrier:
        """Long-poll, and be connected."""
        self.end_with(NO_WEBSOCKET)
        self.assertEqual(self.end_with(NO_WEBSOCKET), "longpoll")
        return self.online()

    def try_beside(self) -> FakeCarrier:
        """Let the time pass after which a WebSocket is tried."""
        before = len(self.carriers)
        self.clock.advance(AGAIN_SECONDS - 1)
        self.assertEqual(len(self.carriers), before)
        self.clock.advance(1)
        [beside] = self.carriers[before:]
        self.assertEqual((beside.kind, beside.said), ("wss", ["start"]))
        return beside


class FallBackTests(ChoiceCase):
    """To long-polling."""

    def test_auto_falls_back_after_two_failed_upgrades(self) -> None:
        """One is not enough; and the log says what it was, and what comes of it."""
        self.assertEqual(self.end_with(NO_WEBSOCKET), "wss")
        with capturedLogs() as events:
            self.carriers[-1].lose(NO_WEBSOCKET)
        self.assertIn("(The server answered 404, and not 101): it is long", self.lines(events)[0])
        self.wait()
        self.assertEqual(self.carriers[-1].kind, "longpoll")

    def test_a_websocket_that_dies_twice_within_10_s(self) -> None:
        """It is as good as none; one that lasts is another matter, and begins the count anew."""
        self.online(SHORT_SECONDS - 1)
        self.assertEqual(self.end_with(LOST), "wss")
        self.online(SHORT_SECONDS)
        self.assertEqual(self.end_with(LOST), "wss")
        self.online(SHORT_SECONDS - 1)
        self.assertEqual(self.end_with(LOST), "wss")
        self.online()
        self.assertEqual(self.end_with(LOST), "longpoll")

    def test_a_hub_that_is_away_or_refuses_us(self) -> None:
        """That says nothing about WebSockets."""
        for ending in (AWAY, AWAY, Ending("No.", "taken"), Ending("No.", "unauthorized"), AWAY):
            self.assertEqual(self.end_with(ending), "wss")
        self.online()
        self.assertEqual(self.end_with(Ending("It was revoked.", "revoked")), "wss")
        self.online()
        self.assertEqual(self.end_with(Ending("It was revoked.", "revoked")), "wss")

    def test_long_polling_that_does_not_come_about_either(self) -> None:
        """Then it was not the WebSocket; but the hub may well refuse us."""
        self.fall_back()
        self.assertEqual(self.end_with(LOST), "longpoll")
        self.assertEqual(self.end_with(Ending("No.", "taken")), "longpoll")
        self.assertEqual(self.end_with(AWAY), "wss")


class OnlyWSSTests(ChoiceCase):
    """``--carrier wss``."""

    carrier: Carriers = "wss"

    def test_no_other(self) -> None:
        """Whatever happens."""
        for _ in range(5):
            self.assertEqual(self.end_with(NO_WEBSOCKET), "wss")


class OnlyLongPollTests(ChoiceCase):
    """``--carrier longpoll``."""

    carrier: Carriers = "longpoll"

    def test_no_other(self) -> None:
        """Whatever happens, and however long it lasts."""
        for _ in range(3):
            self.assertEqual(self.end_with(AWAY), "longpoll")
        self.online(2 * AGAIN_SECONDS)
        self.assertEqual(len(self.carriers), 4)


class BackTests(ChoiceCase):
    """To the WebSocket."""

    def test_wss_is_tried_again_after_ten_minutes(self) -> None:
        """Beside what there is, which is not touched as long as it does not work."""
        before = self.fall_back()
        for _ in range(2):
            beside = self.try_beside()
            beside.lose(NO_WEBSOCKET)
            self.assertEqual((self.session.state, before.said), (State.ONLINE, ["start"]))
        self.assertEqual(self.states.count(State.RESTING), 2)

    def test_wss_is_taken_as_soon_as_it_works(self) -> None:
        """What is under way goes on by long-polling; the rest goes the new way, without a gap."""
        before = self.fall_back()
        beside = self.try_beside()
        self.states.clear()
        with capturedLogs() as events:
            beside.register()
        self.assertEqual(self.lines(events)[0], "Connected to wss://hub.test/agent (wss).")
        self.assertEqual((before.said, beside.said), (["start", "drain"], ["start"]))
        self.assertEqual(self.states, [State.ONLINE])
        before.lose()
        self.assertEqual(self.session.state, State.ONLINE)
        self.clock.advance(2 * AGAIN_SECONDS)
        self.assertEqual(self.carriers[-1], beside)
        self.assertEqual(self.end_with(NO_WEBSOCKET), "wss")

    def test_long_polling_ends_meanwhile(self) -> None:
        """The WebSocket that is under way is the next carrier."""
        before = self.fall_back()
        beside = self.try_beside()
        with capturedLogs():
            before.lose()
            self.clock.advance(60)
            self.assertEqual((self.carriers[-1], self.session.state), (beside, State.CONNECTING))
            beside.register()
        self.assertEqual(self.session.state, State.ONLINE)

    def test_it_registers_while_the_other_rests(self) -> None:
        """The rest is over."""
        before = self.fall_back()
        beside = self.try_beside()
        with capturedLogs():
            before.lose()
            beside.register()
        self.assertEqual(self.session.state, State.ONLINE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_is_connected_when_the_time_comes(self) -> None:
        """The next carrier is a WebSocket; one that does not work is enough then."""
        self.fall_back()
        self.clock.advance(AGAIN_SECONDS - 0.25)
        self.jitter = 1.0
        self.assertEqual(self.end_with(LOST), "wss")
        self.assertEqual(self.end_with(NO_WEBSOCKET), "longpoll")

    def test_the_end(self) -> None:
        """Nothing is left, whatever was under way."""
        before = self.fall_back()
        beside = self.try_beside()
        done = self.session.end()
        self.assertEqual((before.said[-1], beside.said[-1]), ("end", "end"))
        before.lose()
        self.assertNoResult(done)
        beside.register()
        beside.lose()
        self.successResultOf(done)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_end_before_it_is_tried(self) -> None:
        """The same."""
        before = self.fall_back()
        done = self.session.drain()
        before.lose()
        self.successResultOf(done)
        self.assertEqual(self.clock.getDelayedCalls(), [])
