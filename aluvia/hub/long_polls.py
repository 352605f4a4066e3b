"""All sessions of a hub that poll, and what they share."""

from __future__ import annotations

import typing

from twisted.logger import Logger

from aluvia.hub.keys import Permit
from aluvia.hub.longpoll import LongPollSession
from aluvia.hub.registration import Registration
from aluvia.hub.registry import HubFull, TunnelTaken
from aluvia.net.held import Held

if typing.TYPE_CHECKING:
    from aluvia.hub.hub import Hub

__all__ = ["LongPolls"]

log = Logger()


class LongPolls:
    """
    The sessions of one hub that poll.

    :ivar sessions: by their ids, which are secrets.
    :ivar waiting: requests that wait for an answer, in all of them.
    :ivar held: bodies that are held, in all of them.
    """

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.sessions: dict[str, LongPollSession] = {}
        self.waiting = 0
        self.held = Held(hub.limits.poll_held_bytes)

    def register(self, registration: Registration, permit: Permit, address: str) -> LongPollSession:
        """
        Begin a session.

        :param address: whence the agent came.
        :raises TunnelTaken: an id is another's, or an agent of this name is connected.
        :raises aluvia.hub.registry.HubFull: there is no room.
        """
        if self.hub.closed:
            raise HubFull("the hub is going away")
        session = LongPollSession(self, registration, permit, address)
        if registration.instance is None:
            for other in self.sessions.values():
                if other.live and other.is_same(session):
                    raise TunnelTaken("an agent of this name is connected with this key", [other])
        self.hub.registry.register(session, registration.tunnels)
        self.sessions[session.id] = session
        self.hub.sweep.watch(session)
        log.info(
            "Agent {agent} at {address} publishes {ids}, by long-polling.",
            agent=session.agent_id,
            address=address,
            ids=", ".join(each.id for each in registration.tunnels),
        )
        return session
