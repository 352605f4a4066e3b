"""Reading the edge's settings, and what to know of them."""

from __future__ import annotations

import ipaddress
import typing

from aluvia.edge.api_token import VARIABLE
from aluvia.edge.model import Snapshot
from aluvia.edge.options import OF_THE_HUB, OPTIONS, PREFIX
from aluvia.edge.settings import IN_MEMORY, Settings
from aluvia.process.sources import (
    Found,
    SettingsError,
    from_everywhere,
    unknown_variables,
    values_of,
)
from aluvia.process.statuses import USAGE
from aluvia.wire.target import Authority

__all__ = ["advice", "load_settings", "no_provider"]


def load_settings(
    flags: typing.Mapping[str, object], environ: typing.Mapping[str, str]
) -> Settings:
    """
    Read the command line, the environment and the file, and judge them together.

    :param flags: by option name, as they stood on the command line.
    :raises SettingsError: with the place that is wrong.
    """
    found = from_everywhere(OPTIONS, PREFIX, flags, environ)
    values = values_of(found)
    if values.get("db") == str(IN_MEMORY):
        values["db"] = IN_MEMORY
    unknown = unknown_variables(environ, OPTIONS)
    if f"{PREFIX}API_TOKEN" in unknown:
        unknown[f"{PREFIX}API_TOKEN"] = VARIABLE
    settings = Settings(
        **values,
        sources={field: each.source for field, each in found.items()},
        unknown=unknown,
    )
    _judge(settings, found)
    return settings


def _judge(settings: Settings, found: typing.Mapping[str, Found]) -> None:
    """What no option shows by itself."""
    for one, other in (
        ("default_certificate", "default_key"),
        ("default_key", "default_certificate"),
        ("hub_cert", "hub_key"),
        ("hub_key", "hub_cert"),
    ):
        if getattr(settings, one) is not None and getattr(settings, other) is None:
            raise found[one].mistake(f"wants --{other.replace('_', '-')}")
    if settings.http is None and settings.https is None:
        raise SettingsError("--http and --https are both none, so there is no way in", USAGE)
    if settings.https is None:
        for field in ("default_certificate", "certificates"):
            if field in found:
                raise found[field].mistake("is for --https, which is none")
    if settings.hub is None:
        for field in OF_THE_HUB:
            if field in found:
                raise found[field].mistake("is about tunnels, and there is no hub: --hub")
    _judge_places(settings)


def _judge_places(settings: Settings) -> None:
    places = [
        None if settings.http is None else settings.http.fixed,
        None if settings.https is None else settings.https.fixed,
        settings.api,
        *(() if settings.hub is None else (settings.hub,)),
        *((each.address, each.port) for each in settings.tunnel_tcp),
    ]
    used = [place for place in places if place is not None and place[1] != 0]
    if len(set(used)) < len(used):
        names = "--http, --https and --api"
        if settings.hub is not None:
            names = "--http, --https, --api, --hub and --tunnel-tcp"
        raise SettingsError(f"{names} cannot be at one place", USAGE)
    ids = [each.id for each in settings.tunnel_tcp]
    if len(set(ids)) < len(ids):
        raise SettingsError("--tunnel-tcp names a tunnel twice", USAGE)


def advice(settings: Settings) -> list[str]:
    """What its operator should know, and what is no error: a line each, without secrets."""
    return [
        *_about_places(settings),
        *_about_the_hub(settings),
        *_about_trust(settings),
        *(
            f"{variable} is no option. {PREFIX}* is read; is {meant} meant?"
            for variable, meant in settings.unknown.items()
        ),
    ]


def _about_places(settings: Settings) -> typing.Iterator[str]:
    if not ipaddress.ip_address(settings.api[0]).is_loopback:
        yield (
            f"The API at {Authority(*settings.api)} takes its token without TLS, which can be read "
            "on the way, and whoever has it can do everything. Put something before it that speaks "
            "TLS."
        )
    files = (settings.certificates, settings.default_certificate, settings.routes)
    if settings.https is not None and not any(files):
        yield (
            f"No certificate is given for --https {settings.https}: a handshake is refused until "
            "one has come over the API. (--certificates, --default-certificate)"
        )
    if settings.db == IN_MEMORY:
        yield "What is changed over the API ends with this process (--db :memory:)."


def no_provider(settings: Settings, snapshot: Snapshot) -> list[str]:
    """What its operator should know, if whoever is to ask visitors of tunnels is not there."""
    wanted = settings.tunnel_auth_provider
    if wanted is None or wanted in snapshot.providers:
        return []
    return [
        f"There is no authProvider {wanted!r} (--tunnel-auth-provider): until there is, nobody "
        "visits a tunnel that no route leads to."
    ]


def _about_the_hub(settings: Settings) -> typing.Iterator[str]:
    if (
        settings.hub is not None
        and settings.hub_cert is None
        and not ipaddress.ip_address(settings.hub[0]).is_loopback
    ):
        yield (
            f"The hub at {Authority(*settings.hub)} takes agents' keys without TLS, which can be "
            "read on the way. (--hub-cert, --hub-key; or something before it that speaks TLS)"
        )


def _about_trust(settings: Settings) -> typing.Iterator[str]:
    listeners = {"--http": settings.http, "--https": settings.https}
    announcing = {
        name: listener
        for name, listener in listeners.items()
        if listener is not None and listener.proxy_protocol
    }
    for name, listener in announcing.items():
        if listener.exposed:
            yield (
                f"Whoever reaches {name} {listener} can say that it is anybody: let nobody but "
                "your proxies reach it."
            )
    for network in settings.trusted_proxies:
        if ipaddress.ip_network(network).prefixlen == 0:
            yield (
                f"Whoever reaches us can say that it is anybody (--trusted-proxy {network}): name "
                "the networks of your proxies."
            )
    most = settings.max_connections_per_address
    said = "max_connections_per_address" in settings.sources
    if most is not None and not said and (announcing or settings.trusted_proxies):
        yield (
            f"A proxy in front is one address, of which {most} connections are taken. "
            "--max-connections-per-address none lifts that."
        )
