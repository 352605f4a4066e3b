"""
A connection that is not read hears of no end. This looks whether there was one.

While a client's transport is paused it is not among what the reactor waits for, so that even a
reset goes unseen: a request would wait in line, and be sent, for nobody. So once a second, for as
long as it is paused, the system is asked. (A FIN behind what was not read yet is no reset, and is
found when that is read.)
"""

from __future__ import annotations

import math
import select
import typing

from twisted.protocols.policies import ProtocolWrapper

__all__ = ["HangUpWatch", "was_reset"]

#: POLLERR and POLLHUP are told of whatever is asked for; where there is no poll, nothing is.
_GONE = getattr(select, "POLLERR", 0) | getattr(select, "POLLHUP", 0)


def was_reset(transport: typing.Any) -> bool:
    """Whether the other end has reset it, or both ends have closed."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    descriptor = getattr(transport, "descriptor", -1)
    if descriptor < 0 or not _GONE:
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & _GONE for _, event in poll.poll(0))


class HangUpWatch:
    """
    Looks at one transport, at each look of a sweep.

    :param gone: called when it was reset.
    """

    __slots__ = ("_gone", "_transport", "deadline")

    def __init__(self, transport: typing.Any, gone: typing.Callable[[], None]) -> None:
        self.deadline = -math.inf
        self._transport = transport
        self._gone = gone

    def deadline_passed(self, now: float) -> None:
        """Look."""
        if was_reset(self._transport):
            self._gone()
