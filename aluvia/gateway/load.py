"""Reading the gateway's settings, what to know of them, and what ``--check`` prints."""

from __future__ import annotations

import ipaddress
import json
import typing
from pathlib import Path

from aluvia.gateway.options import OPTIONS, PREFIX
from aluvia.gateway.settings import Settings
from aluvia.net.tls_port import Certificate
from aluvia.process.sources import (
    Found,
    SettingsError,
    from_everywhere,
    unknown_variables,
    values_of,
)
from aluvia.process.statuses import CONFIG, USAGE
from aluvia.telemetry.logs import escape
from aluvia.wire.target import Authority

__all__ = ["advice", "load_settings", "report"]


def load_settings(
    flags: typing.Mapping[str, object], environ: typing.Mapping[str, str]
) -> Settings:
    """
    Read the command line, the environment and the file, and judge them together.

    :param flags: by option name, as they stood on the command line.
    :raises SettingsError: with the place that is wrong.
    """
    found = from_everywhere(OPTIONS, PREFIX, flags, environ)
    settings = Settings(
        **values_of(found),
        sources={field: each.source for field, each in found.items()},
        unknown=unknown_variables(environ, OPTIONS),
    )
    _judge(settings, found)
    return settings


def _judge(settings: Settings, found: typing.Mapping[str, Found]) -> None:
    """What no option shows by itself."""
    if settings.proxy_tls is not None:
        if settings.cert is None or settings.key is None:
            raise found["proxy_tls"].mistake("wants a certificate and its key: --cert and --key")
        try:
            Certificate(settings.cert, settings.key)
        except ValueError as error:
            raise SettingsError(str(error), CONFIG) from None
    elif settings.cert is not None or settings.key is not None:
        either = found.get("cert") or found["key"]
        raise either.mistake("is for --proxy-tls")
    places = [settings.proxy, settings.proxy_tls, settings.api]
    used = [place for place in places if place is not None and place[1]]
    if len(set(used)) < len(used):
        raise SettingsError("--proxy, --proxy-tls and --api cannot be at one place", USAGE)


def advice(settings: Settings) -> list[str]:
    """What its operator should know, and what is no error: a line each, without secrets."""
    lines = []
    if not _is_loopback(settings.proxy[0]):
        lines.append(
            f"The proxy at {Authority(*settings.proxy)} takes passwords without TLS, which can be "
            "read on the way. --proxy-tls is for other machines."
        )
    if not _is_loopback(settings.api[0]):
        lines.append(
            f"The API at {Authority(*settings.api)} takes tokens without TLS, which can be read on "
            "the way. Put something before it that speaks TLS."
        )
    if settings.allow_private:
        lines.append(
            "Whoever has an account reaches private addresses, and this machine's services "
            "(--allow-private)."
        )
    lines += [
        f"{variable} is no option. {PREFIX}* is read; is {meant} meant?"
        for variable, meant in settings.unknown.items()
    ]
    return lines


def report(settings: Settings) -> str:
    """A TOML file of what would be used, with where each came from; then advice, and OK."""
    lines = []
    for option in OPTIONS:
        value = getattr(settings, option.field)
        if isinstance(value, tuple):
            value = str(Authority(*value))
        elif isinstance(value, Path):
            value = str(value)
        if value is not None:
            source = settings.sources.get(option.field, "default")
            shown = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            lines.append(f"{option.name} = {shown}  # {escape(source)}")
    lines.append("")
    lines += [f"# {escape(line)}" for line in advice(settings)]
    lines.append("OK")
    return "\n".join(lines) + "\n"


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback
