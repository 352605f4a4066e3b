"""What a user of the client should know about the settings, and what is no error."""

from __future__ import annotations

import typing
from urllib.parse import urlsplit

from aluvia.client.options import OPTIONS, PREFIX
from aluvia.client.settings import FOLLOWING, Settings
from aluvia.net.addresses import is_loopback
from aluvia.rules import lint


def advice(settings: Settings) -> list[str]:
    """A line each, for the log at start and for ``--check``; without secrets."""
    return [
        *_about_places(settings),
        *_about_secrets(settings),
        *_about_options(settings),
        *(
            f"Rule {finding.rule!r}: {finding.sentence}"
            for finding in lint(settings.rules)
            if finding.severity == "warning"
        ),
    ]


def _about_places(settings: Settings) -> typing.Iterator[str]:
    gateway = settings.place if settings.gateway is None else settings.gateway
    if not gateway.tls and not is_loopback(gateway.host):
        yield (
            f"The gateway {gateway} is reached without TLS: its password and all plain http "
            "can be read on the way. Use https where the gateway offers it."
        )
    api = urlsplit(settings.api_base_url)
    if settings.token is not None and api.scheme == "http" and not is_loopback(api.hostname or ""):
        yield (
            f"The control plane {settings.api_base_url} is reached without TLS: the token can be "
            "read on the way. Use https."
        )


def _about_secrets(settings: Settings) -> typing.Iterator[str]:
    if settings.sources.get("token") == "--token":
        yield (
            "The token is on the command line, where other users of this machine can read it. "
            "ALUVIA_TOKEN or --token-file keep it to yourself."
        )
    gateway = settings.gateway
    source = settings.sources.get("gateway", "")
    if gateway is not None and gateway.username is not None and source.startswith("--"):
        yield (
            "The gateway's password is on the command line, where other users of this machine "
            "can read it. ALUVIA_GATEWAY_URL or a file (--config) keep it to yourself."
        )


def _about_options(settings: Settings) -> typing.Iterator[str]:
    if settings.token is None:
        for option in OPTIONS:
            if option.field in FOLLOWING and option.field in settings.sources:
                yield (
                    f"{settings.sources[option.field]} has no meaning with a gateway's URL: no "
                    "control plane is followed."
                )
    for variable, meant in settings.unknown.items():
        yield f"{variable} is no option. {PREFIX}* is read; is {meant} meant?"
