"""The lines that the agent's demo prints. Each one can be typed as it stands."""

from __future__ import annotations

import shlex
import typing

import attrs

from aluvia.demo.quiet_site import ADDRESS

if typing.TYPE_CHECKING:
    from aluvia.agent.tunnels import Published

__all__ = ["DOMAIN", "Place", "agent_lines"]

#: Below it each tunnel has a host of its own. curl and browsers know that this is loopback.
DOMAIN = "tunnels.localhost"


@attrs.frozen(kw_only=True)
class Place:
    """
    Where everything is.

    :ivar http: the edge's port, of visitors.
    :ivar api_url: the URL of its API, without a path.
    :ivar api_token: what that asks for.
    """

    http: int
    api_url: str
    api_token: str = attrs.field(repr=False)


def agent_lines(place: Place, app: Published, private: Published) -> list[str]:
    """
    What to type, and what it is for.

    :param app: a tunnel for everybody.
    :param private: one for who has its token.
    """
    at = f"http://{ADDRESS}:{place.http}/t"
    # That *.localhost is loopback, curl knows by itself; but in the family that is not ours,
    # somebody else may listen at this port.
    host = f"http://{app.id}.{DOMAIN}:{place.http}/"
    shown = f"X-Proxer-Tunnel-Token: {private.token}"
    bearer = f"Authorization: Bearer {place.api_token}"
    return [
        f"A site at {app.place} is published by an agent, and this goes to it through the edge:",
        _curl(f"{at}/{app.id}/"),
        "Or under a host of its own, as every tunnel has one below a domain:",
        _curl("-4", host),
        "Published once more, for visitors who show a token:",
        _curl("-H", shown, f"{at}/{private.id}/"),
        f"A browser is shown it by {at}/{private.id}/?access_token={private.token}",
        "Events come as they happen; WebSockets would, too:",
        _curl("-N", f"{at}/{app.id}/events"),
        "Which tunnels there are, whose they are, and what has been counted:",
        _curl("-H", bearer, f"{place.api_url}/api/v1/tunnels"),
        f"A browser shows it at {place.api_url}/tunnels and asks for that token, {place.api_token}",
    ]


def _curl(*words: str) -> str:
    return shlex.join(["curl", *words])
