"""
What an agent says of itself and offers: one schema, over a WebSocket and in the long-poll contract.

.. code-block:: text

    agent_id   1-128 printable characters: whom people see; not unique by itself
    token      the agent's key, where it did not come in an Authorization field
    instance   8-64 of A-Z, a-z, 0-9, - and _: random, made when the agent starts; agents written
               for the seed's contract have none
    exit       true of an agent that lends its line: that is not here yet, and refused
    group      1-128 printable characters: agents that name the same one share their ids
    tunnels    [{id, target, token}]: at least one that is good. ``target`` is a URL on the agent's
               side, of which only the scheme counts here: ``tcp`` or another; ``token`` is what
               visitors must show

An id is 1 to 63 of a-z, 0-9, - and _; A-Z mean the same. It begins and ends with no dash.
"""

from __future__ import annotations

import re
import typing

import attrs

__all__ = ["BadRegistration", "Registration", "WantedTunnel", "read_registration", "tunnel_id"]

_id = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?").fullmatch
_instance = re.compile(r"[A-Za-z0-9_-]{8,64}").fullmatch

#: A key, or a visitor's token.
SECRET_CHARS = 512

NAME_CHARS = 128

TunnelKind = typing.Literal["http", "tcp"]


class BadRegistration(ValueError):
    """It cannot be read; the text says of which field, and holds nothing of what was sent."""


@attrs.frozen
class WantedTunnel:
    """
    One tunnel that an agent offers.

    :ivar token: what its visitors must show; None for nothing.
    """

    id: str
    kind: TunnelKind = "http"
    token: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Registration:
    """What an agent registers with."""

    agent_id: str
    tunnels: tuple[WantedTunnel, ...]
    token: str | None = attrs.field(default=None, repr=False)
    instance: str | None = None
    group: str | None = attrs.field(default=None, repr=False)
    exit: bool = False


def tunnel_id(text: object) -> str | None:
    """A tunnel's id as it is compared; None if it is none."""
    if not isinstance(text, str):
        return None
    lower = text.lower()
    return lower if text.isascii() and _id(lower) is not None else None


def read_registration(document: object, most_tunnels: int) -> Registration:
    """
    Read it. Fields that are not known are left alone: agents of other versions have them.

    :param document: of JSON.
    :raises BadRegistration: it is no good.
    """
    if not isinstance(document, dict):
        raise BadRegistration("a registration is a JSON object")
    instance = document.get("instance")
    if instance is not None and not (isinstance(instance, str) and _instance(instance)):
        raise BadRegistration("instance: 8 to 64 of A-Z, a-z, 0-9, - and _")
    exit = document.get("exit")
    if not isinstance(exit, bool | None):
        raise BadRegistration("exit: true or false")
    agent_id = _text(document, "agent_id", NAME_CHARS)
    if agent_id is None:
        raise BadRegistration("agent_id: it is missing")
    return Registration(
        agent_id=agent_id,
        token=_text(document, "token", SECRET_CHARS),
        instance=instance,
        group=_text(document, "group", NAME_CHARS),
        exit=exit is True,
        tunnels=_tunnels(document.get("tunnels"), most_tunnels),
    )


def _tunnels(listed: object, most: int) -> tuple[WantedTunnel, ...]:
    if not isinstance(listed, list):
        raise BadRegistration("tunnels: a list of objects")
    if len(listed) > most:
        raise BadRegistration(f"tunnels: there may be {most}")
    found: dict[str, WantedTunnel] = {}
    for at, each in enumerate(listed):
        wanted = _tunnel(each, f"tunnels[{at}]")
        if wanted.id in found:
            raise BadRegistration(f"tunnels[{at}]: the id stands there twice")
        found[wanted.id] = wanted
    if not found:
        raise BadRegistration("tunnels: there is none")
    return tuple(found.values())


def _tunnel(each: object, where: str) -> WantedTunnel:
    if not isinstance(each, dict):
        raise BadRegistration(f"{where}: an object")
    id = tunnel_id(each.get("id"))
    if id is None:
        raise BadRegistration(f"{where}.id: 1 to 63 of a-z, 0-9, - and _, and no dash at its ends")
    try:
        target = _text(each, "target", 2_048)
        token = _text(each, "token", SECRET_CHARS)
    except BadRegistration as error:
        raise BadRegistration(f"{where}.{error}") from None
    kind: TunnelKind = "tcp" if (target or "").lower().startswith("tcp:") else "http"
    return WantedTunnel(id, kind, token)


def _text(document: dict[str, typing.Any], name: str, most: int) -> str | None:
    """A string that is not empty; an empty one, and null, are as good as none."""
    value = document.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise BadRegistration(f"{name}: a string of 1 to {most} printable characters")
    return value
