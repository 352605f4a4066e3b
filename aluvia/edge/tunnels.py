"""
The tunnels of a hub, as visitors reach them: without a route, by a path or by a name.

.. code-block:: text

    a request for a host                        is
    ------------------------------------------  ---------------------------------------------------
    that is some route's vhost, exactly         that route's
    that is one label below --tunnel-domain     for the tunnel of that name, with all its paths
    that a wildcard, or *, is for               that route's
    that no route is for, below /t/ID/          for the tunnel ID (--tunnel-paths)
    any other                                   404

A visited tunnel has a :class:`~aluvia.edge.live.LiveRoute` of its own, so that everything that
holds for requests of routes holds here: slots, the line, streams, retries, rates, authentication.
They are made when they are needed, and :data:`MOST_ROUTES` of them are kept.

The path is taken by its bytes: ``/t/`` and an id of plain letters, in either case. What is escaped,
doubled or dotted is no tunnel's, and within a tunnel's paths it is the app's to read: no reading of
it leads to another tunnel, since an id is looked up once, here.
"""

from __future__ import annotations

import math
import random
import re
import typing

import attrs

from aluvia.edge.answers import Refusal
from aluvia.edge.backends import TUNNEL, Place
from aluvia.edge.daily_bytes import DailyBytes
from aluvia.edge.live import LiveRoute, Terms
from aluvia.edge.model import Backend, RateLimit, Route
from aluvia.edge.tunnel_answers import (
    NO_PROVIDER,
    NO_SUCH_TUNNEL,
    NOT_HTTP,
    OFFLINE,
    WRONG_TOKEN,
    day_over,
    to_slash,
)
from aluvia.edge.verdicts import Authenticator
from aluvia.edge.visitor_tokens import Shown, VisitorTokens
from aluvia.hub.keys import Keys
from aluvia.hub.registration import tunnel_id
from aluvia.hub.registry import Registry, Tunnel
from aluvia.net.dial import Dialer
from aluvia.upstreams.members import Member, Members, Wanted

if typing.TYPE_CHECKING:
    from aluvia.edge.reverse import ReverseProxy
    from aluvia.edge.settings import Settings

__all__ = ["BURST_SECONDS", "MOST_ROUTES", "Hub", "Tunnels", "Visit"]

#: Tunnels that are visited at once, or were lately. Over it: the one that was visited the longest
#: ago begins anew, with its rates and its statistics.
MOST_ROUTES = 10_000

#: How much of a rate may come at once: a page asks for its parts together.
BURST_SECONDS = 10

_path = re.compile(rb"(/t/([A-Za-z0-9_-]{1,63}))(?=[/?]|\Z)").match
_BELOW = b"/t/"


class Hub(typing.Protocol):
    """
    What an edge needs of the hub beside it.

    :ivar dialer: of its tunnels: the host is an id, the port is 0.
    """

    @property
    def registry(self) -> Registry:
        """The tunnels that there are."""

    @property
    def dialer(self) -> Dialer:
        """See above."""

    @property
    def keys(self) -> Keys:
        """The keys of agents."""

    @property
    def refusals(self) -> typing.Mapping[str, int]:
        """How many agents were not registered, by reason."""


class Moving(typing.Protocol):
    """What moves bytes of a tunnel."""

    def see_what_moved(self) -> None:
        """Count it, and end if it is too much."""


@attrs.frozen
class Visit:
    """
    Where a request without a route goes.

    :ivar prefix: what of its path is not the app's; empty where the tunnel has a host of its own.
    """

    tunnel: Tunnel
    live: LiveRoute
    prefix: bytes


