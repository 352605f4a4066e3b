"""
What an edge has done: by route and backend, in the last ten seconds, minute and five, and in all.

.. code-block:: text

    data path   -> Track.record(request)   one per request: plain integers, 0.4 µs
    once a second, each track that was recorded in -> History, three windows and the sum
    GET /stats, GET /metrics -> sums over the histories of one backend, or of one route

A request is recorded once, at the track of the route and the backend that it ended with. What came
to no backend (refused, queued for too long) is at its route's track for no backend, and what no
route took (404, 421, a bad request) at :attr:`Tracker.nowhere`. The whole has a history of its own;
a route is added up only when somebody asks.

A backend that is forgotten leaves what it did to its route, so that these sums never fall. Of a
route that is, nothing is left but what the whole has of it; to that is added as well what outlives
it.

Memory: a track that is busy all the time holds less than 20 KB; one that was, and is not, 2 KB;
one that nothing was ever recorded in, half a kilobyte. There are no more than the configuration
has backends, and one more for each route.
"""

from __future__ import annotations

import math
import typing
from bisect import bisect_left

from twisted.internet.interfaces import IReactorTime

from aluvia.edge.events import CompletedRequest
from aluvia.edge.tally import (
    BOUNDS,
    BUCKETS,
    BYTES_DOWN,
    BYTES_UP,
    CAUSE_LANES,
    CAUSES,
    CLASSES,
    LANES,
    LATENCY_US,
    QUEUED,
    QUEUED_US,
    RETRIES,
    Tally,
    make_row,
)
from aluvia.edge.windows import PERIODS, History, covered, total_of
from aluvia.net.deadlines import Deadlines

__all__ = ["CLIENT_GONE", "Period", "Track", "Tracker"]

#: The cause of what failed because the client left; no error of ours or of a backend's.
CLIENT_GONE = "client_gone"

#: The cause that stands for all that have no lane of their own.
OTHER = "other"

#: How often histories are looked through for those that are quiet, and their sums made; seconds.
SETTLE_SECONDS = 30


class Period(typing.NamedTuple):
    """
    What there was in some time.

    :ivar seconds: how long that is.
    """

    seconds: float
    tally: Tally


