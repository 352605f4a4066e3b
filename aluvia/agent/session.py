"""
The agent's session: it is connected to its hub, or about to be, for as long as the process lives.

.. code-block:: text

    state       leaves on
    ----------  ----------------------------------------------------------------------------------
    RESTING     its time has come -> CONNECTING
    CONNECTING  registered -> ONLINE;  the carrier has ended -> RESTING
    ONLINE      the carrier has ended -> RESTING;  the hub goes away -> RESTING, and the carrier
                lives on for its streams
    DRAINING    the last carrier has ended -> OVER
    OVER        drain() and end() have fired what they gave

From every other state: drain(), end() -> DRAINING.

While it is ONLINE by long-polling, a WebSocket is tried beside that every now and then
(:mod:`aluvia.agent.choice`). Once the hub has registered it, it is the session's carrier, and the
one before answers what it was asked and leaves.

How long it rests (:class:`~aluvia.net.back_off.BackOff`): at random up to half a second, after each
failure twice as long, up to 30 seconds; as at first once it was online for :data:`WELL_SECONDS`.
Where the hub has refused us, and somebody has to do something about it, longer:
:data:`REFUSED_SECONDS` and up to as much again.
"""

from __future__ import annotations

import collections.abc
import enum
import typing

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from aluvia.agent.carrier import Carrier, CarrierOwner, Ending, Kind, Place, Refusal
from aluvia.agent.choice import AGAIN_SECONDS, Choice
from aluvia.agent.health import TargetStatus
from aluvia.net.back_off import BackOff
from aluvia.net.waiting import wait_for
from aluvia.telemetry.told_once import ToldOnce

__all__ = ["REFUSED_SECONDS", "WELL_SECONDS", "Session", "State"]

log = Logger()

#: Half of the longest first rest, and the longest; seconds.
_FIRST, _LONGEST = 0.25, 30.0

#: Who was online for so long was well; seconds.
WELL_SECONDS = 10.0

#: After a refusal that will last until somebody does something; seconds.
REFUSED_SECONDS = 30.0

#: Carriers of hubs that went away, whose streams go on. Of more the oldest is ended.
MOST_LEAVING = 4

#: What somebody has to do.
_ADVICE: dict[Refusal, str] = {
    "unauthorized": "Ask the hub's operator for a key, and give it with --key-file.",
    "revoked": "Ask the hub's operator for another key, and give it with --key-file.",
    "forbidden": "Publish what the key is for, or ask the hub's operator for another one.",
    "bad_registration": "The hub may be of another version, or take fewer tunnels of one agent.",
    "taken": (
        "Stop the other agent, publish under another id, or give both the same secret group to "
        "share it."
    ),
}


#: What may pass by itself: the hub looks whether who has an id is there, which may be this machine
#: before it lost its power.
_MAY_PASS = frozenset(["taken"])


class State(enum.Enum):
    """The table is in the module's docstring."""

    RESTING = enum.auto()
    CONNECTING = enum.auto()
    ONLINE = enum.auto()
    DRAINING = enum.auto()
    OVER = enum.auto()


