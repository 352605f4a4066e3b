"""
Whether a tunnel's target is there: tried every so often, and seen by what streams meet.

.. code-block:: text

    state     leaves on
    --------  ----------------------------------------------------------------------------------
    UNKNOWN   a connection is made, by a try or for a stream -> UP;  it fails -> DOWN
    UP        it fails -> DOWN
    DOWN      it is made -> UP

A change is told once: to the operator in the log, and to the hub. A try is a TCP connection that is
closed again. What fails for our own want (no descriptor, no memory) says nothing about a target;
nor does TLS, which a try would not see, so that the two would contradict one another.
"""

from __future__ import annotations

import typing

from twisted.internet.interfaces import IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.agent.targets import Targets
from aluvia.agent.tunnels import Published
from aluvia.net.deadlines import Deadlines
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError

__all__ = ["EVERY_SECONDS", "Health", "TargetStatus"]

log = Logger()

#: Between two tries of a target; seconds.
EVERY_SECONDS = 10.0

#: What is told of a target, by the error of a dial; what is not here says nothing about one.
_WORDS = {
    "connection_refused": "nothing listens at {place}",
    "connection_timeout": "{place} does not answer",
    "connection_terminated": "{place} closes every connection at once",
    "destination_ip_unroutable": "there is no way to {place}",
    "destination_unavailable": "{place} cannot be connected to",
    "destination_ip_prohibited": "{place} leads to an address that is not reached from here",
    "dns_error": "the name of {place} is not known",
    "dns_timeout": "the name of {place} was not resolved in time",
}


class TargetStatus(typing.NamedTuple):
    """
    How a target is.

    :ivar reason: why it is down, for people at the hub, which does not learn where the target is;
        empty where it is up.
    """

    up: bool
    reason: str = ""


#: Is told of a change: the tunnel's id, and how its target is.
Tell = typing.Callable[[str, TargetStatus], object]


class Health:
    """
    How all targets are.

    :param seconds: the clock.
    :ivar told: is told of each change; set it.
    :ivar statuses: by id; those that nothing is known of are not there.
    """

    def __init__(
        self, targets: Targets, seconds: typing.Callable[[], float], deadlines: Deadlines
    ) -> None:
        self.told: Tell = _nobody
        self.statuses: dict[str, TargetStatus] = {}
        self._targets = targets
        self._deadlines = deadlines
        self._tries = [_Tries(self, targets, each.id, seconds()) for each in targets.tunnels]

    def start(self) -> None:
        """Try each target now, and then every so often."""
        for tries in self._tries:
            self._deadlines.watch(tries)
            tries.begin()

    def stop(self) -> None:
        """Try no more."""
        for tries in self._tries:
            self._deadlines.forget(tries)
            tries.cancel()

    def reached(self, id: str) -> None:
        """A connection to a target was made."""
        before = self.statuses.get(id)
        if before is None or not before.up:
            if before is not None:
                log.info("{id}: {place} answers again.", id=id, place=self._tunnel(id).place)
            self._change(id, TargetStatus(True))

    def failed(self, id: str, error: DialError) -> bool:
        """One was not made; whether that says something about the target."""
        words = _WORDS.get(error.error)
        before = self.statuses.get(id)
        if words is not None and (before is None or before.up):
            place = self._tunnel(id).place
            log.warn("{id}: {reason}", id=id, reason=words.format(place=place))
            # Where it is on this network is no business of the hub's.
            self._change(id, TargetStatus(False, words.format(place="the target")))
        return words is not None

    def _tunnel(self, id: str) -> Published:
        tunnel = self._targets.get(id)
        assert tunnel is not None  # whoever asks has dialled it
        return tunnel

    def _change(self, id: str, status: TargetStatus) -> None:
        self.statuses[id] = status
        self.told(id, status)


@implementer(IProtocol)
class _Tries:
    """The tries of one target; the protocol of each of their connections."""

    factory: typing.Any = None

    def __init__(self, health: Health, targets: Targets, id: str, now: float) -> None:
        self._health = health
        self._targets = targets
        self._id = id
        self._dialing: Dialing | None = None
        self._under_way = False
        self.deadline = now + EVERY_SECONDS

    def begin(self) -> None:
        """Try once, unless that is under way."""
        if not self._under_way:
            self._under_way = True
            dialing = self._targets.reach(self._id, self, self._failed)
            # It may be over already.
            if self._under_way:
                self._dialing = dialing

    def cancel(self) -> None:
        """Leave nothing."""
        dialing, self._dialing = self._dialing, None
        self._under_way = False
        if dialing is not None:
            dialing.cancel()

    def deadline_passed(self, now: float) -> None:
        """Again."""
        self.deadline = now + EVERY_SECONDS
        self.begin()

    def makeConnection(self, transport: typing.Any) -> None:
        """It is there."""
        self._over()
        transport.loseConnection()
        self._health.reached(self._id)

    def connectionMade(self) -> None:
        """Not called."""

    def dataReceived(self, data: bytes) -> None:
        """A greeting that nobody wants."""

    def connectionLost(self, reason: Failure) -> None:
        """As it should be."""

    def _failed(self, error: DialError) -> None:
        self._over()
        self._health.failed(self._id, error)

    def _over(self) -> None:
        self._under_way = False
        self._dialing = None


def _nobody(id: str, status: TargetStatus) -> None:
    """Nobody is told."""
