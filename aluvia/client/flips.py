"""
Open tunnels whose host new rules send the other way.

A tunnel cannot change its way. By default it is left alone; with a grace (``--flip-grace``) it is
reset so many seconds after the rules began to say otherwise, unless they change their mind before.
Tunnels whose way is the same are never touched.
"""

from __future__ import annotations

import math

from aluvia.client.routing import Router
from aluvia.forwarding.proxy import ForwardProxy


class Flips:
    """
    Looks after the tunnels of one proxy.

    :param grace: seconds; None to leave them alone.
    :ivar deadline: when to look again; see :class:`aluvia.net.accept.Sweep`.
    """

    def __init__(self, proxy: ForwardProxy, router: Router, grace: float | None) -> None:
        self._proxy = proxy
        self._router = router
        self._grace = grace
        self.deadline = math.inf
        if grace is not None:
            proxy.sweep.watch(self)

    def look(self) -> None:
        """The rules have changed: see which tunnels go the other way now."""
        if self._grace is None:
            return
        now = self._proxy.sweep.now
        self.deadline = math.inf
        for flow in self._proxy.live:
            if self._router.route(flow.host).way == flow.route.way:
                flow.flipped = None
            else:
                flow.flipped = now if flow.flipped is None else flow.flipped
                self.deadline = min(self.deadline, flow.flipped + self._grace)

    def deadline_passed(self, now: float) -> None:
        """End those whose grace is over."""
        assert self._grace is not None
        self.deadline = math.inf
        for flow in list(self._proxy.live):
            if flow.flipped is None:
                continue
            ends = flow.flipped + self._grace
            if ends <= now and flow.relay is not None:
                flow.relay.abort()
            else:
                # What is no tunnel yet may still become one.
                self.deadline = min(self.deadline, max(ends, now + 1))