class Session:
    """
    One agent's.

    :param hub: what to call it.
    :param make_carrier: makes the next carrier, of this kind, and does not start it.
    :param choice: of which kind it is.
    :param statuses: how targets are now, by id.
    :param jitter: a number from 0 to 1, a new one each time.
    :param changed: called whenever :attr:`state` has changed.
    """

    def __init__(
        self,
        hub: str,
        make_carrier: typing.Callable[[CarrierOwner, Kind], Carrier],
        choice: Choice,
        statuses: typing.Callable[[], typing.Mapping[str, TargetStatus]],
        clock: IReactorTime,
        jitter: typing.Callable[[], float],
        changed: typing.Callable[[], object] = lambda: None,
    ) -> None:
        self.state = State.RESTING
        self.places: typing.Sequence[Place] = ()
        self._hub = hub
        self._make_carrier = make_carrier
        self._choice = choice
        self._statuses = statuses
        self._clock = clock
        self._jitter = jitter
        self._changed = changed
        self._back_off = BackOff(clock, _FIRST, jitter, _LONGEST)
        self._told = ToldOnce(clock)
        self._timer: IDelayedCall | None = None
        self._carrier: Carrier | None = None
        self._beside: Carrier | None = None
        self._beside_timer: IDelayedCall | None = None
        self._leaving: list[Carrier] = []
        self._online_since = 0.0
        self._over: Deferred[None] = Deferred()

    def start(self) -> None:
        """Connect."""
        self._connect()

    def tell(self, id: str, status: TargetStatus) -> None:
        """A target has changed."""
        if self._carrier is not None and self.state is State.ONLINE:
            self._carrier.tell(id, status)

    def drain(self) -> Deferred[None]:
        """Take no more streams; fires when the last one is over."""
        self._stop(lambda carrier: carrier.drain())
        return wait_for(self._over)

    def end(self) -> Deferred[None]:
        """End everything at once; fires when it has ended."""
        self._stop(lambda carrier: carrier.end())
        return wait_for(self._over)

    # What carriers tell.

    def registered(self, carrier: Carrier, places: typing.Sequence[Place]) -> None:
        """It carries."""
        if carrier is self._beside and self.state is not State.DRAINING:
            self._choice.works()
            self._change_over(carrier)
        if carrier is not self._carrier or self.state is not State.CONNECTING:
            return
        self._online_since = self._clock.seconds()
        self.places = places
        log.info("Connected to {hub} ({kind}).", hub=self._hub, kind=carrier.kind)
        for place in places:
            of = " of the edge" if place.where.startswith("/") else ""
            log.info("{id} is at {where}{of}", id=place.id, where=place.where, of=of)
        self._become(State.ONLINE)
        for id, status in self._statuses().items():
            carrier.tell(id, status)
        self._perhaps_try_beside()

    def leaving(self, carrier: Carrier, why: str) -> None:
        """The hub opens no more streams over it: there may be another hub already."""
        if carrier is not self._carrier or self.state is State.DRAINING:
            return
        log.info("{hub} takes its leave: {why}", hub=self._hub, why=why)
        self._carrier = None
        self._leaves(carrier)
        self._rest(Ending("The hub goes away."), tell=False)

    def ended(self, carrier: Carrier, ending: Ending) -> None:
        """It is over."""
        if carrier in self._leaving:
            self._leaving.remove(carrier)
        elif carrier is self._beside:
            self._beside = None
            self._choice.tried()
            self._perhaps_try_beside()
        elif carrier is self._carrier:
            self._carrier = None
            if self.state is not State.DRAINING:
                self._chosen_ended(carrier, ending)
                self._rest(ending)
        self._perhaps_over()

    # Inside.

    def _become(self, state: State) -> None:
        self.state = state
        self._changed()

    def _connect(self) -> None:
        self._timer = None
        self._become(State.CONNECTING)
        if self._beside is not None:
            # A WebSocket that is under way is as good as another.
            self._carrier, self._beside = self._beside, None
            return
        self._carrier = carrier = self._make_carrier(self, self._choice.kind)
        carrier.start()

    def _chosen_ended(self, carrier: Carrier, ending: Ending) -> None:
        online = self.state is State.ONLINE
        lived = self._clock.seconds() - self._online_since if online else None
        before = self._choice.kind
        self._choice.ended(carrier.kind, ending, lived)
        if before != self._choice.kind == "longpoll":
            log.warn(
                "WebSockets to {hub} do not come about, or do not last ({why}): it is long-polled. "
                "A WebSocket is tried again every {minutes} minutes.",
                hub=self._hub,
                why=ending.why.rstrip("."),
                minutes=round(AGAIN_SECONDS / 60),
            )

    def _perhaps_try_beside(self) -> None:
        """Arrange for a WebSocket, if it is long-polled."""
        self._cancel_beside()
        wait = self._choice.try_in
        carrier = self._carrier
        if self.state is not State.ONLINE or wait is None or self._beside is not None:
            return
        if carrier is not None and carrier.kind == "longpoll":
            self._beside_timer = self._clock.callLater(wait, self._try_beside)

    def _try_beside(self) -> None:
        self._beside_timer = None
        self._beside = carrier = self._make_carrier(self, "wss")
        carrier.start()

    def _change_over(self, carrier: Carrier) -> None:
        """The carrier beside is the session's from now on."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._cancel_beside()
        before, self._carrier, self._beside = self._carrier, carrier, None
        if before is not None:
            self._leaves(before)
            before.drain()
        self.state = State.CONNECTING

    def _leaves(self, carrier: Carrier) -> None:
        """It goes on for what it has."""
        self._leaving.append(carrier)
        if len(self._leaving) > MOST_LEAVING:
            self._leaving[0].end()

    def _cancel_beside(self) -> None:
        timer, self._beside_timer = self._beside_timer, None
        if timer is not None:
            timer.cancel()

    def _rest(self, ending: Ending, *, tell: bool = True) -> None:
        now = self._clock.seconds()
        self._cancel_beside()
        if self.state is State.ONLINE and now - self._online_since >= WELL_SECONDS:
            self._back_off.over()
        advice = None if ending.refusal is None else _ADVICE.get(ending.refusal)
        if advice is None or ending.refusal in _MAY_PASS:
            self._back_off.failed(ending.retry_after)
        else:
            self._back_off.failed(REFUSED_SECONDS * (1.0 + self._jitter()))
        wait = max(0.0, self._back_off.until - now)
        if tell and self._told.is_new(ending.why):
            log.warn(
                "Not connected to {hub}: {why} {advice}Trying again in {seconds} s.",
                hub=self._hub,
                why=ending.why,
                advice="" if advice is None else f"{advice} ",
                seconds=round(wait, 1),
            )
        self._timer = self._clock.callLater(wait, self._connect)
        self._become(State.RESTING)

    def _stop(self, stop: collections.abc.Callable[[Carrier], object]) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._cancel_beside()
        if self.state is not State.OVER:
            self._become(State.DRAINING)
        for carrier in [*self._leaving, self._carrier, self._beside]:
            if carrier is not None:
                stop(carrier)
        self._perhaps_over()

    def _perhaps_over(self) -> None:
        if self.state is State.DRAINING and not (self._carrier or self._beside or self._leaving):
            self._become(State.OVER)
            self._over.callback(None)
