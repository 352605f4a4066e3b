"""Tests for :mod:`aluvia.agent.session`, with carriers that a test ends by hand."""

from __future__ import annotations

import typing

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from aluvia.agent.carrier import CarrierOwner, Ending, Kind, Place, Refusal
from aluvia.agent.choice import Choice
from aluvia.agent.health import TargetStatus
from aluvia.agent.session import MOST_LEAVING, REFUSED_SECONDS, WELL_SECONDS, Session, State

Carriers = typing.Literal["auto", "wss", "longpoll"]

LOST = Ending("The connection was reset.")


class FakeCarrier:
    """Notes what it is told."""

    def __init__(self, owner: CarrierOwner, kind: Kind) -> None:
        self.owner = owner
        self.kind = kind
        self.said: list[str] = []
        self.statuses: list[tuple[str, TargetStatus]] = []

    def start(self) -> None:
        """Note it."""
        self.said.append("start")

    def tell(self, id: str, status: TargetStatus) -> None:
        """Note it."""
        self.statuses.append((id, status))

    def drain(self) -> None:
        """Note it."""
        self.said.append("drain")

    def end(self) -> None:
        """Note it."""
        self.said.append("end")

    # What a test lets happen.

    def register(self, where: str = "https://hub.test/t/app/") -> None:
        """The hub takes it, and says where that is."""
        self.owner.registered(self, [Place("app", where)])

    def lose(self, ending: Ending = LOST) -> None:
        """It is over."""
        self.owner.ended(self, ending)


class SessionCase(SynchronousTestCase):
    """A session."""

    carrier: Carriers = "wss"

    def setUp(self) -> None:
        """Begin."""
        self.clock = Clock()
        self.carriers: list[FakeCarrier] = []
        self.statuses: dict[str, TargetStatus] = {}
        self.jitter = 1.0
        self.states: list[State] = []
        self.session = Session(
            "wss://hub.test/agent",
            self.make,
            Choice(self.carrier, self.clock.seconds),
            lambda: self.statuses,
            self.clock,
            lambda: self.jitter,
            lambda: self.states.append(self.session.state),
        )
        self.session.start()

    def make(self, owner: CarrierOwner, kind: Kind) -> FakeCarrier:
        """The next one."""
        carrier = FakeCarrier(owner, kind)
        self.carriers.append(carrier)
        return carrier

    def wait(self) -> float:
        """How long it rests; then that has passed."""
        [call] = self.clock.getDelayedCalls()
        wait = call.getTime() - self.clock.seconds()
        before = len(self.carriers)
        self.clock.advance(wait)
        self.assertEqual(len(self.carriers), before + 1)
        self.assertEqual(self.carriers[-1].said, ["start"])
        return wait

    def online(self, seconds: float = 0.0) -> FakeCarrier:
        """Register the current one, and let so much time pass."""
        carrier = self.carriers[-1]
        with capturedLogs():
            carrier.register()
        self.clock.advance(seconds)
        return carrier

    def lines(self, events: typing.Iterable[typing.Any]) -> list[str]:
        """Of the log."""
        return [formatEvent(event) for event in events]


