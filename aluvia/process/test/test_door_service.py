"""Tests for :mod:`aluvia.process.door_service`."""

from __future__ import annotations

import gc
import signal
import typing

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.process import door_service
from aluvia.process.door_service import DoorService


class FakeReactor(Clock):
    """One that runs as soon as a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[typing.Callable[[], object]] = []

    def callWhenRunning(self, call: typing.Callable[[], object]) -> None:
        """Keep it."""
        self.waiting.append(call)

    def callFromThread(self, call: typing.Callable[[], object]) -> None:
        """Call it."""
        call()

    def run(self) -> None:
        """Call what waits."""
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call()


class FakeDoor:
    """It drains when a test says so."""

    connections_open = 1

    def __init__(self) -> None:
        self.stops: list[float] = []
        self.drained: Deferred[None] = Deferred()

    def stop(self, drain_timeout: float = 0.0) -> Deferred[None]:
        """Remember it."""
        self.stops.append(drain_timeout)
        return self.drained if len(self.stops) == 1 else succeed(None)


class FakeService(DoorService):
    """It comes up when a test says so, and may not hear that it is to stop."""

    statuses = ((ValueError, 78),)

    def __init__(self, reactor: FakeReactor, *, deaf: bool = False) -> None:
        self.signals: dict[int, typing.Callable[[int, object], None]] = {}
        super().__init__(reactor, {}, None, 5.0, self.signals.__setitem__)
        self.up: Deferred[None] = Deferred()
        self.told: list[str] = []
        self._deaf = deaf

    async def come_up(self) -> dict[str, object]:
        """Wait for the test."""
        self.told.append("coming up")
        try:
            await self.up
        except CancelledError:
            if not self._deaf:
                raise
        self.door = FakeDoor()
        return {"proxy": 1}

    def came_up(self) -> None:
        """Remember it."""
        self.told.append("came up")

    def read_again(self) -> None:
        """Remember it."""
        self.told.append("read again")

    def going_down(self) -> None:
        """Remember it."""
        self.told.append("going down")

    async def gone_down(self) -> None:
        """Remember it."""
        self.told.append("gone down")


class DoorServiceTests(SynchronousTestCase):
    """What every door has in common."""

    def setUp(self) -> None:
        """Note ends of the process, in place of ending this one."""
        self.exits: list[tuple[int, str]] = []
        self.patch(
            door_service, "exit_with", lambda _, status, why: self.exits.append((status, why))
        )
        self.reactor = FakeReactor()
        self.service = FakeService(self.reactor)

    def start(self) -> None:
        """Start, in a reactor that runs."""
        self.service.startService()
        self.reactor.run()

    def test_life(self) -> None:
        """Up, SIGHUP, drain, a second signal, down."""
        self.start()
        self.assertEqual(self.service.told, ["coming up"])
        self.service.up.callback(None)
        self.service.signals[signal.SIGHUP](signal.SIGHUP, None)
        stopped = self.service.stopService()
        door = typing.cast(FakeDoor, self.service.door)
        self.assertNoResult(stopped)
        self.service.signals[signal.SIGTERM](signal.SIGTERM, None)
        self.assertEqual(door.stops, [5.0, 0.0])
        self.assertNoResult(stopped)
        door.drained.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(
            self.service.told, ["coming up", "came up", "read again", "going down", "gone down"]
        )

    def test_stop_while_starting(self) -> None:
        """The start ends; it is no failure, and nothing is said to be up."""
        self.start()
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.service.told, ["coming up", "going down", "gone down"])
        self.assertEqual(self.exits, [])

    def test_stop_while_starting_unheard(self) -> None:
        """What came up all the same is ended again, and was never ready."""
        self.service = FakeService(self.reactor, deaf=True)
        ready: list[object] = []
        self.patch(self.service._supervision, "ready", ready.append)
        self.start()
        stopped = self.service.stopService()
        door = typing.cast(FakeDoor, self.service.door)
        self.assertEqual(door.stops, [5.0])
        door.drained.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(ready, [])
        self.assertNotIn("came up", self.service.told)

    def test_stop_before_the_reactor_runs(self) -> None:
        """Nothing was opened, and nothing is."""
        self.service.startService()
        self.successResultOf(self.service.stopService())
        self.reactor.run()
        self.assertEqual(self.service.told, [])

    def test_failures(self) -> None:
        """A status by the kind of the error; 70 and a traceback in the log for a fault of ours."""
        self.start()
        self.service.up.errback(ValueError("no good"))
        self.service = FakeService(self.reactor)
        self.start()
        self.service.up.errback(KeyError("a fault"))
        self.assertEqual(self.exits, [(78, "no good"), (70, "the start failed; the log says why")])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_second_life(self) -> None:
        """It can be started again, and its failures are told then too."""
        self.start()
        self.successResultOf(self.service.stopService())
        self.service.up = Deferred()
        self.start()
        self.service.up.errback(ValueError("no good"))
        self.assertEqual(self.exits, [(78, "no good")])

    def test_a_door_that_fails(self) -> None:
        """The rest is ended all the same."""
        self.start()
        self.service.up.callback(None)
        stopped = self.service.stopService()
        typing.cast(FakeDoor, self.service.door).drained.errback(KeyError("a fault"))
        self.failureResultOf(stopped, KeyError)
        self.failureResultOf(self.service.stopService(), KeyError)
        self.assertEqual(self.service.told[-1], "gone down")
        # Whoever waits hears of it, and so does the log.
        del self.service
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
