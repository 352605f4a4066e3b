"""Every bound of a hub, in one frozen class; those of frames are in :mod:`aluvia.wire.frames`."""

from __future__ import annotations

import attrs

__all__ = ["DEFAULT_HUB_LIMITS", "HubLimits"]


@attrs.frozen(kw_only=True)
class HubLimits:
    """The bounds of one hub. Sizes are in bytes."""

    sessions: int = 10_000
    """Agents at once. Over it: 503."""

    tunnels_per_session: int = 64
    """What one agent may offer. Over it: 400."""

    tunnels: int = 10_000
    """Ids that are known at once. Over it: the one that was offline longest is forgotten; if none
    is, 503."""

    streams_per_session: int = 1_024
    """Streams at once over one carrier. Over it: another member is asked, else 503."""

    register_seconds: float = 5.0
    """From the upgrade to the agent's ``register``. Over it: the session ends."""

    ping_seconds: float = 10.0
    """How often a carrier is asked whether it is there."""

    silence_seconds: float = 25.0
    """After which a carrier that says nothing is dead."""

    open_seconds: float = 15.0
    """For an agent to connect a stream to its target. Over it: 504."""

    # The long-poll contract.

    poll_session_seconds: float = 90.0
    """A session that is not heard of for that long is gone."""

    poll_wait_seconds: float = 25.0
    """How long a pull waits unless it says otherwise."""

    poll_least_wait_seconds: float = 1.0
    """The least that it may say."""

    poll_most_wait_seconds: float = 60.0
    """The most."""

    poll_absent_seconds: float = 2.0
    """After its last call an agent that has no pull open and names no instance is taken to be gone
    when another one of its key and name comes. Sooner: 409."""

    poll_request_seconds: float = 30.0
    """For one request to be answered. Over it: 504."""

    poll_body_in_bytes: int = 10 * 1024 * 1024
    """A visitor's body. Over it: 413."""

    poll_body_out_bytes: int = 20 * 1024 * 1024
    """The app's. Over it: 502."""

    poll_waiting_per_session: int = 1_024
    """Requests of one session that wait. Over it: 503."""

    poll_waiting: int = 10_000
    """Requests that wait, in all. Over it: 503."""

    poll_held_bytes: int = 256 * 1024 * 1024
    """Bodies of all requests and answers that are held, together. Over it: 503."""

    call_bytes: int = 65_536
    """A body that an agent or an operator sends to the hub's port, but for a response. Over it:
    413."""

    calls_held_bytes: int = 128 * 1024 * 1024
    """Responses that are on their way to the hub's port, together, where they are longer than
    ``call_bytes``. Over it: 503."""


DEFAULT_HUB_LIMITS = HubLimits()
