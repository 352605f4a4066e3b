"""The numbers of the client that a scrape of ``/metrics`` gets."""

from __future__ import annotations

import typing

from aluvia import __version__
from aluvia.client.observed import LiveConnection, Observed
from aluvia.forwarding.counters import Counters
from aluvia.forwarding.measured import measure_traffic, moved_by_ended
from aluvia.telemetry.exposition import Families


def bytes_moved(
    counters: Counters, live: typing.Iterable[LiveConnection]
) -> dict[tuple[str, ...], int]:
    """
    Payload bytes by way and direction (``up``, ``down``), with those of living flows, which move
    to the counters when they end.
    """
    moved = moved_by_ended(counters)
    for each in live:
        for direction, number in (("up", each.bytes_up), ("down", each.bytes_down)):
            moved[each.way, direction] = moved.get((each.way, direction), 0) + number
    return moved


def measure(observed: Observed, now: float) -> Families:
    """
    Everything that a scrape of ``/metrics`` shows.

    :param now: the reactor's seconds.
    """
    counters = observed.counters
    snapshot = observed.snapshot()
    families = Families()
    measure_traffic(
        families,
        "aluvia",
        observed,
        bytes_moved(counters, observed.live()).items(),
        moved_text="Payload bytes of requests and tunnels; up is from clients.",
        connect_text="How long upstream connections took to be made.",
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
