"""
Which tunnels there are, and whose they are. Pure: no clock but what it is given, no I/O.

A tunnel is an id. A session offers it:

.. code-block:: text

    it is offered by               that has it now               then
    -----------------------------  ----------------------------  -----------------------------------
    anybody                        nobody                        it has it
    an instance                    the same instance             the new session takes over, and the
                                                                 old one ends; behind what it was
                                                                 asked, if it polled, and the new
                                                                 one is a WebSocket
    an instance of a group         others of the same group      it is one of them
    an instance                    another one                   TunnelTaken: nothing is registered;
                                                                 and who has it is asked whether it
                                                                 is still there

An instance is a key and a random id that an agent makes at its start. An id that was offered once
is known until too many others are, so that its visitors hear that it is offline, and not that there
is no such thing.
"""

from __future__ import annotations

import collections
import hmac
import typing

import attrs
from twisted.internet.interfaces import IProtocol

from aluvia.hub.keys import Permit
from aluvia.hub.limits import HubLimits
from aluvia.hub.meter import Meter
from aluvia.hub.registration import TunnelKind, WantedTunnel
from aluvia.net.dial import Dialing
from aluvia.net.resolve import Failed
from aluvia.wire.frames import Code

__all__ = ["HubFull", "Offer", "Registry", "Session", "Tunnel", "TunnelTaken"]


class TunnelTaken(Exception):
    """
    An id is somebody else's. The text names it, which is no secret to who offers it.

    :ivar holders: who has it.
    """

    def __init__(self, message: str, holders: typing.Sequence[Session]) -> None:
        super().__init__(message)
        self.holders = holders


class HubFull(Exception):
    """There is no room for another agent, or for its ids."""


class Session(typing.Protocol):
    """
    One agent that is connected, over whichever carrier.

    :ivar agent_id: what it calls itself.
    :ivar permit: what its key is good for.
    :ivar instance: which instance of the agent, together with the key.
    :ivar group: with whom it shares its ids; None for nobody.
    :ivar carrier: ``wss`` or ``longpoll``.
    :ivar address: whence it came.
    :ivar since: when it came; seconds since 1970.
    :ivar last_seen: when it was last heard of; likewise.
    :ivar draining: whether it takes no more streams.
    """

    agent_id: str
    instance: str
    group: str | None
    carrier: str
    address: str
    since: float
    draining: bool

    @property
    def permit(self) -> Permit:
        """See above."""

    @property
    def last_seen(self) -> float:
        """See above."""

    @property
    def streams_open(self) -> int:
        """Over all its tunnels."""

    def open(self, tunnel_id: str, protocol: IProtocol, failed: Failed) -> Dialing:
        """
        Connect a protocol to a tunnel's target; as :meth:`aluvia.net.dial.Dialer.dial` does.

        A failure that says that another member may do better has the error
        ``connection_limit_reached``, ``connection_refused`` or ``destination_unavailable``.
        """

    def end(self, code: Code, reason: str) -> None:
        """End it at once: its streams, its carrier, and what it has registered."""

    def drain(self) -> None:
        """Open no more streams; end when the last one has."""

    def probe(self) -> None:
        """Somebody wants its place: see soon whether it is still there."""


@attrs.define(eq=False)
class Offer:
    """
    A tunnel, as one session offers it.

    :ivar up: whether the agent could connect to its target when it last looked; None if it has not
        said.
    :ivar why_down: in its words.
    """

    session: Session
    wanted: WantedTunnel
    up: bool | None = None
    why_down: str = ""


@attrs.define(eq=False)
class Tunnel:
    """
    One id, whether it is online or not.

    :ivar kind: as it was offered last.
    :ivar offers: those who have it, in turn: the first is asked next.
    :ivar since: when it was offered first; seconds since 1970.
    :ivar meter: what went through it.
    """

    id: str
    since: float
    kind: TunnelKind = "http"
    offers: collections.deque[Offer] = attrs.field(factory=collections.deque)
    meter: Meter = attrs.field(factory=Meter)

    @property
    def online(self) -> bool:
        """Whether anybody has it."""
        return bool(self.offers)

    @property
    def token(self) -> str | None:
        """What its visitors must show; None for nothing. Also while it is offline."""
        return self._token

    _token: str | None = attrs.field(default=None, init=False, repr=False)

    def turns(self) -> list[Offer]:
        """Who is to be asked for a stream, one after the other; the next call begins elsewhere."""
        offers = self.offers
        turns = [each for each in offers if not each.session.draining]
        offers.rotate(-1)
        return turns