class Tunnels:
    """
    The public side of a hub's tunnels.

    :param provider: finds what authenticates, by the id of its provider.
    :ivar now: gives the time; seconds since 1970.
    :ivar daily: None where a tunnel may move what it likes.
    :ivar watched: what is under way, and tells nobody what it moves: looked at once a second.
    """

    #: The sweep calls us at every look.
    deadline = -math.inf

    def __init__(
        self,
        hub: Hub,
        settings: Settings,
        proxy: ReverseProxy,
        reactor: typing.Any,
        provider: typing.Callable[[str], Authenticator | None],
    ) -> None:
        self.registry = hub.registry
        self.tokens = VisitorTokens()
        self.now: typing.Callable[[], float] = reactor.seconds
        most = settings.tunnel_bytes_per_day
        self.daily = None if most is None else DailyBytes(most, reactor.seconds)
        self.watched: set[Moving] = set()
        self._hub = hub
        self._settings = settings
        self._proxy = proxy
        self._reactor = reactor
        self._provider = provider
        self._random = random.Random()
        self._routes: dict[str, LiveRoute] = {}
        if self.daily is not None:
            proxy.sweep.watch(self)

    def find(self, host: str, target: bytes) -> Visit | Refusal | None:
        """
        Which tunnel a request is for that is for no route.

        :return: why it is answered here; None where it is not about tunnels at all.
        """
        settings = self._settings
        label, _, rest = host.partition(".")
        if rest and rest == settings.tunnel_domain:
            return self._visit(label, b"")
        if not settings.tunnel_paths or not target.startswith(_BELOW):
            return None
        match = _path(target)
        if match is None:
            return NO_SUCH_TUNNEL
        prefix, id = match[1], match[2]
        visit = self._visit(id.decode("ascii"), prefix)
        rest_of_it = target[len(prefix) :]
        if isinstance(visit, Visit) and not rest_of_it.startswith(b"/"):
            return to_slash(b"%b/%b" % (prefix, rest_of_it))
        return visit

    def judge(self, tunnel: Tunnel, shown: Shown) -> Refusal | None:
        """Why a visitor is not let into a tunnel, however it was reached; None if they are."""
        if tunnel.kind != "http":
            return NOT_HTTP
        token = tunnel.token
        if token is not None and not self.tokens.admit(tunnel.id, token, shown):
            return WRONG_TOKEN
        wait = 0 if self.daily is None else self.daily.wait(tunnel.id)
        return day_over(wait) if wait else None

    def has_returned(self, member: Member[Place]) -> bool:
        """Whether an agent has come, with the tunnel that a member is, since that died."""
        tunnel = self.registry.tunnels.get(member.target.host)
        died = member.dead_since
        return (
            tunnel is not None
            and died is not None
            and any(offer.session.since >= died for offer in tunnel.offers)
        )

    def deadline_passed(self, now: float) -> None:
        """The sweep looked."""
        for each in list(self.watched):
            each.see_what_moved()

    def _visit(self, name: str, prefix: bytes) -> Visit | Refusal:
        id = tunnel_id(name)
        if id is None:
            return NO_SUCH_TUNNEL
        tunnel = self.registry.tunnels.get(id)
        if tunnel is None:
            self._forget(id)
            return OFFLINE if self._hub.keys.may_be_published(id) else NO_SUCH_TUNNEL
        if tunnel.kind != "http":
            return NOT_HTTP
        wanted = self._settings.tunnel_auth_provider
        authenticator = None if wanted is None else self._provider(wanted)
        if wanted is not None and authenticator is None:
            return NO_PROVIDER
        return Visit(tunnel, self._live(id, authenticator), prefix)

    # The routes behind it.

    def _live(self, id: str, authenticator: Authenticator | None) -> LiveRoute:
        live = self._routes.pop(id, None)
        if live is None:
            if len(self._routes) >= MOST_ROUTES:
                self._forget(next(iter(self._routes)))
            live = self._make(id, authenticator)
        elif live.terms.authenticator is not authenticator:
            live.adopt(Terms.of(live.route, authenticator))
        # Behind the others: the first is the one that was visited the longest ago.
        self._routes[id] = live
        return live

    def _make(self, id: str, authenticator: Authenticator | None) -> LiveRoute:
        route = route_of(id, self._settings)
        members: Members[Place] = Members(
            self._reactor, route.strategy.value, _Nobody(), random=self._random
        )
        place = Place(TUNNEL, id, 0, None, self._hub.dialer)
        members.change([Wanted(id=id, target=place)])
        return LiveRoute(
            self._reactor, Terms.of(route, authenticator), members, self._proxy.tracker
        )

    def _forget(self, id: str) -> None:
        live = self._routes.pop(id, None)
        if live is not None:
            for member in live.members:
                self._proxy.upstreams.forget(member)
            live.remove()


class _Nobody:
    """Hears of no member: that an agent is not there is no news, and its registry tells it."""

    def member_died(self, member: Member[Place], cause: str) -> None:
        """It is asked again, since there is no other."""

    def member_revived(self, member: Member[Place]) -> None:
        """It has answered."""

    def nobody_alive(self, so: bool) -> None:
        """There is one."""


def route_of(id: str, settings: Settings) -> Route:
    """The route that a tunnel would have, if somebody had configured it."""
    rate = settings.tunnel_rate
    return Route(
        # No id of a configured route has a colon.
        id=f"{TUNNEL}:{id}",
        v_host="",
        max_streams=settings.tunnel_streams,
        max_body_bytes=settings.tunnel_body_bytes,
        rate_limit=None
        if rate is None
        else RateLimit(per_second=rate, burst=max(1, math.ceil(rate * BURST_SECONDS))),
        auth_provider=settings.tunnel_auth_provider,
        backends=(Backend(id=id, endpoint=f"{TUNNEL}:{id}"),),
    )
