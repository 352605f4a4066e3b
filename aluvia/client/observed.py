"""
The client as its admin port sees it, and the numbers that a scrape gets.

:class:`Observed` is all that the admin port knows of the service: it reads, and changes nothing.
"""

from __future__ import annotations

import typing

import attrs

from aluvia import __version__
from aluvia.client.config import Snapshot
from aluvia.client.polls import Polls
from aluvia.forwarding.counters import Counters
from aluvia.telemetry.exposition import Families
from aluvia.telemetry.ledger import Ledger


@attrs.frozen
class LiveConnection:
    """
    A tunnel or a request that is under way.

    :ivar way: ``direct`` or ``gateway``.
    :ivar rule: the rule that settled it; None if none matched.
    :ivar bytes_up: payload from the client so far.
    :ivar bytes_down: payload to the client so far.
    :ivar age: seconds.
    """

    host: str
    port: int
    way: str
    rule: str | None
    bytes_up: int
    bytes_down: int
    age: float


class Observed(typing.Protocol):
    """
    A client, from outside.

    Times are the reactor's seconds.
    """

    @property
    def counters(self) -> Counters:
        """The numbers since the start."""

    @property
    def ledger(self) -> Ledger:
        """What each host has cost since the start; of what has ended."""

    @property
    def url(self) -> str:
        """The proxy's, for programs on this machine."""

    @property
    def started_at(self) -> float:
        """When it started."""

    @property
    def connections_open(self) -> int:
        """Clients' connections that are open now, tunnels among them."""

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken: not at a cap, and not draining."""

    @property
    def draining(self) -> bool:
        """Whether it takes no new clients any more, and is about to end."""

    @property
    def renewed_at(self) -> float | None:
        """When the configuration last was known to be right; None before it ever was."""

    @property
    def token_refused(self) -> bool:
        """Whether the control plane refuses the token."""

    @property
    def polls(self) -> Polls | None:
        """What asking the control plane came to; None if there is none."""

    @property
    def last_error(self) -> str | None:
        """Why the configuration could not be renewed, if that is so; one line, no secrets."""

    def snapshot(self) -> Snapshot | None:
        """The configuration of the moment; None while there is none."""

    def live(self) -> typing.Iterable[LiveConnection]:
        """What is under way."""


def ledger_now(observed: Observed) -> Ledger:
    """
    The ledger with what is under way.

    A flow is entered when it ends. Living ones are added here, each as a request with its bytes so
    far, so that a tunnel that is open for a week is seen before its end.
    """
    ledger = observed.ledger.copy()
    for each in observed.live():
        ledger.count(each.host, each.way, each.rule, each.bytes_up, each.bytes_down)
    return ledger


def bytes_moved(observed: Observed) -> dict[tuple[str, ...], int]:
    """
    Payload bytes by way and direction (``up``, ``down``), with those of living flows, which move
    to the counters when they end.
    """
    counters = observed.counters
    moved: dict[tuple[str, ...], int] = {}
    for direction, table in (("up", counters.bytes_up), ("down", counters.bytes_down)):
        moved |= {(way, direction): number for way, number in table.items()}
    for connection in observed.live():
        for direction, number in (
            ("up", connection.bytes_up),
            ("down", connection.bytes_down),
        ):
            key = (connection.way, direction)
            moved[key] = moved.get(key, 0) + number
    return moved


def measure(observed: Observed, now: float) -> Families:
    """
    Everything that a scrape of ``/metrics`` shows.

    :param now: the reactor's seconds.
    """
    counters = observed.counters
    snapshot = observed.snapshot()
    families = Families()
    families.counters(
        "aluvia_requests",
        "Requests and tunnels that ended, by way and outcome.",
        ("way", "outcome"),
        counters.requests.items(),
    )
    families.counters(
        "aluvia_bytes",
        "Payload bytes of requests and tunnels; up is from clients.",
        ("way", "direction"),
        bytes_moved(observed).items(),
    )
    families.gauge("aluvia_tunnels_open", "Tunnels open now.", counters.tunnels_open)
    families.gauge(
        "aluvia_connections_open",
        "Connections of clients open now, tunnels included.",
        observed.connections_open,
    )
    families.counter(
        "aluvia_connections",
        "Connections of clients that were accepted.",
        counters.connections_total,
    )
    families.gauge(
        "aluvia_accepting",
        "Whether new clients are taken: not at a cap, and not draining.",
        observed.accepting,
    )
    families.histograms(
        "aluvia_connect_seconds",
        "How long upstream connections took to be made.",
        ("way",),
        [((way,), histogram) for way, histogram in counters.connect_seconds.items()],
    )
    families.counter(
        "aluvia_fail_opens",
        "Requests that went direct because there was no configuration.",
        counters.fail_opens,
    )
    families.counter(
        "aluvia_credentials_renewed",
        "Requests that were asked again of the gateway, with new credentials.",
        counters.credentials_renewed,
    )
    polls = observed.polls
    if polls is not None:
        families.counters(
            "aluvia_polls",
            "Answers of the control plane, by what they came to.",
            ("outcome",),
            [((outcome,), number) for outcome, number in polls.outcomes.items()],
        )
        families.histograms(
            "aluvia_poll_seconds",
            "How long the control plane took to answer.",
            (),
            [((), polls.seconds)],
        )
        families.gauge(
            "aluvia_token_refused",
            "Whether the control plane refuses the token.",
            observed.token_refused,
        )
    families.gauge("aluvia_configured", "Whether there is a configuration.", snapshot is not None)
    if snapshot is not None:
        families.gauge(
            "aluvia_config_revision",
            "Which configuration of this process it is, from 1.",
            snapshot.revision,
        )
        renewed_at = observed.renewed_at
        if renewed_at is not None:
            families.gauge(
                "aluvia_config_age_seconds",
                "Since the configuration last was known to be right.",
                max(0.0, now - renewed_at),
            )
        families.gauge("aluvia_rules", "Rules that count.", len(snapshot.rules.rules))
    families.gauge("aluvia_draining", "Whether it is ending.", observed.draining)
    families.gauge(
        "aluvia_uptime_seconds", "How long it has run.", max(0.0, now - observed.started_at)
    )
    families.info("aluvia_build", "What is running.", {"version": __version__})
    families.process()
    return families