class ReconnectTests(SessionCase):
    """For ever."""

    def test_back_off(self) -> None:
        """Half a second at first, twice as long each time, up to 30; full jitter."""
        waits = []
        with capturedLogs():
            for _ in range(9):
                self.carriers[-1].lose()
                waits.append(self.wait())
            self.assertEqual(waits, [0.5, 1, 2, 4, 8, 16, 30, 30, 30])
            for self.jitter, wait in ((0.5, 15), (0.0, 0)):
                self.carriers[-1].lose()
                self.assertEqual(self.wait(), wait)

    def test_reset_only_after_health(self) -> None:
        """A connection that does not last does not make the next rest shorter."""
        with capturedLogs():
            for seconds, wait in ((0, 0.5), (1, 1), (9, 2), (WELL_SECONDS + 1, 0.5), (1, 1)):
                self.online(seconds).lose()
                self.assertEqual(self.wait(), wait)

    def test_states(self) -> None:
        """They are told."""
        with capturedLogs():
            self.online().lose()
            self.wait()
        self.assertEqual(
            self.states, [State.CONNECTING, State.ONLINE, State.RESTING, State.CONNECTING]
        )

    def test_what_is_logged(self) -> None:
        """The connection with its places; its loss, and no more than once a minute the same."""
        with capturedLogs() as events:
            self.carriers[-1].register()
            for _ in range(4):
                self.carriers[-1].lose()
                self.wait()
        self.assertEqual(
            self.lines(events),
            [
                "Connected to wss://hub.test/agent (wss).",
                "app is at https://hub.test/t/app/",
                "Not connected to wss://hub.test/agent: The connection was reset. Trying again in "
                "0.5 s.",
            ],
        )

    def test_a_path_is_the_edges(self) -> None:
        """Of a place that is a path it is said whose path that is."""
        with capturedLogs() as events:
            self.carriers[-1].register("/t/app/")
        self.assertIn("app is at /t/app/ of the edge", self.lines(events))

    def test_refusals(self) -> None:
        """What somebody has to do something about is tried slowly, and it is said what to do."""
        refusals: list[tuple[Refusal, str]] = [
            ("unauthorized", "Ask the hub's operator for a key"),
            ("revoked", "for another key"),
            ("forbidden", "Publish what the key is for"),
            ("bad_registration", "another version"),
        ]
        for refusal, advice in refusals:
            for self.jitter, wait in ((0.0, REFUSED_SECONDS), (1.0, 2 * REFUSED_SECONDS)):
                with capturedLogs() as events:
                    self.carriers[-1].lose(Ending(f"It says {refusal} {wait}.", refusal))
                self.assertEqual(self.wait(), wait)
                [line] = self.lines(events)
                self.assertIn(advice, line)
        self.jitter = 0.0
        with capturedLogs():
            self.carriers[-1].lose(Ending("The hub is full.", "full"))
        self.assertEqual(self.wait(), 0)

    def test_an_id_that_is_taken(self) -> None:
        """It may be free in seconds, and may never be: the rests grow as after other failures."""
        self.jitter = 1.0
        advice = "Stop the other agent, publish under another id, or give both the same secret"
        waits = []
        for number in range(8):
            with capturedLogs() as events:
                self.carriers[-1].lose(Ending(f"It is taken, {number}.", "taken"))
            waits.append(self.wait())
            self.assertIn(advice, self.lines(events)[0])
        self.assertEqual((waits[0], waits[-1]), (0.5, 30.0))

    def test_a_late_word_of_an_old_carrier(self) -> None:
        """It changes nothing."""
        old = self.online()
        with capturedLogs() as events:
            old.lose()
            old.register()
            old.owner.leaving(old, "late")
            self.wait()
            old.lose()
        self.assertEqual(len(events), 1)
        self.assertEqual(self.session.state, State.CONNECTING)


class HubTests(SessionCase):
    """What the hub is told, and what it says."""

    def test_targets(self) -> None:
        """How they are: when it is connected, and whenever that changes."""
        down, up = TargetStatus(False, "x"), TargetStatus(True)
        self.session.tell("app", down)
        self.statuses["app"] = down
        carrier = self.online()
        self.session.tell("app", up)
        self.assertEqual(carrier.statuses, [("app", down), ("app", up)])
        with capturedLogs():
            carrier.lose()
        self.session.tell("app", up)
        self.assertEqual(len(carrier.statuses), 2)

    def test_the_hub_goes_away(self) -> None:
        """Its streams go on where they are; new ones come over another connection."""
        with capturedLogs():
            old = self.online(20)
            old.owner.leaving(old, "The hub goes away.")
            self.assertEqual(self.wait(), 0.5)
            new = self.online()
            old.lose()
            self.assertEqual(self.session.state, State.ONLINE)
            self.assertEqual((old.said, new.said), (["start"], ["start"]))

    def test_hubs_that_go_away_all_the_time(self) -> None:
        """No more than some old connections are kept."""
        with capturedLogs():
            for _ in range(MOST_LEAVING + 1):
                old = self.online()
                old.owner.leaving(old, "The hub goes away.")
                self.wait()
        self.assertEqual(
            [carrier.said[-1] for carrier in self.carriers[:-1]],
            ["end"] + ["start"] * MOST_LEAVING,
        )


class EndTests(SessionCase):
    """Its end."""

    def test_drain(self) -> None:
        """Every carrier finishes; then it is over, and nothing is left."""
        with capturedLogs():
            old = self.online()
            old.owner.leaving(old, "The hub goes away.")
            self.wait()
            new = self.online()
            done = self.session.drain()
            self.assertEqual((old.said[-1], new.said[-1]), ("drain", "drain"))
            new.lose()
            self.assertNoResult(done)
            old.lose()
        self.successResultOf(done)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.states[-2:], [State.DRAINING, State.OVER])
        self.successResultOf(self.session.drain())

    def test_the_hub_leaves_while_it_drains(self) -> None:
        """Both go, and nobody comes back."""
        with capturedLogs():
            carrier = self.online()
            done = self.session.drain()
            carrier.owner.leaving(carrier, "The hub goes away.")
            carrier.lose()
        self.successResultOf(done)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.carriers)), ([], 1))

    def test_end(self) -> None:
        """At once, a drain that has begun as well."""
        carrier = self.online()
        drained = self.session.drain()
        ended = self.session.end()
        self.assertEqual(carrier.said, ["start", "drain", "end"])
        carrier.lose()
        for each in (drained, ended):
            self.successResultOf(each)

    def test_at_rest(self) -> None:
        """There is nothing to wait for."""
        with capturedLogs():
            self.carriers[-1].lose()
        self.successResultOf(self.session.end())
        self.assertEqual(self.clock.getDelayedCalls(), [])