class Track:
    """
    Where the data path records; made by :meth:`Tracker.track`, and kept by whoever records.
    """

    __slots__ = ("_latency", "_numbers", "_queued", "_tracker", "history")

    def __init__(self, tracker: Tracker) -> None:
        self.history = History()
        self._tracker = tracker
        # Since the last look; None while there is nothing.
        self._numbers: list[int] | None = None
        self._latency = 0.0
        self._queued = 0.0

    def record(self, request: CompletedRequest) -> None:
        """
        Count a request that is over.

        Its latency is how long it took in all; that of a stream (``upgraded``), how long its head
        took. One that got no answer has none.
        """
        numbers = self._numbers or self._begin()
        status = request.status
        numbers[CLASSES + status // 100] += 1
        numbers[BYTES_UP] += request.bytes_up
        numbers[BYTES_DOWN] += request.bytes_down
        if status:
            latency = request.first_byte if request.upgraded else request.total
            if latency >= 0.0:
                numbers[BUCKETS + bisect_left(BOUNDS, latency)] += 1
                self._latency += latency
        queued = request.queued
        if queued > 0.0:
            numbers[QUEUED] += 1
            self._queued += queued
        attempts = request.attempts
        if attempts > 1:
            numbers[RETRIES] += attempts - 1
        cause = request.cause
        if cause:
            numbers[CAUSES + self._tracker.lane_of(cause)] += 1

    def _begin(self) -> list[int]:
        numbers = self._numbers = [0] * LANES
        self._tracker.busy.append(self)
        return numbers

    def take(self) -> int:
        """What was recorded since this was last asked, as a row."""
        numbers = self._numbers
        if numbers is None:
            return 0
        numbers[LATENCY_US] = round(self._latency * 1e6)
        numbers[QUEUED_US] = round(self._queued * 1e6)
        self._numbers = None
        self._latency = self._queued = 0.0
        return make_row(numbers)


class _Route:
    """
    The tracks of one route.

    :ivar former: what the backends did that it has no more.
    """

    __slots__ = ("former", "tracks")

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        self.former = History()

    @property
    def histories(self) -> list[History]:
        return [self.former, *(track.history for track in self.tracks.values())]


class Tracker:
    """
    All tracks of an edge.

    :param deadlines: calls once a second, with ``clock``'s time.
    :ivar nowhere: for requests that no route took.
    :ivar busy: tracks that were recorded in since the last look.
    :ivar causes: the names of the causes that there were; :data:`OTHER` is behind the last that has
        room.
    """

    #: The sweep calls us at every look.
    deadline = -math.inf

    def __init__(self, clock: IReactorTime, deadlines: Deadlines) -> None:
        self.busy: list[Track] = []
        self.causes: list[str] = []
        self._lanes: dict[str, int] = {}
        self._clock = clock
        self._deadlines = deadlines
        self._looked = clock.seconds()
        # How long we have run, in steps that never go back, as a clock does that is set.
        self._elapsed = 0.0
        self._second = 0
        self._settled = 0
        self._routes: dict[str, _Route] = {}
        # What all of them did, and those that are gone.
        self._every = History()
        # Those with something in their windows.
        self._warm: list[History] = []
        self.nowhere = self.track("")
        deadlines.watch(self)

    def track(self, route_id: str, backend_id: str = "") -> Track:
        """
        Where to record what is for this backend; the same for the same.

        :param backend_id: empty for what comes to none.
        """
        route = self._routes.get(route_id)
        if route is None:
            route = self._routes[route_id] = _Route()
        track = route.tracks.get(backend_id)
        if track is None:
            track = route.tracks[backend_id] = Track(self)
        return track

    def forget(self, route_id: str) -> None:
        """A route is gone. Harmless for one that is not known."""
        self._routes.pop(route_id, None)

    def forget_backend(self, route_id: str, backend_id: str) -> None:
        """A backend is gone, and its route is not. Harmless for one that is not known."""
        route = self._routes.get(route_id)
        track = None if route is None else route.tracks.pop(backend_id, None)
        if route is not None and track is not None:
            former = route.former
            was_cold = former.cold
            track.history.pass_to(former, self._second)
            if was_cold and not former.cold:
                self._warm.append(former)

    def deadline_passed(self, now: float) -> None:
        """Bring what was recorded into the windows: the sweep looked."""
        self._look()
        self._elapsed = self._elapsed_at(now)
        self._looked = now
        self._second = int(self._elapsed)
        if self._second - self._settled >= SETTLE_SECONDS:
            self._settled = self._second
            for history in self._warm:
                history.settle(self._second)
            self._warm = [history for history in self._warm if not history.cold]

    def stop(self) -> None:
        """Look no more."""
        self._deadlines.forget(self)

    def periods(
        self, route_id: str | None = None, backend_id: str | None = None
    ) -> dict[str, Period]:
        """
        What there was of late, by the names of :data:`~aluvia.edge.windows.PERIODS`.

        :param route_id: None for all.
        :param backend_id: None for all of the route.
        """
        self._look()
        elapsed = self._elapsed_at(self._clock.seconds())
        histories = self._histories(route_id, backend_id)
        second = self._second
        return {
            name: Period(
                covered(part, second, elapsed),
                Tally.of_row(sum(history.sum(name, second) for history in histories)),
            )
            for name, part in PERIODS.items()
        }

    def total(self, route_id: str | None = None, backend_id: str | None = None) -> Period:
        """What there was since the start, likewise."""
        self._look()
        histories = self._histories(route_id, backend_id)
        elapsed = self._elapsed_at(self._clock.seconds())
        return Period(max(1.0, elapsed), Tally(total_of(histories)))

    def places(self) -> list[tuple[str, str]]:
        """The route and the backend of each track."""
        return [
            (route_id, each) for route_id, route in self._routes.items() for each in route.tracks
        ]

    def lane_of(self, cause: str) -> int:
        """The number of a cause; a new one is given one as long as there are any."""
        lane = self._lanes.get(cause)
        if lane is None:
            lane = len(self.causes)
            if lane >= CAUSE_LANES - 1:
                cause, lane = OTHER, CAUSE_LANES - 1
            if cause not in self._lanes:
                self._lanes[cause] = lane
                self.causes.append(cause)
        return lane

    def _elapsed_at(self, now: float) -> float:
        return self._elapsed + max(0.0, now - self._looked)

    def _look(self) -> None:
        busy, self.busy = self.busy, []
        every = 0
        for track in busy:
            row = track.take()
            every += row
            self._add(track.history, row)
        if every:
            self._add(self._every, every)

    def _add(self, history: History, row: int) -> None:
        while history.heir is not None:
            history = history.heir
        if history.cold:
            self._warm.append(history)
        history.add(self._second, row)

    def _histories(self, route_id: str | None, backend_id: str | None) -> list[History]:
        if route_id is None:
            return [self._every]
        route = self._routes.get(route_id)
        if route is None:
            return []
        if backend_id is None:
            return route.histories
        track = route.tracks.get(backend_id)
        return [] if track is None else [track.history]
