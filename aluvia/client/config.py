"""
The configuration of the moment: which gateway, and what goes through it.

Settings are what the client was started with and stay; a snapshot is what it routes by, and is
replaced whole when that changes. In static mode there is one for the whole run, made from the
settings; a control plane gives new ones while we run (:mod:`aluvia.client.control`).

What a control plane says of its user is read here, strictly in what we need and leniently in the
rest:

=====================  ============================================================================
``proxy_username``     a string, not blank, without ``:``
``proxy_password``     a string, not blank
``rules``              a list, of which only strings count; or ``{"items": [...]}``, or
                       ``{"items": "a,b"}``; null or absent for none
``session_id``         a string or null
``target_geo``         a string or null
anything else          kept aside
=====================  ============================================================================

They may stand in the body itself, or in its ``data``. A body that says ``"success": false`` is an
error, whatever stands beside that and whatever its status is.
"""

from __future__ import annotations

import typing

import attrs

from aluvia.client.settings import Settings
from aluvia.net.parent import ParentProxy
from aluvia.rules import RuleSet


class BadConfigurationError(Exception):
    """What a control plane sent is no configuration. The text is one sentence, without secrets."""


@attrs.frozen(kw_only=True)
class User:
    """
    A control plane's user: what it says of whoever owns the token.

    :ivar rules: as they were sent, but for what is no string.
    :ivar other: fields that we know nothing of. They make no difference: users are equal without
        them, since a time stamp among them is no other configuration.
    """

    proxy_username: str = attrs.field(repr=False)
    proxy_password: str = attrs.field(repr=False)
    rules: tuple[str, ...] = ()
    session_id: str | None = None
    target_geo: str | None = None
    other: typing.Mapping[str, object] = attrs.field(factory=dict, repr=False, eq=False)

    def fields(self) -> dict[str, object]:
        """The fields as a control plane sends them."""
        return {
            **self.other,
            "proxy_username": self.proxy_username,
            "proxy_password": self.proxy_password,
            "rules": list(self.rules),
            "session_id": self.session_id,
            "target_geo": self.target_geo,
        }


_KNOWN = {field.name for field in attrs.fields(User)} - {"other"}


def is_failure(body: object) -> bool:
    """Whether a body, decoded from JSON, says of itself that it is an error."""
    return isinstance(body, dict) and body.get("success") is False


def read_user(body: object) -> User:
    """
    Read a body, decoded from JSON.

    :raises BadConfigurationError: with what is wrong with it.
    """
    if is_failure(body):
        raise BadConfigurationError("It says that it is no success.")
    if isinstance(body, dict) and isinstance(body.get("data"), dict):
        body = body["data"]
    if not isinstance(body, dict):
        raise BadConfigurationError("It is no JSON object.")
    return User(
        proxy_username=_credential(body, "proxy_username"),
        proxy_password=_credential(body, "proxy_password"),
        rules=_rules(body.get("rules")),
        session_id=_text_or_none(body, "session_id"),
        target_geo=_text_or_none(body, "target_geo"),
        other={name: value for name, value in body.items() if name not in _KNOWN},
    )


def _credential(body: typing.Mapping[str, object], name: str) -> str:
    value = body.get(name)
    if value is None or value == "":
        raise BadConfigurationError(f"There is no {name}.")
    if not isinstance(value, str):
        raise BadConfigurationError(f"{name} is no string.")
    if not value.strip():
        raise BadConfigurationError(f"{name} is blank.")
    return value


def _rules(value: object) -> tuple[str, ...]:
    if isinstance(value, dict):
        value = value.get("items")
        if isinstance(value, str):
            value = value.split(",")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadConfigurationError("rules is neither a list nor an object with items.")
    return tuple(each for each in value if isinstance(each, str))


def _text_or_none(body: typing.Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadConfigurationError(f"{name} is neither a string nor null.")
    return value


@attrs.frozen(kw_only=True)
class Snapshot:
    """
    One configuration. Immutable, so that whoever holds it sees one state of it.

    :ivar gateway: the parent proxy, with its credentials; None if there is none.
    :ivar rules: compiled.
    :ivar session_id: kept for who asks; takes no part in routing.
    :ivar target_geo: likewise.
    :ivar etag: of the answer that it came in, verbatim; None if it came from elsewhere.
    :ivar revision: counts the snapshots of this process, from 1.
    :ivar fetched_at: when it came; the reactor's seconds, which are the system's.
    """

    gateway: ParentProxy | None
    rules: RuleSet
    session_id: str | None = None
    target_geo: str | None = None
    etag: str | None = None
    revision: int = 1
    fetched_at: float = 0.0


def static_snapshot(settings: Settings, now: float) -> Snapshot:
    """The snapshot of static mode: gateway and rules as the settings have them."""
    return Snapshot(
        gateway=settings.gateway,
        rules=RuleSet.compile(settings.rules, revision=1),
        revision=1,
        fetched_at=now,
    )