class Registry:
    """
    The tunnels of one hub.

    :param now: gives the time; seconds since 1970.
    :ivar sessions: the agents that are connected, and the ids that each of them offers.
    :ivar tunnels: by id; those that are offline in the order in which they went.
    """

    def __init__(self, limits: HubLimits, now: typing.Callable[[], float]) -> None:
        self.sessions: dict[Session, tuple[str, ...]] = {}
        self.tunnels: dict[str, Tunnel] = {}
        self._limits = limits
        self._now = now

    def register(
        self,
        session: Session,
        wanted: typing.Sequence[WantedTunnel],
        entered: typing.Callable[[], object] = lambda: None,
    ) -> None:
        """
        Enter a session with all that it offers, or nothing of it.

        Older sessions of the same instance end: they are replaced. (Who polled and has a WebSocket
        now is alive, and answers what it was asked before.)

        :param entered: called before they end: who loses a stream of theirs may ask for another one
            at once, which the session has to open.
        :raises TunnelTaken: an id is another's.
        :raises HubFull: there are too many agents or ids.
        """
        before = [each for each in self.sessions if _same_instance(each, session)]
        for each in wanted:
            tunnel = self.tunnels.get(each.id)
            if tunnel is None:
                continue
            others = [offer for offer in tunnel.offers if offer.session not in before]
            if others and not all(_may_share(offer, session, each) for offer in others):
                detail = f"the id {each.id} is another agent's, which is connected"
                raise TunnelTaken(detail, [offer.session for offer in others])
        if len(self.sessions) - len(before) >= self._limits.sessions:
            raise HubFull("the hub has no room for another agent")
        ids = {each.id for each in wanted}
        self._see_that_there_is_room(ids, before)
        for old in before:
            self.withdraw(old)
        self._make_room(ids)
        self.sessions[session] = tuple(each.id for each in wanted)
        for each in wanted:
            tunnel = self.tunnels.get(each.id)
            if tunnel is None:
                tunnel = self.tunnels[each.id] = Tunnel(each.id, self._now())
            tunnel.kind = each.kind
            tunnel._token = each.token
            tunnel.offers.append(Offer(session, each))
        entered()
        for old in before:
            if (old.carrier, session.carrier) == ("longpoll", "wss"):
                old.drain()
            else:
                old.end(Code.REPLACED, "The agent has connected again.")

    def withdraw(self, session: Session) -> None:
        """Forget a session. Its ids stay known. Harmless for one that is not there."""
        for id in self.sessions.pop(session, ()):
            offer = self.offer(session, id)
            assert offer is not None  # as long as the session is there
            tunnel = self.tunnels[id]
            tunnel.offers.remove(offer)
            if not tunnel.online:
                self.tunnels[id] = self.tunnels.pop(id)

    def offer(self, session: Session, id: str) -> Offer | None:
        """What a session offers under an id; None for nothing."""
        tunnel = self.tunnels.get(id)
        found = () if tunnel is None else tunnel.offers
        return next((each for each in found if each.session is session), None)

    def _see_that_there_is_room(self, ids: set[str], before: typing.Sequence[Session]) -> None:
        """
        :param ids: that a session shall have.
        :param before: what it will replace.
        :raises HubFull: there is none for them, whatever is forgotten that is offline then.
        """
        most = self._limits.tunnels
        if len(self.tunnels) + len(ids) <= most:
            return
        others = (
            tunnel.id
            for tunnel in self.tunnels.values()
            if any(offer.session not in before for offer in tunnel.offers)
        )
        if len(ids.union(others)) > most:
            raise HubFull("the hub has no room for the ids of another agent")

    def _make_room(self, ids: set[str]) -> None:
        """Forget others that are offline, the longest first, until there is room for these."""
        over = len(self.tunnels) + len(ids - self.tunnels.keys()) - self._limits.tunnels
        if over > 0:
            known = self.tunnels.values()
            offline = [each.id for each in known if not each.online and each.id not in ids]
            for id in offline[:over]:
                del self.tunnels[id]


def _same_instance(one: Session, other: Session) -> bool:
    return one.permit.name == other.permit.name and one.instance == other.instance


def _may_share(offer: Offer, session: Session, wanted: WantedTunnel) -> bool:
    """Whether both are of one group, and mean the same by the id."""
    mine, theirs = session.group, offer.session.group
    return (
        mine is not None
        and theirs is not None
        # Who knows a group's name gets its visitors.
        and hmac.compare_digest(mine.encode("utf-8"), theirs.encode("utf-8"))
        and (wanted.kind, wanted.token) == (offer.wanted.kind, offer.wanted.token)
    )
