"""
What becomes of the members of a route: on the bus all of it, in the log no more than people read.

A backend that answers one request and resets the next changes with each of them. So in the log the
first :data:`AT_ONCE` changes of a member stand as they happen, and from then on one line each
:data:`~aluvia.telemetry.told_once.TELL_EVERY` seconds: the last change, which is how things stand,
and how many there were. When there was none for so long, it begins anew.
"""

from __future__ import annotations

import functools
import math
import typing

import attrs
from twisted.logger import Logger, LogLevel

from aluvia.edge.backends import Place
from aluvia.edge.events import Event, EventBus, EventName
from aluvia.net.accept import Sweep
from aluvia.telemetry.told_once import TELL_EVERY
from aluvia.upstreams.members import Member

__all__ = ["AT_ONCE", "News"]

_log = Logger()

#: Changes of one member that are told as they happen: it has died, and is back.
AT_ONCE = 2

#: All of them together; no member is called so.
_ALL = ""


@attrs.define
class _Changes:
    """
    Of one member, lately.

    :ivar last: tells the last that was not told.
    """

    told: int = 0
    untold: int = 0
    last: typing.Callable[..., None] | None = None


class News:
    """
    Tells it. (An :class:`aluvia.upstreams.members.Observer`.)

    :param now: seconds since 1970.
    """

    def __init__(
        self, bus: EventBus, route_id: str, now: typing.Callable[[], float], sweep: Sweep
    ) -> None:
        self.deadline = math.inf
        self._bus = bus
        self._route_id = route_id
        self._now = now
        self._sweep = sweep
        self._changes: dict[str, _Changes] = {}

    def member_died(self, member: Member[Place], cause: str) -> None:
        """It was alive."""
        line = "Backend {backend} of {route} is dead: {cause}{more}"
        self._note(member.id, LogLevel.warn, line, backend=member.id, cause=cause)
        self._publish(EventName.BACKEND_DEAD, member, cause=cause)

    def member_revived(self, member: Member[Place]) -> None:
        """It is alive again."""
        line = "Backend {backend} of {route} is back{more}."
        self._note(member.id, LogLevel.info, line, backend=member.id)
        self._publish(EventName.BACKEND_ALIVE, member)

    def nobody_alive(self, so: bool) -> None:
        """Whether requests go to members that are dead."""
        if so:
            line = (
                "All backends of {route} are dead; requests go to those that are ready,"
                " whichever{more}."
            )
            self._note(_ALL, LogLevel.error, line)
        else:
            self._note(_ALL, LogLevel.info, "{route} has backends that are alive again{more}.")

    def deadline_passed(self, now: float) -> None:
        """Tell how things stand."""
        self._changes = {name: each for name, each in self._changes.items() if each.untold}
        for each in self._changes.values():
            untold, each.untold = each.untold, 0
            if each.last is not None:
                each.last(more=f" (changes since it was told: {untold})")
        if self._changes:
            self.deadline = now + TELL_EVERY
        else:
            self._sweep.forget(self)

    def _publish(self, name: EventName, member: Member[Place], **more: object) -> None:
        data = {"route": self._route_id, "backend": member.id, **more}
        self._bus.publish(Event(name, data, self._now()))

    def _note(self, name: str, level: typing.Any, line: str, **said: object) -> None:
        """Tell it in the log, now or later."""
        if not self._changes:
            self.deadline = self._now() + TELL_EVERY
            self._sweep.watch(self)
        changes = self._changes.setdefault(name, _Changes())
        tell = functools.partial(_log.emit, level, line, route=self._route_id, **said)
        if changes.told < AT_ONCE:
            changes.told += 1
            tell(more="")
        else:
            changes.untold += 1
            changes.last = tell
