"""
The configuration of the moment: which gateway, and what goes through it.

Settings are what the client was started with and stay; a snapshot is what it routes by, and is
replaced whole when that changes. In static mode there is one for the whole run, made from the
settings; a control plane gives new ones while we run.
"""

from __future__ import annotations

import attrs

from aluvia.client.settings import Settings
from aluvia.net.parent import ParentProxy
from aluvia.rules import RuleSet


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
